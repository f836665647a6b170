import BackupEngine
import BackupPolicy
import Logging
import Names

/// Databases that come and go while the agent runs, where the configuration names them by a pattern.
extension EventLoop {
  /// What is watched for patterns has this name among the databases.
  static let patternID = DatabaseID(number: 0)

  /// Goes by these patterns from now on.
  func watchPatterns(_ patterns: DatabasePatterns?) {
    lastGeneration += 1
    patternWatch = patterns.map { PatternWatch($0, generation: lastGeneration, at: clock.monotonic) }
    if patterns == nil { try? shared.watches.apply(nil, to: Self.patternID) }
  }

  /// Begins a look if one is due.
  func handlePatternTime() {
    guard !isStopping, let deadline = patternWatch?.deadline, deadline <= clock.monotonic else { return }
    patternWatch?.begin(at: clock.monotonic)
    guard let watch = patternWatch else { return }
    shared.workers.submit(nil) { .patternsSeen(PatternLook(watch)) }
  }

  func finish(_ look: PatternLook) {
    guard !isStopping, look.generation == patternWatch?.generation else { return }
    if patternWatch?.end(look, at: clock.monotonic) == true {
      do {
        try shared.watches.apply(look.plan, to: Self.patternID)
      } catch {
        report("new matches of patterns are looked for from time to time: \(error)")
      }
    }
    guard let databases = look.databases else { return }
    do {
      take(try databases.get())
    } catch {
      patternWatch?.forget()
      report("databases that came or went are not guarded yet: \(error)")
    }
  }

  /// Guards what is new. A database that is gone stays guarded, as one that is missed, for as long as it has backups.
  private func take(_ databases: [GuardedDatabase]) {
    let wanted = Set(databases.map(\.identity))
    for database in guards where !database.isStopping && !wanted.contains(database.database.identity) {
      guard isGone(database) else { continue }
      logger.warning("\(database.database.name) is no longer guarded: it is gone, and it has no backups")
      database.stop()
    }
    let known = Set(guards.map(\.database.identity))
    for database in databases where !known.contains(database.identity) { takeUp(database) }
  }

  /// A file that cannot be looked at is not gone.
  private func isGone(_ database: DatabaseCoordinator) -> Bool {
    do {
      return try database.database.service.environment.files.status(database.path) == nil
    } catch {
      return false
    }
  }

  private func takeUp(_ database: GuardedDatabase) {
    do {
      if let other = guards.first(where: { $0.database.name.isExactly(database.name) }) {
        throw HoldfastError(
          .usage, "it has the name of \(other.database.service.database ?? "another one")",
          hint: "give one of the two a [[databases]] table with a name of its own")
      }
      if let other = guards.first(where: { $0.database.identity.folder == database.identity.folder }) {
        throw HoldfastError(
          .usage, "it has the backup folder of \(other.database.name)", hint: "give it a backup folder of its own")
      }
      try database.requireEssentials()
      divideDescriptors(among: guards.count + 1)
      try add([database], isAlone: false)
      guards.last?.start()
    } catch {
      patternWatch?.forget()
      report("\(database.service.database ?? database.name) matches a pattern and is not backed up: \(error)")
    }
  }

  private func report(_ problem: String) {
    if patternWatch?.report(problem) == true { logger.error("\(problem)") }
  }
}
