import BackupEngine
import BackupPolicy
import TestSupport
import Testing

/// SQLite never uses the page at 1 GiB. The files here are sparse, and their pages large.
@Suite("The lock page", .ownThread)
struct LockPageTests {
  @Test("A database that grows over the lock page and shrinks again is restored")
  func crossing() throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 20, journal: "delete", pageSize: 65536)
    // The header may claim any number of pages: the pages in between are never referred to.
    let grow = """
      import os, struct, sys
      with open(sys.argv[1], "r+b") as file:
          file.truncate(1 << 30)
          file.seek(28); file.write(struct.pack(">I", 1 << 14))
          file.seek(24); change = file.read(4)
          file.seek(92); file.write(change)
      """
    #expect(try Python.run(script: grow, arguments: [bed.database]).status == 0)
    let full = try bed.engine().create(CreateRequest())
    #expect(full.pageCount == 16384)
    try bed.change("INSERT INTO entries(text) VALUES (randomblob(300000))")
    let grown = try bed.storeIncremental()
    #expect(grown.pageCount! > 16386 && grown.pagesStored! < 12)
    try requireSame(bed, grown.id)
    let table = try bed.folder.read("backups/.state/page-digests") ?? []
    #expect(table.count == 4096 + 16 * Int(grown.pageCount!))
    #expect(table[(4096 + 16 * 16384)..<(4096 + 16 * 16385)].allSatisfy { $0 == 0 })
    // A table made anew from the chain is the same.
    try SystemFileOperations().unlink("\(bed.backups)/.state/page-digests")
    guard case .unchanged = try bed.engine().store(CreateRequest(), kind: .incremental) else {
      throw BrokenPromise("something was stored")
    }
    #expect(try bed.folder.read("backups/.state/page-digests") == table)
    try bed.change("DELETE FROM entries WHERE length(text) > 1000; VACUUM")
    let shrunk = try bed.storeIncremental()
    #expect(shrunk.pageCount! < 10)
    #expect(try bed.restored(shrunk.id) == bed.image())
  }

  private func requireSame(_ bed: TestBed, _ id: PointID) throws {
    let path = bed.folder.path("large.db")
    // An integrity check would find that most pages are unused.
    let request = RestoreRequest(pointID: id, target: .newFile(path: path), verifyFirst: false)
    guard case .plan(let plan) = try bed.engine().planRestore(request) else { throw BrokenPromise("no plan") }
    _ = try bed.engine().restore(plan)
    let result = try Shell.run("cmp", [path, bed.database])
    #expect(result.status == 0, "\(result.stdout)")
    try SystemFileOperations().unlink(path)
  }
}
