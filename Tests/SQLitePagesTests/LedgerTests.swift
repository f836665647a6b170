import Glibc
import SQLitePages
import Testing
import TestSupport

/// Processes write as fast as they can, and every snapshot satisfies their invariants.
@Suite("Snapshots under load", .ownThread)
struct LedgerTests {
  let folder: TemporaryFolder
  let path: String

  init() throws {
    folder = try TemporaryFolder()
    path = folder.path("app.db")
  }

  @Test("Every snapshot is consistent beside two writers in WAL mode, one of which checkpoints all the time")
  func writeAheadLog() throws {
    try DatabaseLedger.create(at: path, journalMode: "wal")
    let writers = [
      try DatabaseLedger.startWriter(path, journalMode: "wal", autocheckpoint: 20, seed: 1),
      try DatabaseLedger.startWriter(path, journalMode: "wal", autocheckpoint: 1000, seed: 2),
    ]
    let positions = try check(snapshots: 60)
    writers.forEach { $0.stop() }
    // The load was real: the log grew, started anew, and was found in parts in the database file.
    #expect(Set(positions.map(\.wal?.maxFrame)).count > 10)
    #expect(Set(positions.map(\.wal?.salts)).count > 1)
    #expect(try DatabaseApplication(path).value("PRAGMA integrity_check") == "ok")
  }

  @Test(
    "Every snapshot is consistent beside a writer in each rollback mode",
    arguments: ["delete", "truncate", "persist", "memory", "off"])
  func rollbackJournal(mode: String) throws {
    try DatabaseLedger.create(at: path, journalMode: mode)
    let writer = try DatabaseLedger.startWriter(path, journalMode: mode, seed: 3)
    let positions = try check(snapshots: 12)
    writer.stop()
    #expect(Set(positions.map(\.changeCounter)).count > 3)
  }

  /// Takes snapshots one after the other, on a connection that is opened anew now and then.
  private func check(snapshots: Int) throws -> [SnapshotPosition] {
    var positions: [SnapshotPosition] = []
    var connection = try DatabaseConnection(path: path, access: .observer, busyTimeout: 20_000)
    for number in 0..<snapshots {
      if number % 7 == 6 {
        connection.close()
        connection = try DatabaseConnection(path: path, access: .observer, busyTimeout: 20_000)
      }
      let snapshot = try DatabaseSnapshot(connection, scratchPath: folder.path("scratch"), patience: 20_000)
      let first = try snapshot.image(pagesAtOnce: 256)
      // Gives the writers time to overwrite pages that must not be read any more.
      if !snapshot.blocksWriters, number % 3 == 0 { usleep(3000) }
      #expect(try snapshot.image(pagesAtOnce: 16) == first, "snapshot \(number) changed while it was held")
      positions.append(snapshot.position)
      snapshot.end()
      try folder.write("copy.db", first)
      try checkInvariants(of: folder.path("copy.db"), number)
    }
    return positions
  }

  private func checkInvariants(of copy: String, _ number: Int) throws {
    let connection = try DatabaseConnection(path: copy, access: .readOnly)
    #expect(try IntegrityCheck.run(.full, on: connection) == .passed, "snapshot \(number)")
    for invariant in DatabaseLedger.invariants {
      #expect(try connection.integer(invariant) == 1, "snapshot \(number): \(invariant)")
    }
  }
}
