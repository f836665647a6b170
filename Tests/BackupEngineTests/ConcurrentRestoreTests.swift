import BackupEngine
import BackupPolicy
import Dispatch
import Synchronization
import TestSupport
import Testing

@Suite("Restores at the same time", .ownThread)
struct ConcurrentRestoreTests {
  @Test("A restore that a transaction keeps waiting names the process that has the database open")
  func transaction() throws {
    let bed = try TestBed()
    try bed.makeDatabase()
    let point = try bed.engine().create(CreateRequest()).id
    let other = try DatabaseProcess(bed.database, in: bed.folder)
    #expect(try other.run("BEGIN IMMEDIATE") == "ok")
    let error = #expect(throws: HoldfastError.self) { try restoreInPlace(bed.engine(), point) }
    #expect(error?.code == .busy && error?.hint?.contains("or stop python3 (process ") == true, "\(error?.hint ?? "")")
  }

  @Test("Two restores into one database are each whole or refused, never mixed, and leave nothing over")
  func sameTarget() throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 400, marker: "first")
    let first = try bed.engine().create(CreateRequest()).id
    bed.time.advance(seconds: 60)
    try bed.change("UPDATE marker SET text = 'second'; DELETE FROM entries WHERE id > 300")
    let second = try bed.engine().create(CreateRequest()).id
    let codes = Mutex<[HoldfastError.Code?]>([])
    DispatchQueue.concurrentPerform(iterations: 12) { number in
      var code: HoldfastError.Code?
      do {
        try restoreInPlace(bed.engine(), number.isMultiple(of: 2) ? first : second)
      } catch {
        code = (error as? HoldfastError)?.code ?? .failed
      }
      codes.withLock { $0.append(code) }
    }
    let results = codes.withLock { $0 }
    #expect(results.contains { $0 == nil }, "\(results)")
    #expect(results.allSatisfy { $0 == nil || $0?.exitCode == 6 }, "\(results)")
    let marker = try bed.marker()
    #expect(try bed.integrity() == .passed)
    let rows = try Shell.run("sqlite3", [bed.database, "SELECT count(*) FROM entries"]).stdout
    #expect(rows == (marker == "first" ? "400\n" : "300\n"), "\(marker ?? "nothing"): \(rows)")
    #expect(try Shell.run("find", [bed.folder.path, "-name", ".tmp-*"]).stdout == "")
    for point in try bed.engine().list() { #expect(try bed.engine().verify(point.id.text).verified) }
  }
}
