import Testing

@testable import BackupPolicy

/// What a reader makes of the names in a target.
@Suite("Contents of a target")
struct RemoteContentsTests {
  private func name(_ sequence: Int64, _ parent: Int64?, chain: Int64 = 1, epoch: Int = 1, hash: UInt64 = 0)
    -> RemoteName
  {
    let id = PointID(at: Timestamp(milliseconds: sequence * 1000))
    return RemoteName(
      chain: chain, sequence: sequence, parent: parent, epoch: epoch, bytes: sequence, hash: hash,
      archive: ArchiveName(id: id, content: parent == nil ? .database : .pages, compressed: true, encrypted: true))!
  }

  private func id(_ sequence: Int64) -> PointID { PointID(at: Timestamp(milliseconds: sequence * 1000)) }

  @Test("Backups are listed newest first, each with the archives that it needs")
  func ways() throws {
    let contents = RemoteContents([name(1, nil), name(2, 1), name(3, 2), name(4, nil, chain: 4)])
    #expect(contents.backups.map(\.sequence) == [4, 3, 2, 1])
    #expect(contents.way(to: id(3))?.map(\.sequence) == [3, 2, 1])
    #expect(contents.backups[1].needed == [id(3), id(2), id(1)])
    #expect(contents.candidates.map(\.sequence) == [4, 3, 2, 1])
  }

  @Test("A backup without one of its archives is listed, and is no candidate")
  func incomplete() {
    let contents = RemoteContents([name(1, nil), name(3, 2), name(4, 3)])
    #expect(contents.backups.map(\.isComplete) == [false, false, true])
    #expect(contents.candidates.map(\.sequence) == [1] && contents.way(to: id(4)) == nil)
    #expect(contents.backups[0].obstacle == "an archive that it needs is missing")
  }

  @Test("The archive with the shortest way is used, and without it the other one")
  func twoArchives() {
    let merged = name(3, 1, hash: 7)
    let contents = RemoteContents([name(1, nil), name(2, 1), name(3, 2), merged])
    #expect(contents.way(to: id(3)) == [merged, name(1, nil)])
    #expect(contents.without([merged]).way(to: id(3))?.map(\.sequence) == [3, 2, 1])
  }

  @Test("A superseded backup is listed with its archives, and is no candidate")
  func superseded() {
    let old = name(3, 2)
    let contents = RemoteContents([name(1, nil), name(2, 1), old], superseded: [old])
    #expect(contents.backups.map(\.isSuperseded) == [true, false, false])
    #expect(contents.way(to: id(3))?.count == 3 && contents.candidates.map(\.sequence) == [2, 1])
    #expect(contents.newestSequence == 2)
  }

  /// A backup of two machines: both made it in the same second, with different numbers.
  private func same(_ second: Int64, _ sequence: Int64, _ parent: Int64?, epoch: Int) -> RemoteName {
    RemoteName(
      chain: parent == nil ? sequence : parent == 4 ? 4 : 1, sequence: sequence, parent: parent, epoch: epoch, bytes: 9,
      hash: 9,
      archive: ArchiveName(
        id: id(second), content: parent == nil ? .database : .pages, compressed: true, encrypted: true))!
  }

  @Test("Of two backups with one ID the one of the last writer counts, and what needs the other one stays whole")
  func oneID() {
    let (other, own) = (same(5, 2, 1, epoch: 2), same(5, 4, nil, epoch: 5))
    let names = [name(1, nil), other, name(3, 2, epoch: 3), own, same(6, 5, 4, epoch: 6)]
    let contents = RemoteContents(names)
    #expect(contents.backups.map(\.sequence) == [5, 4, 3, 1] && contents.backups.allSatisfy(\.isComplete))
    #expect(contents.way(to: id(5)) == [own])
    #expect(contents.way(to: id(6))?.map(\.sequence) == [5, 4])
    #expect(contents.way(to: id(3)) == [names[2], other, names[0]])
    // A superseded one never counts before one on the line.
    let late = same(5, 4, nil, epoch: 1)
    let line = RemoteContents([names[0], other, late], superseded: [late])
    #expect(line.way(to: id(5)) == [other, names[0]] && line.backups.map(\.isSuperseded) == [false, false])
  }

  @Test("A forged name with the ID of another backup is refuted, and then the other one is used")
  func forgedID() {
    let forged = same(1, 900, nil, epoch: 9)
    let contents = RemoteContents([name(1, nil), name(2, 1), forged])
    #expect(contents.way(to: id(1)) == [forged] && contents.way(to: id(2))?.map(\.sequence) == [2, 1])
    #expect(contents.without([forged]).way(to: id(1)) == [name(1, nil)])
  }

  @Test("A beginning of an ID names one backup, and a whole ID never another one")
  func references() throws {
    let contents = RemoteContents([name(1, nil), name(70, nil, chain: 70)])
    #expect(try contents.backup("backup_19700101_0001").sequence == 70)
    for (text, code) in [
      ("backup_19700101_00", HoldfastError.Code.usage), ("backup_19700101_000099", .pointNotFound),
      ("", .pointNotFound),
      ("x", .pointNotFound), ("backup_19700101_000001_001", .pointNotFound),
    ] {
      let error = #expect(throws: HoldfastError.self) { _ = try contents.backup(text) }
      #expect(error?.code == code, "\(text)")
    }
  }
}
