import CSQLite
import Names

/// SQLite's own checks, run on a private file.
package enum IntegrityCheck {
  package enum Kind: String, Hashable, Sendable, CaseIterable {
    case full = "integrity_check"
    case quick = "quick_check"
    case foreignKeys = "foreign_key_check"
  }

  package enum Outcome: Hashable, Sendable {
    case passed
    /// The first ten of SQLite's messages about the content.
    case failed([String])
    /// Tables and their indexes are intact. Data that a module derives from them (a full-text
    /// index) disagrees with them and can be rebuilt from them: the first ten of SQLite's messages.
    case derivedDataDiffers([String])
    /// The check cannot run here: it needs a collation, function or module that only the application has.
    case skipped(needs: String)
  }

  /// Messages to keep.
  private static let messageLimit = 10
  /// Messages to ask for: those about derived data must not hide others.
  private static let askedMessages = 100

  /// Opens the private file at `path` and checks it. If it does not open as a database, the check
  /// has failed.
  package static func run(_ kind: Kind, path: String) throws -> Outcome {
    do {
      return try run(kind, on: DatabaseConnection(path: path, access: .readOnly))
    } catch let error as DatabaseError where [.corrupt, .notADatabase].contains(error.kind) {
      return .failed([error.reason])
    }
  }

  /// - Throws: ``DatabaseError`` if the error is independent of the content: I/O, locks, an
  ///   interrupt.
  package static func run(_ kind: Kind, on connection: DatabaseConnection) throws -> Outcome {
    switch connection.schemaProblem?.kind {
    case .damaged?: .failed([connection.schemaProblem?.words ?? ""])
    case .notUnderstood?: .skipped(needs: connection.newerSQLite)
    case nil: try outcome { try messages(kind, connection) }
    }
  }

  /// FTS and R*Tree check themselves since SQLite 3.44, so the same content may pass in one version and not in another.
  private static func isAboutDerivedData(_ message: String) -> Bool {
    ["malformed inverted index", "unable to validate the inverted index", "fts5: ", "fts3: ", "fts4: "].contains {
      message.hasPrefix($0)
    }
  }

  /// The outcome that SQLite's messages mean; `messages` does not contain "ok".
  package static func judge(_ messages: [String]) -> Outcome {
    let serious = messages.filter { !isAboutDerivedData($0) }
    if !serious.isEmpty { return .failed(Array(serious.prefix(messageLimit))) }
    return messages.isEmpty ? .passed : .derivedDataDiffers(Array(messages.prefix(messageLimit)))
  }

  private static func outcome(_ body: () throws -> [String]) throws -> Outcome {
    do {
      return judge(try body())
    } catch let error as DatabaseError {
      switch error.kind {
      case .missingExtension: return .skipped(needs: error.missing)
      case .corrupt, .notADatabase: return .failed([error.reason])
      case .other where error.resultCode & 0xff == SQLITE_ERROR:
        // The statement of the check did not compile, which is independent of the content.
        return .skipped(
          needs: "something that this SQLite (\(DatabaseConnection.libraryVersion)) lacks: \(error.reason)")
      default: throw error
      }
    }
  }

  private static func messages(_ kind: Kind, _ connection: DatabaseConnection) throws -> [String] {
    // Cells are checked as pages are read: a corrupt page is then reported instead of misread.
    try connection.execute("PRAGMA cell_size_check = ON")
    return kind == .foreignKeys ? try foreignKeys(connection) : try integrity(kind, connection)
  }

  private static func integrity(_ kind: Kind, _ connection: DatabaseConnection) throws -> [String] {
    try connection.checkRows("\(kind.rawValue)(\(askedMessages))").compactMap { row in
      guard case .text(let message)? = row.first, message != "ok" else { return nil }
      return message.replacing(DatabaseConnection.viewName, with: "main")
    }
  }

  private static func foreignKeys(_ connection: DatabaseConnection) throws -> [String] {
    try connection.rows("PRAGMA foreign_key_check", limit: messageLimit).map { row in
      guard row.count >= 3, case .text(let table) = row[0], case .text(let parent) = row[2] else {
        return "a row refers to one that does not exist"
      }
      guard case .integer(let id) = row[1] else { return "a row of \(table) refers to a missing row of \(parent)" }
      return "row \(id) of \(table) refers to a missing row of \(parent)"
    }
  }
}

extension DatabaseConnection {
  /// The requirement of a schema that this SQLite does not understand. A damaged text and new syntax look the same to its parser.
  fileprivate var newerSQLite: String {
    "a newer SQLite, or a repair of the schema, which SQLite \(Self.libraryVersion) cannot read: "
      + (schemaProblem?.words ?? "")
  }
}

extension DatabaseConnection {
  /// Names of tables with a b-tree of their own, in the schema's order.
  ///
  /// Virtual tables and their shadow tables are left out, because a person does not count their
  /// rows.
  func ordinaryTables() throws(DatabaseError) -> [Identifier] {
    let tables = try tables()
    let shadows = Set(
      tables.filter(\.isVirtual).flatMap { table in
        Self.shadowSuffixes.map { Identifier(bytes: table.name.bytes + "_\($0)".utf8) }
      })
    return tables.filter { !$0.isVirtual && !$0.name.isInternal && !shadows.contains($0.name) }.map(\.name)
  }

  /// Names of all tables, SQLite's own included, in the schema's order.
  package func tableNames() throws(DatabaseError) -> [Identifier] {
    try tables().map(\.name)
  }

  /// The suffixes of the tables of FTS3/4, FTS5 and R*Tree, after the virtual table's name and an
  /// underscore.
  private static let shadowSuffixes = [
    "content", "segments", "segdir", "docsize", "stat", "data", "idx", "config", "node", "parent", "rowid",
  ]

  private func tables() throws(DatabaseError) -> [(name: Identifier, isVirtual: Bool)] {
    try read(.tables) { row in
      if let name = row.name(0), let root = row.integer(1) { (name, root <= 0) } else { nil }
    }
  }
}
