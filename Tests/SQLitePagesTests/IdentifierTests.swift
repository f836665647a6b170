import Names
@testable import SQLitePages
import TestSupport
import Testing

@Suite("Names in SQL", .ownThread)
struct IdentifierTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// Names of one character in two spellings, of letters that only Unicode folds, and of bytes that
  /// are not UTF-8.
  static let names: [Identifier] = [
    "users", "Users", "USERS", "\u{e9}", "\u{c9}", "caf\u{e9}", "cafe\u{301}", "CAFE\u{301}", "stra\u{df}e", "strasse",
    "\u{130}", "i", "I", "K", "k", "\u{212a}", "a\"b", "a b", "[x]", "`x`", "sqlite", "\u{1f600}",
    Identifier(bytes: [0x74, 0xff]), Identifier(bytes: [0x74, 0xfe]), Identifier(bytes: [0xc3]), "\u{fffd}",
    "t\u{fffd}",
  ]

  private func database(_ name: String = "app.db") throws -> DatabaseConnection {
    try DatabaseConnection(path: folder.path(name), access: .scratch)
  }

  private func run(_ sql: SQLText, _ connection: DatabaseConnection) throws {
    _ = try connection.read(sql) { $0.integer(0) }
  }

  @Test("Names are the same if SQLite considers them the same", arguments: names)
  func equality(one: Identifier) throws {
    for other in Self.names {
      let connection = try database("\(Self.names.firstIndex(of: other) ?? 0)")
      defer { connection.close() }
      try run("DROP TABLE IF EXISTS \(one)", connection)
      try run("CREATE TABLE \(one)(x)", connection)
      let found = try connection.read("SELECT 1 FROM pragma_table_list(?) WHERE schema = 'main'", bind: [other]) {
        $0.integer(0)
      }
      #expect(found.isEmpty == (one != other), "\(one) and \(other)")
      if one == other { #expect(one.hashValue == other.hashValue && !(one < other)) }
      try run("DROP TABLE \(one)", connection)
    }
  }

  /// Creates a table for each distinct name, with as many rows as the name's number.
  private func fill(_ connection: DatabaseConnection) throws -> [Identifier: Int64] {
    var counts: [Identifier: Int64] = [:]
    for (number, name) in Self.names.enumerated() where counts[name] == nil {
      try run("CREATE TABLE \(name)(id INTEGER PRIMARY KEY, \(name))", connection)
      for row in 0..<number { try run("INSERT INTO \(name) VALUES (\(row), \(100 * number + row))", connection) }
      counts[name] = Int64(number)
    }
    return counts
  }

  @Test("Tables are kept apart by name when rows are counted and when they are compared")
  func comparison() throws {
    let (before, after) = (try database("before.db"), try database("after.db"))
    let counts = try fill(before)
    _ = try fill(after)
    #expect(Set(try before.tableRoots().keys) == Set(counts.keys))
    for (table, count) in counts {
      let sql: SQLText = "SELECT count(*) FROM \(table)"
      #expect(try before.integer(sql) == count, "\(table)")
    }
    for name in [Identifier("cafe\u{301}"), "\u{c9}", Identifier(bytes: [0x74, 0xff])] {
      try run("DELETE FROM \(name) WHERE id = 1", after)
      let difference = try DatabaseComparison(before, after, limit: 10).run()
      #expect(difference.tables.map(\.name.bytes) == [name.bytes] && difference.tables.first?.removed == 1, "\(name)")
      try run("INSERT INTO \(name) SELECT 1, 100 * \(Self.names.firstIndex(of: name) ?? 0) + 1", after)
    }
  }

  @Test("A table is copied with its own rows, however similar other names are", arguments: names)
  func copy(name: Identifier) throws {
    let source = try database()
    let counts = try fill(source)
    source.close()
    let reader = try DatabaseConnection(path: folder.path("app.db"), access: .readOnly)
    let target = try database("copy.db")
    let copied = try TableCopy(from: reader, into: target) {}.run([name]) {}
    #expect(copied == [name: counts[name] ?? -1])
    #expect(try target.schema().map(\.name) == [name])
    let sql: SQLText = "SELECT coalesce(min(\(name)), 0) FROM \(name)"
    #expect(try target.integer(sql) == (counts[name] ?? 0) * 100)
  }

  @Test("The schema differs if only the bytes of a statement differ")
  func schema() throws {
    func object(_ sql: SQLText) -> SchemaObject { SchemaObject(type: "table", name: "t", table: "t", sql: sql) }
    let statements: [SQLText] = [
      "CREATE TABLE t(x DEFAULT 'caf\u{e9}')", "CREATE TABLE t(x DEFAULT 'cafe\u{301}')",
      SQLText(bytes: Array("CREATE TABLE t(x DEFAULT 'caf".utf8) + [0xe9, 0x27, 0x29]),
    ]
    for (number, one) in statements.enumerated() {
      for (other, second) in statements.enumerated() {
        let changes = SchemaChange.between([object(one)], [object(second)])
        #expect(changes.isEmpty == (number == other), "\(one) and \(second)")
      }
    }
  }

  @Test("A value whose spelling alone changed is listed with both spellings")
  func values() throws {
    let (before, after) = (try database("before.db"), try database("after.db"))
    for (connection, text) in [(before, "caf\u{e9}"), (after, "cafe\u{301}")] {
      try connection.execute(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v, w); INSERT INTO t VALUES (1, '\(text)', 'same')")
    }
    let table = try #require(try DatabaseComparison(before, after, limit: 10).run().tables.first)
    #expect(table.changed == 1 && table.rows.first?.before?.map(\.column) == ["v"])
  }
}
