/// May SQLite, when this connection turns out to be the last one, fold the `-wal` into the database and remove the side
/// files (its habit), or does `SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE` stay on?
///
/// A `-wal` that was found is not ours to fold in: an operator may have put another file in the database's place, and
/// checkpointing the old WAL into that would destroy it. But no `-wal` may outlive the application's last close through us
/// either: a file that takes the database's place later would have it applied. So two kinds may go:
///
/// - one that exists through us alone, and is empty;
/// - one that the application itself would have removed, had we not been connected when it closed. That an application
///   committed while this wal-index was in use is told by its counter of changes, which starts from zero in every new
///   wal-index and after every recovery, ours included. That nobody but SQLite wrote to the database since is told by the
///   time stamps, or by its pages.
///
/// Who is last, SQLite decides with its locks; but a program may have lost its own, so the processes that have the files open
/// are looked up as well. One that has the log open keeps it, and if some may be hidden the log is emptied and its files stay:
/// such a program goes on writing into them, and nothing is left in them that another file could have applied. A killed application's WAL may go as well: what was committed there, and
/// published, is folded in just as the next one to close the database would do it.
package struct ClosingRule: Hashable, Sendable {
  package var mayCheckpoint: Bool
  /// The log is emptied and not removed: processes that cannot be seen may have it open.
  package var keepsFiles = false
  package var reason: String
  /// For an alarm: somebody wrote over the database beside its WAL, and whoever opens it next applies that WAL to the new
  /// content.
  package var warning: String?
  /// What to do about ``warning``.
  package var hint: String?

  /// Whoever is there closes after us, and sees to it.
  static let notLast = ClosingRule.no("somebody else has the database open")

  package static func decide(_ facts: ClosingFacts) -> ClosingRule {
    var rule = decideByFiles(facts)
    guard rule.mayCheckpoint, let holders = facts.holders else { return rule }
    if let process = holders.processes.first {
      return .no("\(process) has the write-ahead log open, although SQLite's locks do not show it")
    }
    // A log that was made by our opening, and is still empty, can only be used by a program that came later.
    rule.keepsFiles = holders.doubt != nil && !(facts.openingCreatedWAL && facts.frames == 0)
    return rule
  }

  /// What the files say, whoever has them open.
  private static func decideByFiles(_ facts: ClosingFacts) -> ClosingRule {
    guard facts.filesNow == facts.filesAtOpen else { return replaced(facts) }
    if facts.openingCreatedWAL || facts.emptiedWAL, facts.frames == 0, facts.walNow?.size == 0 {
      return .yes("the write-ahead log is empty and exists through us alone")
    }
    guard let log = facts.log else {
      return .no("the write-ahead log is not ours, and its index cannot be read or does not stand still")
    }
    if let obstacle = obstacle(log, facts) { return .no(obstacle) }
    // Nothing will be written. Left where it is, the log would be applied to whatever took the old file's place.
    if log.backfilled >= log.maxFrame { return .yes("all of the write-ahead log is in the database file already") }
    if facts.wasOverwritten { return overwritten(facts) }
    return fold(log, facts)
  }

  /// What forbids to touch the WAL, whatever happened to the database file.
  private static func obstacle(_ log: ClosingFacts.Log, _ facts: ClosingFacts) -> String? {
    if facts.isReadOnly { return "this connection may only read" }
    if log.changeCount == 0 { return "no application has committed since the write-ahead log's index was built" }
    if !log.fileMatches { return "the write-ahead log's file is not what its index describes" }
    if log.hasUnpublishedCommit {
      return "the write-ahead log ends with a commit that was never published: the next to open it recovers that"
    }
    return nil
  }

  /// Whether nobody but SQLite wrote to the database file since an application was connected.
  private static func fold(_ log: ClosingFacts.Log, _ facts: ClosingFacts) -> ClosingRule {
    guard let database = facts.databaseNow, let wal = facts.walNow, wal.modified <= facts.now else {
      return .no("the files' time stamps say nothing: they are missing, or in the future")
    }
    // Both stamps come from one clock that never goes back within a tick, so a smaller one is earlier.
    if database.touched < wal.modified {
      return .yes("nobody has written to the database since an application last wrote to the write-ahead log")
    }
    if database.touched == wal.modified, facts.isUntouchedSinceOpen {
      return .yes("nobody has written to the database since this connection was opened")
    }
    if facts.hasCheckpointSinceOpen || facts.isUntouchedSinceOpen, facts.checkpointedPages == .equal {
      return .yes("only a checkpoint has written to the database since an application last wrote to its log")
    }
    return .no("it is not certain that only SQLite has written to the database")
  }

  private static func overwritten(_ facts: ClosingFacts) -> ClosingRule {
    let path = facts.path
    return ClosingRule(
      mayCheckpoint: false, reason: "somebody else has written to the database file",
      warning: "\(path) was overwritten while its write-ahead log was in use: whoever opens it next reads the new "
        + "content mixed with that log",
      hint: hint(path))
  }

  private static func replaced(_ facts: ClosingFacts) -> ClosingRule {
    var rule = ClosingRule.no("the files at this path are not those that were opened")
    guard facts.filesNow.database != facts.filesAtOpen.database, facts.filesNow.database != nil,
      facts.filesNow.wal == facts.filesAtOpen.wal, facts.walNow?.size ?? 0 > 0
    else { return rule }
    rule.warning =
      "\(facts.path) was replaced while the old file's write-ahead log was in use: whoever opens it next has that log "
      + "applied to the new file"
    rule.hint = hint(facts.path)
    return rule
  }

  private static func hint(_ path: String) -> String {
    "if the new content is what you want, stop the applications that use it and remove \(path)-wal and \(path)-shm "
      + "before anything opens it again"
  }

  private static func yes(_ reason: String) -> ClosingRule { ClosingRule(mayCheckpoint: true, reason: reason) }
  private static func no(_ reason: String) -> ClosingRule { ClosingRule(mayCheckpoint: false, reason: reason) }
}
