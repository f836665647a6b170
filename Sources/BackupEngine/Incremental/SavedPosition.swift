import BackupPolicy
import Glibc
import SQLitePages

/// The position from which a backup's pages were followed, kept for the next process of the agent.
///
/// The files themselves prove the commits since then, as at any other step of the tracker
/// (``TrackerProof``, except for the proof that needs a connection that stayed open). This type
/// detects the conditions in which the files are no evidence any more. Each of them is a reason to
/// compare all pages.
package struct SavedPosition: Hashable, Sendable {
  /// The digest of the backup whose state it is. If a repository was copied or rolled back, the
  /// same ID could come back with other content.
  package var digest: String
  package var position: TrackerPosition
  package var run: MachineRun

  /// The reason why the position does not apply to the present state of the database; nil if it
  /// applies.
  ///
  /// - Parameters:
  ///   - newest: the backup from which the database is to be followed.
  ///   - now: nil if the system does not provide it.
  package func objection(newest: StoredPoint, now: MachineRun?) -> String? {
    guard newest.metadata.digest == digest else { return "\(newest.id) is not the tracked backup" }
    guard let now, now.boot == run.boot else { return "the machine was restarted since it was tracked" }
    // A time stamp is settled only when the file is older than a tick. The margin is half of that,
    // so a smaller step of the clock cannot bring its times back.
    let margin = FileClock.tick / 2_000_000
    guard now.clockOffset >= run.clockOffset - margin else { return "the clock was set back since it was tracked" }
    return nil
  }
}

/// One run of the machine from its start, and its clock.
///
/// A machine that lost power may also have lost pages that SQLite had written and not flushed. A
/// position may have seen those pages, and the files do not show the loss. If a clock was set back,
/// a later write may get the times of an earlier one.
package struct MachineRun: Hashable, Sendable {
  /// The kernel's name for it.
  package var boot: String
  /// The wall clock in milliseconds minus the monotonic clock, which is never set.
  package var clockOffset: Int64

  /// The present run; nil if the system does not provide it.
  package static func current() -> MachineRun? {
    guard let boot = ProcFile.bootID else { return nil }
    return MachineRun(boot: boot, clockOffset: SystemClock.now().milliseconds - SystemClock.monotonic())
  }
}

extension SavedPosition {
  package var json: JSONValue? {
    guard let text = position.text else { return nil }
    return .object([
      "digest": .string(digest), "position": .string(text), "boot": .string(run.boot),
      "clock_offset_ms": .integer(run.clockOffset),
    ])
  }

  /// Nil unless the JSON is one that ``json`` returns, in its present version.
  package init?(_ json: JSONValue) {
    guard case .object(let keys) = json, case .string(let digest)? = keys["digest"],
      case .string(let text)? = keys["position"], let position = TrackerPosition(text: text),
      case .string(let boot)? = keys["boot"], case .integer(let offset)? = keys["clock_offset_ms"]
    else { return nil }
    self.init(digest: digest, position: position, run: MachineRun(boot: boot, clockOffset: offset))
  }
}
