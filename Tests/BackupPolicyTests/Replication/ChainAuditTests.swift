import Testing

@testable import BackupPolicy

@Suite("Looks at archives of a target in use")
struct ChainAuditTests {
  private let start = Timestamp(milliseconds: 1_700_000_000_000)

  private func name(_ sequence: Int64, chain: Int64 = 1) -> RemoteName {
    let id = "backup_20231114_2213\(sequence + 10)"
    let archive = ArchiveName(sequence == chain ? "\(id).db.gz.enc" : "\(id).pages.gz.enc")!
    return RemoteName(
      chain: chain, sequence: sequence, parent: sequence == chain ? nil : sequence - 1, epoch: 1, bytes: 10, hash: 1,
      archive: archive)!
  }

  private func put(after sequence: Int64, chain: Int64 = 1) -> ReplicationPut {
    let parent = sequence < chain ? nil : name(sequence, chain: chain)
    return ReplicationPut(
      point: PointID("backup_20231114_221359")!, sequence: sequence + 1, chain: chain, parent: parent?.id,
      parentSequence: parent?.sequence, merged: [], bytes: 1, isNewest: true, reason: "the newest backup")
  }

  private func asked(
    _ audit: inout ChainAudit, _ put: ReplicationPut, isOnDisk: Bool = false, at seconds: Int64
  ) -> [Int64] {
    let names = (1...6).map { name($0) } + [name(20, chain: 20)]
    return audit.archives(before: put, among: names, isOnDisk: isOnDisk, now: start.adding(seconds: seconds))
      .map(\.sequence)
  }

  @Test("Once a minute with uploads: the full, the backup before it, and one other in turns")
  func bucket() {
    var audit = ChainAudit()
    audit.recordList(at: start)
    #expect(asked(&audit, put(after: 6), at: 60).isEmpty)
    let turns = (1...5).map { asked(&audit, put(after: 6), at: 61 * Int64($0)) }
    #expect(turns == [[1, 6, 2], [1, 6, 3], [1, 6, 4], [1, 6, 5], [1, 6, 2]])
    #expect(asked(&audit, put(after: 6), at: 61 * 5 + 60).isEmpty)
    // A clock that was set back is no reason to ask nothing.
    #expect(asked(&audit, put(after: 6), at: 0) == [1, 6, 3])
  }

  @Test("In a folder: the full and the backup before it at each put, all others each minute")
  func folder() {
    var audit = ChainAudit()
    audit.recordList(at: start)
    #expect(asked(&audit, put(after: 6), isOnDisk: true, at: 1) == [1, 6])
    #expect(asked(&audit, put(after: 6), isOnDisk: true, at: 61) == [1, 6, 2, 3, 4, 5])
    #expect(asked(&audit, put(after: 6), isOnDisk: true, at: 62) == [1, 6])
  }

  @Test("A full needs nothing")
  func full() {
    var audit = ChainAudit()
    #expect(asked(&audit, put(after: 29, chain: 30), isOnDisk: true, at: 1).isEmpty)
    #expect(asked(&audit, put(after: 20, chain: 20), at: 1) == [20])
  }

  @Test("A folder is there if it has a known mark; without a known one, any mark is taken")
  func presence() {
    #expect(FolderPresence.decide(known: [], found: []) == .new)
    #expect(FolderPresence.decide(known: [], found: [7, 3]) == .there(3))
    #expect(FolderPresence.decide(known: [1, 2], found: []) == .absent)
    #expect(FolderPresence.decide(known: [1, 2], found: [3]) == .absent)
    #expect(FolderPresence.decide(known: [1, 2], found: [3, 2]) == .there(2))
  }
}
