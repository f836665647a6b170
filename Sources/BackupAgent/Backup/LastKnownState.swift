import BackupEngine
import BackupPolicy
import Logging
import Names

/// The state of the database that the newest backup holds, as far as this agent knows it. Belongs
/// to the worker.
struct LastKnownState {
  /// The shortest time between two writes of the state, in milliseconds.
  private static let savingInterval: Int64 = 1000

  private(set) var stored: AgentState?
  /// The state that the fingerprint describes, if this process saw it.
  private(set) var database: DatabaseState?
  private var isUnsaved = false
  /// The time of the last write, in monotonic milliseconds.
  private var saved: Int64?
  private let engine: Engine
  private let logger: Logger
  private let isGuarded: Bool

  /// - Parameter isGuarded: the caller holds the agent's lock. Otherwise the state is saved only if
  ///   no agent holds it, because a running agent owns the file.
  init(_ engine: Engine, isGuarded: Bool, _ logger: Logger) {
    (self.engine, self.isGuarded, self.logger) = (engine, isGuarded, logger)
  }

  /// Loads the state that an earlier process saved.
  mutating func load(newest: StoredPoint?) throws {
    (stored, database) = (nil, nil)
    guard let newest, let known = AgentState.load(try engine.repository()), known.point == newest.id else { return }
    stored = known
  }

  /// The backup that holds this very state, if it still exists.
  func point(holding state: DatabaseState) -> PointID? {
    guard let stored, let fingerprint = state.fingerprint, stored.fingerprint == fingerprint,
      stored.database.isExactly(state.path), isInRepository(stored)
    else { return nil }
    return stored.point
  }

  /// Whether the time stamps of a state prove nothing, but the state still looks like the one in
  /// the last backup. Comparing its pages again each time would never end; each event causes one
  /// comparison.
  func isUnmoved(_ state: DatabaseState) -> Bool {
    guard let stored, state.fingerprint == nil, let database, stored.database.isExactly(state.path),
      state.looksLike(database)
    else { return false }
    return isInRepository(stored)
  }

  /// Whether a commit was certainly made between the last known state and this one.
  func isCommitCertain(before state: DatabaseState) -> Bool { database.map { state.isCommitAfter($0) } ?? false }

  /// The backup holds this state of the database.
  mutating func confirm(_ state: DatabaseState) { database = state }

  mutating func record(_ state: DatabaseState, in point: PointID, _ filename: String, followed: SavedPosition?) {
    // Also without a fingerprint: the content facts decide whether the next state raises an alarm.
    stored = AgentState(
      database: state.path, fingerprint: state.fingerprint, point: point, filename: filename, content: state.content,
      followed: followed)
    database = state
    isUnsaved = true
    let isRecent = saved.map { engine.environment.monotonic() - $0 < Self.savingInterval } ?? false
    if !isRecent { save() }
  }

  /// Saves the state if it is unsaved. Changes in quick succession are not saved one by one: a
  /// process that is killed before the save costs its successor one comparison.
  mutating func save() {
    guard isUnsaved, let stored else { return }
    (isUnsaved, saved) = (false, engine.environment.monotonic())
    let lock = AgentLock(engine)
    defer { lock.release() }
    do {
      if !isGuarded { try lock.ensure() }
      try stored.save(try engine.repository())
    } catch let error as HoldfastError where error.code == .busy {
      logger.debug("the last known state is not saved: \(error)")
    } catch {
      logger.warning(
        "cannot save the agent's last known state, so its next start may store one unneeded backup: \(error)")
    }
  }

  /// Returns an error if the last backup holds commits that the database has lost because its log
  /// was deleted.
  func lostCommits(in state: DatabaseState) -> HoldfastError? {
    let followed = stored?.followed.flatMap { $0.run.boot == MachineRun.current()?.boot ? $0.position.snapshot : nil }
    guard let stored, let before = database?.position ?? followed, state.position.hasLostCommits(since: before) else {
      return nil
    }
    return HoldfastError(
      .logDeleted,
      "\(state.path) has lost commits that \(stored.point) holds: they were in \(state.path)-wal, which was deleted",
      hint: "restart the application if it is still running, and compare with holdfast diff \(stored.point); "
        + "holdfast restore \(stored.point) restores them")
  }

  private func isInRepository(_ stored: AgentState) -> Bool {
    (try? engine.environment.files.status("\(engine.folder)/\(stored.filename)")) != nil
  }
}
