import BackupPolicy

/// Random databases and random changes to them, and two independent judges of the differences
/// between two databases: Python's own reading of all rows, and SQLite's `sqldiff`.
package enum RandomHistory {
  /// One judge's counts for one table.
  package struct Verdict: Decodable, Hashable, Sendable {
    package var added: Int
    package var removed: Int
    package var changed: Int

    package init(added: Int, removed: Int, changed: Int) {
      self.added = added
      self.removed = removed
      self.changed = changed
    }
  }

  package struct Judgement: Decodable, Sendable {
    /// By Python; tables that do not differ are left out.
    package var rows: [String: Verdict]
    /// By `sqldiff --primarykey --summary`, for the tables that both databases have with the same
    /// columns.
    package var sqldiff: [String: Verdict]
    /// Tables on which both judges report.
    package var common: [String]
  }

  /// Creates a database with every kind of table: pages of 512 bytes, so that a few hundred rows
  /// make deep trees.
  package static func make(_ path: String, seed: UInt64, pageSize: Int = 512) throws {
    try run(making + "make(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))", path, "\(seed)", "\(pageSize)")
  }

  /// Changes it: rows, and now and then the schema.
  package static func change(_ path: String, seed: UInt64) throws {
    try run(making + "change(sys.argv[1], int(sys.argv[2]))", path, "\(seed)")
  }

  package static func judge(_ before: String, _ after: String) throws -> String {
    try run(judging, before, after)
  }

  @discardableResult
  private static func run(_ script: String, _ arguments: String...) throws -> String {
    let result = try Python.run(script: script, arguments: arguments)
    guard result.status == 0 else { throw HoldfastError(.failed, result.stderr) }
    return result.stdout
  }

  private static let making = #"""
    import random, sqlite3, sys

    SCHEMA = [
      "CREATE TABLE ids(id INTEGER PRIMARY KEY, a, b REAL)",
      "CREATE TABLE plain(a, b)",
      "CREATE TABLE pairs(a TEXT, b INT, c, PRIMARY KEY(a, b)) WITHOUT ROWID",
      "CREATE TABLE named(name TEXT PRIMARY KEY, a, b)",
      "CREATE TABLE loose(x, y, a, PRIMARY KEY(x, y))",
      "CREATE TABLE computed(id INTEGER PRIMARY KEY AUTOINCREMENT, a INT, d AS (a * 2), s TEXT AS ('v' || a) STORED)",
      'CREATE TABLE "we""ird ü"(id INTEGER PRIMARY KEY, "c d" TEXT, rowid TEXT)',
      "CREATE TABLE large(id INTEGER PRIMARY KEY, a BLOB)",
      "CREATE TABLE quiet(id INTEGER PRIMARY KEY, a)",
      "CREATE INDEX by_a ON plain(a)",
    ]

    def value(r):
        kind = r.randrange(9)
        if kind == 0: return None
        if kind == 1: return r.randrange(-5, 5)
        if kind == 2: return r.choice([2**63 - 1, -2**63, 2**53 + 1, 0])
        if kind == 3: return r.random() * 10 ** r.randrange(-5, 20) + 0.1
        if kind == 4: return r.randbytes(r.randrange(0, 40))
        if kind == 5: return "".join(r.choice("aäßж😀 \n'\"") for _ in range(r.randrange(0, 12)))
        return "text %d" % r.randrange(1000000)

    def insert(c, r, table):
        try:
            if table == "ids": c.execute("INSERT INTO ids(id, a, b) VALUES (?,?,?)", (r.choice([None, r.randrange(10**6), -r.randrange(100)]), value(r), r.random()))
            elif table == "plain": c.execute("INSERT INTO plain(a, b) VALUES (?,?)", (value(r), value(r)))
            elif table == "pairs": c.execute("INSERT INTO pairs VALUES (?,?,?)", ("k%d" % r.randrange(60), r.randrange(40), value(r)))
            elif table == "named": c.execute("INSERT INTO named(name, a, b) VALUES (?,?,?)", ("näme %d" % r.randrange(10**6), value(r), value(r)))
            elif table == "loose": c.execute("INSERT INTO loose VALUES (?,?,?)", (r.choice([None, r.randrange(50)]), r.randrange(50), value(r)))
            elif table == "computed": c.execute("INSERT INTO computed(a) VALUES (?)", (r.randrange(100),))
            elif table == "large": c.execute("INSERT INTO large(a) VALUES (?)", (r.randbytes(r.randrange(0, 3000)),))
            elif table == "quiet": c.execute("INSERT INTO quiet(a) VALUES (?)", (value(r),))
            else: c.execute('INSERT INTO "we""ird ü"("c d", rowid) VALUES (?,?)', (str(r.random()), "r%d" % r.randrange(99)))
        except sqlite3.IntegrityError:
            pass

    TABLES = ["ids", "plain", "pairs", "named", "loose", "computed", "large", 'we"ird ü']

    def there(c):
        return {row[0] for row in c.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}

    def make(path, seed, size):
        r = random.Random(seed)
        c = sqlite3.connect(path, isolation_level=None)
        c.execute("PRAGMA page_size = %d" % size)
        c.execute("PRAGMA auto_vacuum = %s" % r.choice(["NONE", "NONE", "FULL", "INCREMENTAL"]))
        c.execute("PRAGMA journal_mode = WAL")
        c.execute("BEGIN")
        for sql in SCHEMA: c.execute(sql)
        for table in TABLES + ["quiet"]:
            for _ in range(r.choice([0, 3, 60, 400] if table != "large" else [0, 3, 40])): insert(c, r, table)
        for n in range(300): c.execute("INSERT INTO quiet(a) VALUES (?)", (value(r),))
        c.execute("COMMIT")

    def one(c, r):
        table = r.choice([t for t in TABLES if t in there(c)])
        q = '"' + table.replace('"', '""') + '"'
        where = "WHERE %s" % r.choice(["abs(random()) % 50 = 0", "abs(random()) % 7 = 0", "0"])
        what = r.randrange(12)
        if what < 5:
            for _ in range(r.choice([1, 1, 5, 60])): insert(c, r, table)
        elif what < 7: c.execute("DELETE FROM %s %s" % (q, where))
        elif what == 7 and r.random() < 0.3: c.execute("DELETE FROM %s" % q)
        elif table == "large":
            # The head of a long blob stays, and so may the page that holds it.
            for id, a in c.execute("SELECT id, a FROM large WHERE length(a) > 800 ORDER BY random() LIMIT 2").fetchall():
                c.execute("UPDATE large SET a = ? WHERE id = ?", (a[:-1] + bytes([a[-1] ^ 1]), id))
        elif table in ("ids", "plain", "named", "loose"):
            for (row,) in c.execute("SELECT rowid FROM %s ORDER BY random() LIMIT %d" % (q, r.choice([1, 3, 20]))).fetchall():
                c.execute("UPDATE %s SET a = ? WHERE rowid = ?" % q, (value(r), row))
        elif table == "pairs": c.execute("UPDATE pairs SET c = ? WHERE b = ?", (value(r), r.randrange(40)))
        elif table == "computed": c.execute("UPDATE computed SET a = a + 1 WHERE id % 9 = 0")

    def schema(c, r):
        what = r.randrange(9)
        names = there(c)
        if what == 0 and "extra" not in names: c.execute("CREATE TABLE extra(a, b PRIMARY KEY)"); c.execute("INSERT INTO extra VALUES (1, 2), (3, 4)")
        elif what == 1 and "plain" in names and r.random() < 0.5: c.execute("DROP TABLE plain")
        elif what == 2: c.execute("CREATE INDEX IF NOT EXISTS late ON ids(a)")
        elif what == 3: c.execute("CREATE VIEW IF NOT EXISTS seen AS SELECT * FROM ids")
        elif what == 4 and r.random() < 0.5:
            c.execute("ALTER TABLE named ADD COLUMN added_%d DEFAULT 'd'" % r.randrange(10**6))
        elif what == 5: c.execute("COMMIT"); c.execute("VACUUM"); c.execute("BEGIN")
        elif what == 6: c.execute("DROP INDEX IF EXISTS by_a")
        elif what == 7: c.execute("PRAGMA incremental_vacuum(20)").fetchall()

    def change(path, seed):
        r = random.Random(seed)
        c = sqlite3.connect(path, isolation_level=None)
        c.execute("PRAGMA secure_delete = %s" % r.choice(["ON", "OFF", "OFF"])).fetchall()
        c.execute("BEGIN")
        for _ in range(r.choice([1, 2, 6])): one(c, r)
        if r.random() < 0.35: schema(c, r)
        c.execute("COMMIT")

    """#

  private static let judging = #"""
    import json, re, sqlite3, subprocess, sys

    def name(text): return '"' + text.replace('"', '""') + '"'

    def tables(c):
        return [r[0] for r in c.execute("SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite_%'")]

    def shape(c, table):
        columns = [r for r in c.execute("SELECT name, pk, hidden FROM pragma_table_xinfo(?)", (table,))]
        wr = c.execute("SELECT wr FROM pragma_table_list(?) WHERE schema='main'", (table,)).fetchone()[0]
        key = [r[0] for r in sorted((r for r in columns if r[1]), key=lambda r: r[1])]
        return [r[0] for r in columns], key, wr

    def rows(c, table, columns, key, wr):
        result = {}
        rowid = "0" if wr else ("_rowid_" if "rowid" in columns else "rowid")
        wanted = [name(k) for k in key] + [rowid] + [name(k) for k in columns]
        for row in c.execute("SELECT %s FROM %s" % (", ".join(wanted), name(table))):
            k = row[:len(key)] if key else (row[0],)
            if key and None in k: k += (row[len(key)],)
            result[k] = [(type(v).__name__, v) for v in row[len(key) + 1:]]
        return result

    def compare(a, b, table, ta, tb):
        sa = shape(a, table) if table in ta else None
        sb = shape(b, table) if table in tb else None
        columns = [x for x in (sb or sa)[0] if not sa or x in sa[0]]
        old = rows(a, table, columns, sa[1], sa[2]) if sa else {}
        new = rows(b, table, columns, sb[1], sb[2]) if sb else {}
        return {"added": len(new.keys() - old.keys()), "removed": len(old.keys() - new.keys()),
                "changed": sum(1 for k in old.keys() & new.keys() if old[k] != new[k])}

    a, b = (sqlite3.connect(path) for path in sys.argv[1:3])
    ta, tb = tables(a), tables(b)
    result = {t: compare(a, b, t, ta, tb) for t in set(ta) | set(tb)}
    text = subprocess.run(["sqldiff", "--primarykey", "--summary", *sys.argv[1:3]], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^(.*): (\d+) changes, (\d+) inserts, (\d+) deletes, \d+ unchanged$", text, re.M)
    # A primary key that may be NULL pairs no rows there; and it reads no generated column.
    usable = [t for t in ta if t in tb and t != "loose" and shape(a, t) == shape(b, t)]
    diff = {t: {"added": int(i), "removed": int(d), "changed": int(c)} for t, c, i, d in found if t in usable}
    print(json.dumps({"rows": {t: v for t, v in result.items() if any(v.values())}, "sqldiff": diff, "common": sorted(diff)}))
    """#
}
