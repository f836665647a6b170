import BackupEngine
import Logging
import TestSupport

/// A database and a service, as a program outside this package creates one, in a folder of their
/// own.
final class LibraryBed: Sendable {
  let folder: TemporaryFolder
  var database: String { folder.path("app.db") }
  var backups: String { folder.path("backups") }
  static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  init(rows: Int = 500) throws {
    folder = try TemporaryFolder()
    try sql(
      """
      PRAGMA journal_mode = WAL;
      CREATE TABLE entries(id INTEGER PRIMARY KEY, text TEXT);
      INSERT INTO entries SELECT n, hex(randomblob(80)) FROM (\(DatabaseFixture.numbers(rows)));
      """)
  }

  var options: BackupServiceOptions {
    var options = BackupServiceOptions()
    options.stateFolder = folder.path("state")
    options.busyTimeout = .milliseconds(500)
    return options
  }

  func service(password: String? = "correct horse battery staple") throws -> BackupService {
    try BackupService(
      databaseURL: "sqlite:///\(database)", encryptionPassword: password, options: options, logger: Self.silent)
  }

  func plainService() throws -> BackupService {
    var options = options
    options.encrypt = false
    return try BackupService(databaseURL: database, options: options, logger: Self.silent)
  }

  /// Runs statements by the `sqlite3` shell and returns its output.
  @discardableResult
  func sql(_ text: String, at path: String? = nil) throws -> String {
    // If an agent closes the database last, it checkpoints the log, and no other program may read
    // or write at that moment.
    let result = try Shell.run("sqlite3", ["-cmd", ".timeout 10000", path ?? database, text])
    guard result.status == 0 else { throw HoldfastError(.failed, "sqlite3: \(result.stderr)") }
    return String(result.stdout.dropLast())
  }

  func rows(at path: String? = nil) throws -> String { try sql("SELECT count(*) FROM entries", at: path) }
}
