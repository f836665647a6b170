import CSQLite

/// What keeps this SQLite from reading a database's schema. The pages can be read all the same.
package struct SchemaProblem: Hashable, Sendable {
  package enum Kind: Hashable, Sendable {
    /// An object is written in a way that this SQLite does not know: a newer one may.
    case notUnderstood
    /// The schema's own pages or entries contradict each other.
    case damaged
  }

  package let kind: Kind
  /// SQLite's words.
  package let words: String

  init(_ error: DatabaseError) {
    words = error.reason
    kind = Self.isOfParser(words) ? .notUnderstood : .damaged
  }

  /// SQLite names the object and then why: `malformed database schema (v) - near "ORDER": syntax error`. Its own complaints
  /// about entries that contradict each other are these (`prepare.c`, `build.c`); all others come from its parser.
  private static func isOfParser(_ words: String) -> Bool {
    guard words.hasPrefix("malformed database schema ("), let reason = words.firstRange(of: ") - ") else {
      return false
    }
    return !["rootpage", "orphan index", "already exists", "already another", "object name reserved"].contains {
      words[reason.upperBound...].contains($0)
    }
  }
}

extension DatabaseConnection {
  /// Reads the schema, which begins the read transaction of a `BEGIN`.
  ///
  /// If SQLite cannot read the schema, it is told to go on with the objects that it understands, and ``schemaProblem`` says
  /// why: pages need no schema. Nothing may be written through the tables of such a connection.
  ///
  /// - Throws: ``DatabaseError`` if not even the first page can be read as a database's.
  func readSchema() throws(DatabaseError) {
    do {
      try pastSchema { () throws(DatabaseError) in _ = try rows(.firstRead) }
    } catch {
      // The b-tree of the schema itself is damaged. A field of the header needs only the transaction.
      guard error.kind == .corrupt, (try? rows(.userVersion)) != nil else { throw error }
    }
  }

  /// Runs what may be run twice; the second time, after SQLite could not read the schema, with what it understands of it.
  func pastSchema(_ body: () throws(DatabaseError) -> Void) throws(DatabaseError) {
    do {
      try body()
    } catch {
      guard error.kind == .corrupt, schemaProblem == nil else { throw error }
      // This flag lets SQLite use what it could load; `DEFENSIVE` keeps the schema of an observer unwritable all the same.
      _ = csqlite_db_config(handle, SQLITE_DBCONFIG_WRITABLE_SCHEMA, 1, nil)
      finalizeStatements()
      schemaProblem = SchemaProblem(error)
      try body()
    }
  }
}
