import FoundationEssentials
import Glibc
import TestSupport
import Testing

/// A database, a key and a place for all files of the program, and the program itself as a real
/// process.
final class CommandBed: Sendable {
  let folder: TemporaryFolder
  var database: String { folder.path("app.db") }
  var backups: String { folder.path("backups") }

  /// The program, as built beside these tests.
  static let program = folderOfThisProcess + "/holdfast"

  /// - Parameter rows: of the table `entries`; the database is in WAL mode and closed.
  init(rows: Int = 1234) throws {
    folder = try TemporaryFolder()
    try folder.write("key", Array(String(repeating: "0123456789abcdef", count: 4).utf8))
    try makeDatabase(at: database, rows: rows)
  }

  /// The settings of a target in the folder `nas`.
  static let folderTarget = "[[targets]]\nurl = \"nas/{name}\"\n"

  /// A bed with a small database, the folder `nas`, and a settings file.
  static func withFolderTarget(_ settings: String = folderTarget) throws -> CommandBed {
    let bed = try CommandBed(rows: 20)
    try bed.folder.write("holdfast.toml", Array(settings.utf8))
    mkdir(bed.folder.path("nas"), 0o700)
    return bed
  }

  func makeDatabase(at path: String, rows: Int) throws {
    try python(
      """
      import sqlite3, sys
      connection = sqlite3.connect(sys.argv[1])
      connection.execute("PRAGMA journal_mode = WAL")
      connection.execute("CREATE TABLE entries(id INTEGER PRIMARY KEY, text TEXT)")
      rows = ((n, f"entry {n} " * 10) for n in range(1, int(sys.argv[2]) + 1))
      connection.executemany("INSERT INTO entries VALUES (?, ?)", rows)
      connection.commit()
      """, path, "\(rows)")
  }

  /// Runs the program in the bed's folder. `app.db` is the database unless the environment names
  /// another.
  func run(
    _ arguments: String..., environment: [String: String] = [:], stdin: String = ""
  ) throws -> ProgramResult {
    try Shell.run(
      Self.program, arguments, environment: self.environment(environment), stdin: Array(stdin.utf8), in: folder.path)
  }

  /// Runs it and returns its output; fails the test if it does not end with 0 or prints a
  /// complaint.
  @discardableResult
  func succeed(_ arguments: String..., environment: [String: String] = [:]) throws -> String {
    let result = try Shell.run(
      Self.program, arguments, environment: self.environment(environment), in: folder.path)
    #expect(result.status == 0 && result.stderr == "", "\(arguments): \(result.status), \(result.stderr)")
    return result.stdout
  }

  /// Stores a backup and returns its ID.
  func create(_ environment: [String: String] = [:]) throws -> String {
    try decode(Point.self, succeed("create", "--json", environment: environment)).backupId
  }

  /// Changes the database, stores an incremental and returns its ID.
  func createIncremental(_ sql: String? = nil, _ environment: [String: String] = [:]) throws -> String {
    _ = try value(sql ?? "INSERT INTO entries(text) VALUES ('one more')")
    let point = try decode(Point.self, succeed("create", "--incremental", "--json", environment: environment))
    #expect(point.kind == "incremental")
    return point.backupId
  }

  /// Creates a full and this many incrementals, and returns their IDs, oldest first.
  func makeChain(incrementals count: Int) throws -> [String] {
    try [create()] + (0..<count).map { _ in try createIncremental() }
  }

  /// Gives backups other times, as if the clock had shown them: in the metadata only, which no
  /// header contradicts. For plain archives.
  func setTime(of id: String, to time: String) throws {
    try python(
      """
      import json, sys
      path, time = sys.argv[1:]
      with open(path) as file: point = json.load(file)
      point["created_at"] = time
      with open(path, "w") as file: json.dump(point, file)
      """, "\(backups)/.metadata/\(id).json", time)
  }

  /// An environment without any of the caller's settings. An empty variable counts as unset.
  func environment(_ more: [String: String] = [:]) -> [String: String] {
    [
      "HOME": folder.path("home"), "XDG_CONFIG_HOME": folder.path("config"), "XDG_STATE_HOME": folder.path("state"),
      "TZ": "UTC", "DATABASE_URL": "sqlite:///app.db", "BACKUP_ENCRYPTION_KEY_FILE": folder.path("key"),
    ].merging(more) { $1 }
  }

  /// Runs a script that must succeed, and returns its output.
  @discardableResult
  func python(_ script: String, _ arguments: String..., environment: [String: String] = [:]) throws -> String {
    let result = try Python.run(script: script, arguments: arguments, environment: environment)
    try #require(result.status == 0, "\(result.stderr)")
    return result.stdout
  }

  /// The first value of a query, by the `sqlite3` shell. It waits for locks, as an application does:
  /// an agent that closes the database at this moment holds all of them.
  func value(_ sql: String, of path: String? = nil) throws -> String {
    let result = try Shell.run("sqlite3", ["-cmd", ".timeout 10000", path ?? database, sql])
    try #require(result.status == 0, "\(result.stderr)")
    return String(result.stdout.dropLast())
  }

  /// Output without the parts that differ from run to run: IDs, times, sizes, and the bed's folder.
  func normalised(_ text: String) -> String {
    text.replacing(#/backup_\d{8}_\d{6}(_\d{3})?/#, with: "ID")
      .replacing(#/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d( UTC| [+-]\d\d:\d\d)?/#, with: "TIME")
      .replacing(#/[\d.]+ (B|KiB|MiB|GiB)/#, with: "SIZE")
      .replacing(folder.path, with: "DIR")
  }

  private static let folderOfThisProcess: String = {
    var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = buffer.withUnsafeMutableBytes { readlink("/proc/self/exe", $0.baseAddress!, $0.count) }
    let path = String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
    return String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
  }()
}

/// Reads exactly one JSON document: anything before or after it is an error.
func decode<Document: Decodable>(_ type: Document.Type, _ text: String) throws -> Document {
  let decoder = JSONDecoder()
  decoder.keyDecodingStrategy = .convertFromSnakeCase
  return try decoder.decode(type, from: Data(text.utf8))
}
