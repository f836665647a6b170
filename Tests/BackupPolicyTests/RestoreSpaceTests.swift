import Testing

@testable import BackupPolicy

@Suite struct RestoreSpaceTests {
  let usual = RestoreCase()
  static let image: Int64 = 16 << 20
  static let frames: Int64 = 24 * 4097

  /// The exact amount of space passes, and one byte less does not.
  private func expectLimit(
    _ limit: Int64, _ usual: RestoreCase, location: SourceLocation = #_sourceLocation,
    set: (inout RestoreCase, Int64) -> Void
  ) {
    #expect(usual.with { set(&$0, limit) }.plan != nil, sourceLocation: location)
    let refusal = usual.with { set(&$0, limit - 1) }.refusal
    #expect(refusal?.code == .noSpace && refusal?.error.code.exitCode == 7, sourceLocation: location)
    #expect(refusal?.reason.contains("1 B too little") == true, sourceLocation: location)
  }

  @Test func liveNeedsStagingAndALog() {
    expectLimit(2 * Self.image + Self.frames, usual) { $0.freeSpaceTarget = $1 }
  }

  @Test func liveNeedsGrowth() {
    let small = usual.with {
      $0.target.state = .database(
        DatabaseFacts(pageSize: 4096, pageCount: 256, textEncoding: "UTF-8", journalMode: "wal"))
      $0.target.size = 1 << 20
    }
    expectLimit(2 * Self.image + Self.frames + 15 << 20, small) { $0.freeSpaceTarget = $1 }
  }

  /// A rollback journal contains the old content, a WAL the new.
  @Test func aRollbackJournalIsAsLargeAsTheTarget() {
    let small = usual.with {
      $0.target.state = .database(
        DatabaseFacts(pageSize: 4096, pageCount: 256, textEncoding: "UTF-8", journalMode: "delete"))
      $0.target.size = 1 << 20
    }
    expectLimit(Self.image + (1 << 20) + 24 * 257 + 15 << 20, small) { $0.freeSpaceTarget = $1 }
  }

  @Test func replacingNeedsStagingAlone() {
    expectLimit(Self.image, usual.with { $0.point.pageSize = 512 }) { $0.freeSpaceTarget = $1 }
    expectLimit(Self.image, usual.with { $0.target = RestoreCase.missing }) { $0.freeSpaceTarget = $1 }
  }

  @Test func theRepositoryNeedsTheSafetyBackup() {
    expectLimit(Self.image, usual) { $0.freeSpaceRepository = $1 }
    expectLimit(17 << 20, usual.with { $0.target = RestoreCase.unreadable }) { $0.freeSpaceRepository = $1 }
    let waived = usual.with {
      $0.request.safetyBackup = false
      $0.freeSpaceRepository = 0
    }
    #expect(waived.plan != nil)
  }

  /// Pages that are still in the WAL are also saved.
  @Test func theSafetyBackupCountsPagesInTheLog() {
    let grown = usual.with { $0.target.size = 4096 }
    expectLimit(Self.image, grown) { $0.freeSpaceRepository = $1 }
  }

  @Test func oneFileSystemIsCountedOnce() {
    let shared = usual.with { $0.sameFileSystem = true }
    expectLimit(3 * Self.image + Self.frames, shared) {
      $0.freeSpaceTarget = $1
      $0.freeSpaceRepository = $1
    }
  }

  @Test func theCheckNamesItsNumbers() throws {
    let refusal = try #require(usual.with { $0.freeSpaceTarget = 1 << 20 }.refusal)
    #expect(
      refusal.reason
        == "not enough space beside /srv/app.db: 32 MiB is needed and 1 MiB is free, 31 MiB too little")
    #expect(usual.plan?.step(.checkSpace)?.bytes == 3 * Self.image + Self.frames)
  }

  /// Sizes are read from files that anybody may have written.
  @Test(arguments: [Int64.min, -1, .max], [4096, .min, .max])
  func absurdSizes(size: Int64, pageSize: Int) {
    let absurd = usual.with {
      $0.point.imageSize = size
      $0.point.archiveSize = size
      $0.point.pageSize = pageSize
      $0.target.size = size
      $0.target.sideFileBytes = size
      $0.target.state = .database(
        DatabaseFacts(pageSize: pageSize, pageCount: .max, textEncoding: "UTF-8", journalMode: "wal"))
    }
    #expect(absurd.plan?.steps.allSatisfy { ($0.bytes ?? 0) >= 0 } ?? (absurd.refusal?.code == .noSpace))
    #expect(absurd.with { $0.freeSpaceTarget = size }.plan == nil || size == .max || pageSize != 4096)
    #expect(size < 0 || absurd.refusal?.code == .noSpace)
  }
}

@Suite struct ReliedFactsTests {
  static let file = RestoreCase.file
  static let layout = DatabaseLayout(pageSize: 4096, textEncoding: "UTF-8")
  let relied = ReliedFacts(
    target: .unchanged(file), sideFiles: ["a-wal"], layout: layout, pointChecksum: "ab", freeSpace: 100)
  let now = CurrentFacts(identity: file, sideFiles: ["a-wal"], layout: layout, pointChecksum: "ab", freeSpace: 100)

  private func contradiction(_ change: (inout CurrentFacts) -> Void) -> String? {
    var changed = now
    change(&changed)
    return relied.contradiction(by: changed)
  }

  @Test func nothingChanged() {
    #expect(relied.contradiction(by: now) == nil)
    #expect(contradiction { $0.sideFiles = [] } == nil)
    #expect(contradiction { $0.freeSpace = 101 } == nil)
  }

  @Test func everyFactCounts() {
    #expect(contradiction { $0.identity = nil } == "the file has disappeared")
    #expect(contradiction { $0.identity?.inode += 1 } == "another file has taken its place")
    #expect(contradiction { $0.identity?.device += 1 } == "another file has taken its place")
    #expect(contradiction { $0.identity?.changed += 1 } == "the file has changed")
    #expect(contradiction { $0.identity?.size += 1 } == "the file has changed")
    #expect(contradiction { $0.sideFiles.append("a-journal") } == "a-journal has appeared beside it")
    #expect(contradiction { $0.layout = nil } != nil)
    #expect(contradiction { $0.layout?.textEncoding = "UTF-16le" } != nil)
    #expect(contradiction { $0.pointChecksum = nil } != nil)
    #expect(contradiction { $0.freeSpace = 99 }?.contains("99 B") == true)
  }

  /// Applications continue to write until SQLite's lock is taken; another file is a different case.
  @Test func anOpenDatabaseMayMoveOn() {
    let live = ReliedFacts(target: .sameFile(Self.file))
    var moved = now
    moved.identity?.changed += 1
    moved.identity?.size += 4096
    moved.sideFiles = ["a-wal", "a-journal"]
    #expect(live.contradiction(by: moved) == nil)
    moved.identity?.inode += 1
    #expect(live.contradiction(by: moved) == "another file has taken its place")
  }

  @Test func nothingWasThere() {
    let absent = ReliedFacts(target: .absent, sideFiles: [])
    #expect(absent.contradiction(by: now) == "a file has appeared there")
    let still = CurrentFacts(identity: nil, sideFiles: [], layout: nil, pointChecksum: nil, freeSpace: 0)
    #expect(absent.contradiction(by: still) == nil)
  }
}
