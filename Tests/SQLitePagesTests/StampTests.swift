import Glibc
import TestSupport
import Testing

@testable import SQLitePages

/// What time stamps of files prove, and what they do not prove.
@Suite struct StampTests {
  private static let second: Int64 = 1_000_000_000
  private static let now: Int64 = 1_800_000_000 * second + 5_000_000

  private func facts(modified: Int64, changed: Int64, fine: Bool = true) throws -> FileFacts {
    var facts = try #require(FileFacts(path: "/"))
    (facts.modified, facts.changed, facts.hasFineStamps) = (modified, changed, fine)
    return facts
  }

  @Test func fineStampsAreSettledAfterATick() throws {
    #expect(try facts(modified: Self.now, changed: Self.now - 10_000_000).isSettled(at: Self.now) == false)
    #expect(try facts(modified: Self.now, changed: Self.now - 10_000_000).isYoung(at: Self.now))
    #expect(try facts(modified: Self.now - 30_000_000, changed: Self.now - 30_000_000).isSettled(at: Self.now))
  }

  @Test func coarseStampsNeverAre() throws {
    let old = try facts(modified: 0, changed: 0, fine: false)
    #expect(!old.isSettled(at: Self.now) && !old.isYoung(at: Self.now))
    #expect(!FileStamp(old, now: Self.now).isUntouched(until: old))
  }

  /// `cp -p`, `touch -d`: the kernel sets the inode's own time all the same.
  @Test func aTimeOfTheLastWriteInTheFutureIsNoObstacle() throws {
    let ahead = try facts(modified: Self.now + 3600 * Self.second, changed: Self.now - Self.second)
    #expect(ahead.isSettled(at: Self.now))
    #expect(FileStamp(ahead, now: Self.now).isUntouched(until: ahead))
  }

  /// The clock was set back: a later write may get any of these times.
  @Test func aChangeOfTheInodeInTheFutureProvesNothing() throws {
    let ahead = try facts(modified: Self.now, changed: Self.now + 3600 * Self.second)
    #expect(!ahead.isSettled(at: Self.now) && !ahead.isYoung(at: Self.now) && !ahead.isOld(at: Self.now))
    #expect(!FileStamp(ahead, now: Self.now).isUntouched(until: ahead))
  }

  /// Equal coarse stamps prove nothing, and different ones do: another file was copied over the database.
  @Test(arguments: [true, false]) func otherStampsMeanAWrite(fine: Bool) throws {
    let before = try facts(modified: Self.now - 9 * Self.second, changed: Self.now - 9 * Self.second, fine: fine)
    var after = before
    let stamp = FileStamp(before, now: Self.now)
    #expect(!stamp.isContradicted(by: after))
    after.changed += Self.second
    #expect(stamp.isContradicted(by: after))
    // A running checkpoint continues.
    #expect(!FileStamp(before, now: before.changed).isContradicted(by: after))
  }
}
