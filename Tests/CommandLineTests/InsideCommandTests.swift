import BackupEngine
import FoundationEssentials
import TestSupport
import Testing

@Suite("diff, show --schema and restore --table", .ownThread)
struct InsideCommandTests {
  private struct Difference: Decodable {
    struct Table: Decodable {
      var name: String
      var added: Int
      var removed: Int
      var changed: Int
      var rows: [Row]?
    }
    struct Row: Decodable {
      var change: String
      var key: [String: Int]
    }
    struct Change: Decodable, Equatable {
      var type: String
      var name: String
      var change: String
    }
    var identical: Bool
    var tables: [Table]
    var schema: [Change]
  }

  @Test("diff identifies rows by their keys, and --exit-code reports whether any differ")
  func diff() throws {
    let bed = try CommandBed(rows: 50)
    let first = try bed.create()
    let second = try bed.createIncremental(
      "UPDATE entries SET text = 'new' WHERE id = 9; DELETE FROM entries WHERE id = 4; CREATE TABLE more(a); INSERT INTO more VALUES (1)"
    )
    let found = try decode(Difference.self, bed.succeed("diff", first, second, "--json"))
    #expect(!found.identical && found.schema == [Difference.Change(type: "table", name: "more", change: "added")])
    #expect(found.tables.map(\.name) == ["entries", "more"])
    #expect(found.tables[0].rows?.map(\.change) == ["removed", "changed"])
    #expect(found.tables[0].rows?.map(\.key) == [["id": 4], ["id": 9]])
    #expect(found.tables[1].added == 1)
    let lines = try bed.succeed("diff", first, "live")
    #expect(lines.contains("\nentries: 0 added, 1 removed, 1 changed\n") && lines.contains("\n  + table more\n"))
    #expect(lines.contains("~ id 9: text \"entry 9 entry 9"))
    let summary = try decode(
      Difference.self, bed.succeed("diff", first, second, "--summary", "--table", "more", "--json"))
    #expect(summary.tables.map(\.name) == ["more"] && summary.tables[0].rows == nil)
    let few = try decode(Difference.self, bed.succeed("diff", first, second, "--limit", "1", "--json"))
    #expect(few.tables[0].rows?.count == 1 && few.tables[0].changed == 1)
    #expect(try bed.run("diff", first, second, "--exit-code").status == 1)
    #expect(try bed.run("diff", second, "live", "--exit-code").status == 0)
    #expect(
      try bed.succeed("diff", second, "live")
        == "\(second) and the live database contain the same rows and the same schema\n")
    #expect(try bed.run("diff", first).status == 64)
    #expect(try bed.run("diff", first, second, "--table", "nix").status == 64)
    #expect(try Shell.run("find", [bed.folder.path("state"), "-path", "*scratch/*"]).stdout == "")
  }

  @Test("show --schema prints the statements, which create a database with the same schema")
  func schema() throws {
    let bed = try CommandBed(rows: 3)
    _ = try bed.value(
      "CREATE INDEX by_text ON entries(text); CREATE VIEW v AS SELECT 1; CREATE TABLE n(id INTEGER PRIMARY KEY AUTOINCREMENT)"
    )
    let point = try bed.create()
    let schema = try bed.succeed("show", "--schema", point)
    let shell = try bed.value(".schema --nosys").replacing(#/\n\/\* .* \*\//#, with: "")
    #expect(schema == shell + "\n")
    let copy = bed.folder.path("copy.db")
    _ = try bed.value(schema, of: copy)
    #expect(try bed.value(".schema", of: copy) == bed.value(".schema"))
    struct Object: Decodable {
      var type: String
      var name: String
      var table: String
      var sql: String
    }
    let objects = try decode([Object].self, bed.succeed("show", "--schema", point, "--json"))
    #expect(objects.map(\.name) == ["entries", "by_text", "v", "n"] && objects[1].table == "entries")
  }

  private static let tables = """
    CREATE TABLE users(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT COLLATE NOCASE UNIQUE, twice INT AS (id * 2) STORED,
      team INT REFERENCES teams(id), CHECK (name <> '')) STRICT;
    INSERT INTO users(id, name) VALUES (3, 'Ann'), (8, 'bob'), (11, 'gone'); DELETE FROM users WHERE id = 11;
    CREATE INDEX by_name ON users(name) WHERE name > 'a';
    CREATE TABLE log(what); INSERT INTO log(rowid, what) VALUES (10, 'x'), (20, x'00'), (30, NULL);
    CREATE TRIGGER logged AFTER INSERT ON users BEGIN INSERT INTO log VALUES (new.name); END;
    CREATE TABLE pairs(a, b, c, PRIMARY KEY(b, a)) WITHOUT ROWID; INSERT INTO pairs VALUES (1, 2, 3), (2, 1, 'z');
    CREATE VIRTUAL TABLE notes USING fts5(text); CREATE VIEW seen AS SELECT 1;
    """

  @Test("restore --table copies the definition, rows with their rowids, counter, indexes and triggers")
  func restoreTable() throws {
    let bed = try CommandBed(rows: 3)
    _ = try bed.value(Self.tables)
    let point = try bed.create()
    let other = bed.folder.path("other.db")
    let dry = try bed.succeed("restore", point, "--table", "users", "--to", other, "--dry-run")
    #expect(dry.contains("  users with index by_name and trigger logged\n"))
    #expect(dry.contains("  ! users refers to teams, which the target does not have"))
    #expect(try SystemFileOperations().status(other) == nil)
    _ = try bed.succeed("restore", point, "--table", "users", "--table", "pairs", "--to", other, "--yes")
    _ = try bed.succeed("restore", point, "--table", "LOG", "--to", other, "--yes")
    for table in ["users", "log", "pairs"] {
      let rows = table == "pairs" ? "SELECT * FROM pairs" : "SELECT rowid, * FROM \(table)"
      #expect(try bed.value(rows, of: other) == bed.value(rows))
      let objects = "SELECT type, name, sql FROM sqlite_schema WHERE tbl_name = '\(table)' ORDER BY type, name"
      #expect(try bed.value(objects, of: other) == bed.value(objects))
    }
    #expect(try bed.value("SELECT seq FROM sqlite_sequence WHERE name = 'users'", of: other) == "11")
    #expect(try bed.value("PRAGMA integrity_check", of: other) == "ok")
    #expect(try Shell.run("find", [bed.folder.path, "-name", ".tmp-*"]).stdout == "")
  }

  @Test("restore --table refuses an impossible copy and then changes nothing")
  func refusals() throws {
    let bed = try CommandBed(rows: 3)
    _ = try bed.value(Self.tables)
    let point = try bed.create()
    let other = bed.folder.path("other.db")
    _ = try bed.value("CREATE TABLE mine(x); CREATE INDEX by_name ON mine(x)", of: other)
    let before = try bed.value(".dump", of: other)
    let cases = [
      ("users", other, 8, "already has an object named by_name"), ("notes", other, 8, "is a virtual table"),
      ("notes_data", other, 8, "belongs to a virtual table"), ("seen", other, 8, "is a view"),
      ("nix", other, 64, "has no table nix"), ("log", bed.database, 8, "is the database itself"),
    ]
    for (table, target, status, words) in cases {
      let result = try bed.run("restore", point, "--table", table, "--to", target, "--yes")
      #expect(result.status == status && result.stderr.contains(words), "\(table): \(result.stderr)")
    }
    #expect(try bed.run("restore", point, "--table", "log", "--to", other).status == 8)
    #expect(try bed.run("restore", point, "--table", "log", "--yes").status == 64)
    #expect(try bed.value(".dump", of: other) == before)
    _ = try Shell.run("ln", ["-s", bed.database, bed.folder.path("link.db")])
    #expect(try bed.run("restore", point, "--table", "log", "--to", "link.db", "--yes").status == 8)
  }
}
