import BackupPolicy
import Glibc
import SQLitePages

/// From where a point's pages were followed, kept for the next process of the agent.
///
/// What was committed since is proved by the files themselves, as at any other step of the tracker (``TrackerProof``, but for
/// the one that needs a connection that stayed open). This tells what makes the files themselves no evidence any more: each is
/// a reason to compare all pages.
package struct SavedPosition: Hashable, Sendable {
  /// The digest of the point whose state it is. An ID alone could come back with another content where a repository was copied,
  /// or rolled back.
  package var digest: String
  package var position: TrackerPosition
  package var run: MachineRun

  /// Why it says nothing of the present state of the database; nil where it does.
  ///
  /// - Parameters:
  ///   - newest: the point that it is to be followed from.
  ///   - now: nil where the system does not tell.
  package func objection(newest: StoredPoint, now: MachineRun?) -> String? {
    guard newest.metadata.digest == digest else { return "\(newest.id) is not the tracked backup" }
    guard let now, now.boot == run.boot else { return "the machine was restarted since it was tracked" }
    // A stamp is settled when the file is older than that; so this cannot bring its times back.
    let margin = FileClock.tick / 2_000_000
    guard now.clockOffset >= run.clockOffset - margin else { return "the clock was set back since it was tracked" }
    return nil
  }
}

/// One run of the machine from its start, and its clock.
///
/// A machine that lost power may also have lost what SQLite had written and not flushed: pages that a position had seen are then
/// gone, and no look at the files tells. And a clock that was set back may give a later write the times of an earlier one.
package struct MachineRun: Hashable, Sendable {
  /// The kernel's name for it.
  package var boot: String
  /// Milliseconds of the wall clock, less those of the clock that nobody sets.
  package var clockOffset: Int64

  /// Now; nil where the system does not tell.
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

  /// Nil for anything but what ``json`` gives, in its present version.
  package init?(_ json: JSONValue) {
    guard case .object(let keys) = json, case .string(let digest)? = keys["digest"],
      case .string(let text)? = keys["position"], let position = TrackerPosition(text: text),
      case .string(let boot)? = keys["boot"], case .integer(let offset)? = keys["clock_offset_ms"]
    else { return nil }
    self.init(digest: digest, position: position, run: MachineRun(boot: boot, clockOffset: offset))
  }
}
