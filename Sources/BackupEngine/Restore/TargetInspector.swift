import BackupPolicy
import Glibc
import SQLitePages

/// Inspects the file that a restore would write.
struct TargetInspector {
  let environment: EngineEnvironment
  /// The file itself, symbolic links resolved.
  let path: String

  init(_ path: String, _ environment: EngineEnvironment) {
    self.environment = environment
    self.path = path.resolvingLinks
  }

  /// - Throws: if this process may not read the file, or if the disk fails.
  func inspect() throws -> TargetFacts {
    var facts = TargetFacts(path: path, state: .missing)
    facts.sideFiles = try sideFiles()
    facts.sideFileBytes = try facts.sideFiles.reduce(0) { try $0 + (environment.files.status(side($1))?.size ?? 0) }
    guard let status = try environment.files.status(path) else { return facts }
    facts.size = status.size
    guard status.kind == .regular else {
      facts.state = .notAFile
      return facts
    }
    try open(&facts)
    // Opening may roll back a hot journal. So the identity is read from the present file.
    facts.identity = try identity()
    facts.sideFiles = try sideFiles()
    facts.openBy = OtherProcess.having(FileIdentity(device: status.device, inode: status.inode))
      .map(\.description).sorted()
    return facts
  }

  func identity() throws -> BackupPolicy.FileFacts? {
    try environment.files.status(path).map {
      BackupPolicy.FileFacts(device: $0.device, inode: $0.inode, changed: $0.changed, size: $0.size)
    }
  }

  /// Names of the `-wal` and `-journal` beside the target.
  func sideFiles() throws -> [String] {
    try ["-wal", "-journal"].filter { try environment.files.status(path + $0) != nil }.map { path.lastComponent + $0 }
  }

  func side(_ name: String) -> String { "\(path.parentPath)/\(name)" }

  /// The present page size and encoding; nil if the database does not open.
  func layout() throws -> DatabaseLayout? {
    do {
      let connection = try DatabaseConnection(path: path, access: .observer, busyTimeout: environment.busyTimeout)
      defer { connection.close() }
      let facts = try Self.databaseFacts(connection)
      return DatabaseLayout(pageSize: facts.pageSize, textEncoding: facts.textEncoding)
    } catch let error as DatabaseError {
      if [.notADatabase, .corrupt, .missing, .notAFile].contains(error.kind) { return nil }
      throw HoldfastError(error)
    }
  }

  private func open(_ facts: inout TargetFacts) throws {
    do {
      let connection = try DatabaseConnection(path: path, access: .observer, busyTimeout: environment.busyTimeout)
      defer { connection.close() }
      let database = try Self.databaseFacts(connection)
      facts.state = database.pageCount == 0 ? .empty : .database(database)
    } catch let error as DatabaseError {
      switch error.kind {
      case .notADatabase, .corrupt: facts.state = .unreadable(reason: error.message)
      case .busy, .exclusive, .unstable: facts.state = .busy(reason: error.message)
      case .missing: facts.state = .missing
      case .notAFile: facts.state = .notAFile
      default: throw HoldfastError(error)
      }
    }
  }

  static func databaseFacts(_ connection: DatabaseConnection) throws -> DatabaseFacts {
    DatabaseFacts(
      pageSize: Int(try connection.integer("PRAGMA page_size") ?? 0),
      pageCount: UInt32(clamping: try connection.integer("PRAGMA page_count") ?? 0),
      textEncoding: try connection.text("PRAGMA encoding") ?? "UTF-8",
      journalMode: try connection.journalMode())
  }
}

extension RestoreTarget {
  /// Resolves symbolic links: a link stays a link, and the file to which it points is restored.
  var resolved: RestoreTarget {
    switch self {
    case .database(let path): .database(path: path.resolvingLinks)
    case .newFile(let path): .newFile(path: path.resolvingLinks)
    }
  }
}
