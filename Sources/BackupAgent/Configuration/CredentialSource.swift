import BackupEngine
import BackupPolicy

/// The source of a database's password and key, so that the agent can detect that its next start
/// would find different ones.
package struct CredentialSource: Sendable {
  /// The key file, the password file, and the `.env` file with the password.
  package var paths: [String]
  /// Reads them again; it may block.
  package var read: @Sendable () throws -> Credentials

  package init(paths: [String], read: @escaping @Sendable () throws -> Credentials) {
    self.paths = paths
    self.read = read
  }
}

/// Checks that the key in the agent's memory is still the one in the user's files, and that it
/// opens the newest backup. Both are checked each time: after a reload with a replaced file, the
/// files agree with the agent's memory, but neither opens the backups. Blocks.
struct KeyCheck: Sendable {
  let engine: Engine
  let source: CredentialSource?

  /// - Returns: the first problem; nil if there is no problem.
  func problem() -> HoldfastError? {
    do {
      try compare()
      try tryNewest()
      return nil
    } catch {
      return error as? HoldfastError ?? HoldfastError(.failed, "the key was not checked: \(error)")
    }
  }

  private func compare() throws {
    guard let source, !source.paths.isEmpty else { return }
    let names = source.paths.joined(separator: " or ")
    let found: Credentials
    do {
      found = try source.read()
    } catch let error as HoldfastError {
      throw HoldfastError(
        .keyMissing, "\(error.message); the agent continues with the key in its memory, but could not be restarted",
        hint: "put the key file back: backups cannot be read without it")
    }
    guard !found.matches(engine.credentials) else { return }
    guard !found.isEmpty else { throw missing(names) }
    throw HoldfastError(
      .wrongKey, "the key in \(names) has changed; backups continue with the key that the agent started with",
      hint: "put the file back, because backups cannot be read without it; a new key needs a new backup folder")
  }

  /// The error if the sources hold neither a password nor a key.
  private func missing(_ names: String) -> HoldfastError {
    let isGone = source?.paths.allSatisfy { (try? engine.environment.files.status($0)) == .some(nil) } ?? false
    return HoldfastError(
      .keyMissing,
      "\(isGone ? "\(names) is missing" : "there is neither a password nor a key in \(names)"); "
        + "the agent continues with the key in its memory, but could not be restarted",
      hint: "put the key back: backups cannot be read without it")
  }

  private func tryNewest() throws {
    guard try engine.environment.files.status(engine.folder) != nil else { return }
    do {
      try engine.requireKey(to: engine.point("latest"))
    } catch let error as HoldfastError where [.wrongKey, .keyMissing].contains(error.code) {
      throw error
    } catch {
      // The repository has no backup or cannot be read. The first backup reports that.
    }
  }
}

/// Compares the key with its files when they change: if the key file is replaced or lost while the
/// agent has the key in memory, only the agent can read its backups. Belongs to the loop's thread.
final class KeyWatcher {
  /// The status of the key file and the password file when they were last read; nil if they cannot
  /// be read again.
  private var seen: [FileStatus?]?
  private let id: DatabaseID
  private let shared: LoopContext

  init(_ id: DatabaseID, _ database: AgentDatabase, _ shared: LoopContext) {
    (self.id, self.shared) = (id, shared)
    seen = Self.status(database)
  }

  /// Compares the key with its files if the files have changed.
  func checkFiles(of database: AgentDatabase) {
    guard let files = Self.status(database), files != seen else { return }
    seen = files
    check(database)
  }

  func check(_ database: AgentDatabase) {
    guard database.settings.archive.encrypt else {
      // An alarm from before encryption was switched off ends.
      shared.workers.submit(nil) { [id] in .keyChecked(id, nil) }
      return
    }
    let check = KeyCheck(engine: database.engine, source: database.credentials)
    // Deriving a key from a password takes long, and no backup has to wait for it.
    let pool = database.engine.credentials.key == nil ? shared.housekeeping : shared.workers
    pool.submit(nil) { [id] in .keyChecked(id, check.problem()) }
  }

  private static func status(_ database: AgentDatabase) -> [FileStatus?]? {
    database.credentials?.paths.map { try? database.engine.environment.files.status($0) }
  }
}
