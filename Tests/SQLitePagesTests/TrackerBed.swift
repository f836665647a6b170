import Glibc
import SQLitePages
import TestSupport
import Testing

/// A tracker beside a database, and the truth: images of the states that the database went through.
final class TrackerBed {
  let folder: TemporaryFolder
  let path: String
  private(set) var tracker = PageTracker()
  private(set) var connection: DatabaseConnection?
  private var image: [UInt8] = []
  private(set) var outcomes: [TrackerOutcome] = []

  /// - Parameter base: the folder that contains all its files.
  init(in base: String? = nil) throws {
    folder = try TemporaryFolder(in: base)
    path = folder.path("app.db")
  }

  /// A database in WAL mode with 600 rows of about a quarter of a page, checkpointed and open.
  func application(
    _ setup: String = "", path: String? = nil, parameters: String = ""
  ) throws -> DatabaseApplication {
    try DatabaseApplication(
      path ?? self.path,
      """
      PRAGMA journal_mode = wal;
      PRAGMA wal_autocheckpoint = 0;
      PRAGMA synchronous = OFF;
      CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, v BLOB);
      INSERT OR IGNORE INTO t SELECT n, randomblob(900) FROM (\(DatabaseFixture.numbers(600)));
      PRAGMA wal_checkpoint(TRUNCATE);
      \(setup)
      """, parameters: parameters)
  }

  /// Waits until the file's times can show a later write.
  func settle() { usleepMilliseconds(25) }

  func closeConnection() {
    connection?.close()
    connection = nil
  }

  /// Probes the database: as a new start if `asPoint`, else as a step. Checks that no changed page
  /// was missed.
  @discardableResult
  func look(asPoint: Bool = false, sourceLocation: SourceLocation = #_sourceLocation) throws -> TrackerOutcome? {
    if connection?.filesAreUnchanged == false { closeConnection() }
    let connection = try connection ?? DatabaseConnection(path: path, access: .observer, busyTimeout: 20_000)
    self.connection = connection
    let snapshot = try DatabaseSnapshot(connection, scratchPath: folder.path("scratch"), patience: 20_000)
    defer { snapshot.end() }
    let now = try snapshot.image(pagesAtOnce: 64)
    if asPoint {
      tracker.start(at: TrackerPosition(snapshot))
      image = now
      return nil
    }
    let outcome = tracker.follow(snapshot)
    snapshot.end()
    outcomes.append(outcome)
    if tracker.gap == nil {
      let missed = changed(to: now, pageSize: snapshot.geometry.pageSize).filter { !tracker.pages.contains($0) }
      #expect(missed.isEmpty, "missed pages \(missed), \(outcome)", sourceLocation: sourceLocation)
    }
    return outcome
  }

  /// Pages that differ between the last point and `now`, among those that exist in both.
  private func changed(to now: [UInt8], pageSize: Int) -> [UInt32] {
    (0..<min(image.count, now.count) / pageSize).filter { page in
      image[page * pageSize..<(page + 1) * pageSize] != now[page * pageSize..<(page + 1) * pageSize]
    }.map { UInt32($0 + 1) }
  }
}

func usleepMilliseconds(_ count: UInt32) { usleep(count * 1000) }
