import BackupPolicy
import Glibc
import TestSupport
import Testing

@testable import BackupEngine

/// Offsets beyond 32 bits. The file is sparse, but reading zeros takes its time: `HOLDFAST_LARGE_TESTS=1` runs it.
@Suite(.ownThread, .enabled(if: getenv("HOLDFAST_LARGE_TESTS") != nil, "HOLDFAST_LARGE_TESTS is not set"))
struct LargeDatabaseTests {
  @Test("A database of more than 4 GiB is restored when its end grew and changed")
  func offsets() throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 20, journal: "delete", pageSize: 65536)
    let pages = UInt32(4500 * 16)
    // The header may claim any number of pages: the pages in between are never referred to.
    let grow = """
      import os, struct, sys
      with open(sys.argv[1], "r+b") as file:
          file.truncate(int(sys.argv[2]) << 16)
          file.seek(28); file.write(struct.pack(">I", int(sys.argv[2])))
          file.seek(24); change = file.read(4)
          file.seek(92); file.write(change)
      """
    #expect(try Python.run(script: grow, arguments: [bed.database, "\(pages)"]).status == 0)
    let full = try bed.engine().create(CreateRequest())
    #expect(full.pageCount == pages)
    try bed.change("PRAGMA journal_mode = wal; INSERT INTO entries(text) VALUES (randomblob(300000))")
    let grown = try bed.storeIncremental()
    #expect(grown.pageCount! > pages + 3 && grown.pagesStored! < 12)
    try requireSame(bed, grown.id)
    // A page beyond 4 GiB changes; the others need not be read to find it.
    try bed.change("UPDATE entries SET text = randomblob(300000) WHERE length(text) = 300000")
    bed.time.advance(milliseconds: 1000)
    let candidates = [1, 2, 3] + Array(pages...grown.pageCount!)
    guard case .stored(let changed, _) = try bed.storeIncremental(.superset(candidates)) else {
      throw BrokenPromise("nothing was stored")
    }
    #expect(changed.pagesStored! >= 4 && changed.pagesStored! < 12)
    try requireSame(bed, changed.id)
  }

  /// Compares while it reads: a restored file would be 4 GiB on the disk.
  private func requireSame(_ bed: TestBed, _ id: PointID) throws {
    let repository = try bed.engine().repository()
    let target = try FileComparison(bed.database)
    let reader = ChainReader(
      open: try OpenChain(repository.chain(of: repository.point(id.text)), in: repository),
      files: SystemFileOperations(), credentials: TestBed.credentials(.key), progress: Progress())
    let (archive, _) = try reader.read(to: target)
    #expect(archive.imageSize == target.size)
  }
}

/// No other code has the database open meanwhile, so a descriptor of its own drops no locks.
private final class FileComparison: ImageTarget {
  private let file: OpenFile
  private let files = SystemFileOperations()
  let size: Int64

  init(_ path: String) throws {
    file = try files.open(path, .read)
    size = try files.size(file)
  }

  deinit { files.close(file) }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
    try withUnsafeTemporaryAllocation(byteCount: bytes.count, alignment: 4096) { room in
      guard try files.read(file, into: room, at: offset) == room.count,
        memcmp(room.baseAddress!, bytes.baseAddress!, room.count) == 0
      else { throw BrokenPromise("at \(offset) something else came back") }
    }
  }
}
