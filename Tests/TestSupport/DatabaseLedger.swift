/// Writers in other processes that keep an invariant of every consistent state: the accounts' total
/// never changes, and the counter equals the newest entry of a log without gaps.
package enum DatabaseLedger {
  package static let accounts = 200
  package static let total = accounts * 1000

  /// Creates the ledger in a database in this journal mode.
  package static func create(at path: String, journalMode: String) throws {
    try DatabaseApplication(
      path,
      """
      PRAGMA journal_mode = \(journalMode);
      PRAGMA synchronous = OFF;
      CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER, padding BLOB);
      INSERT INTO account SELECT n, 1000, randomblob(700) FROM (\(DatabaseFixture.numbers(accounts)));
      CREATE TABLE counter (value INTEGER);
      INSERT INTO counter VALUES (0);
      CREATE TABLE log (id INTEGER PRIMARY KEY, body BLOB);
      """
    ).close()
  }

  /// Starts a writer; it reports `ready` after its first commits and writes until it is stopped or
  /// its parent has ended.
  package static func startWriter(
    _ path: String, journalMode: String, autocheckpoint: Int = 1000, seed: Int
  ) throws -> ProcessInBackground {
    let process = try ProcessInBackground(
      "python3", ["-c", script, path, journalMode, String(autocheckpoint), String(seed), String(accounts)])
    try process.waitForLine("ready")
    return process
  }

  /// Queries that give 1 in every consistent state.
  package static let invariants = [
    "SELECT sum(balance) = \(total) AND count(*) = \(accounts) FROM account",
    "SELECT value = (SELECT coalesce(max(id), 0) FROM log) FROM counter",
    "SELECT count(*) = coalesce(max(id) - min(id) + 1, 0) FROM log",
  ]

  private static let script = """
    import os, random, sqlite3, sys
    parent = os.getppid()
    path, mode, autocheckpoint, seed, accounts = sys.argv[1:]
    random.seed(int(seed))
    db = sqlite3.connect(path, isolation_level=None, timeout=20)
    db.execute(f"PRAGMA journal_mode={mode}")
    db.execute(f"PRAGMA wal_autocheckpoint={autocheckpoint}")
    db.execute("PRAGMA synchronous=OFF")
    db.execute("PRAGMA cache_size=20")
    count = 0
    while os.getppid() == parent:
        # Readers that are always there keep the log from starting anew: it would grow until the disk is full.
        if mode == "wal" and os.path.getsize(path + "-wal") > 32 << 20:
            db.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
        db.execute("BEGIN IMMEDIATE")
        for _ in range(random.randint(1, 12)):
            amount = random.randint(1, 500)
            one, two = random.randint(1, int(accounts)), random.randint(1, int(accounts))
            db.execute("UPDATE account SET balance=balance-?, padding=randomblob(700) WHERE id=?", (amount, one))
            db.execute("UPDATE account SET balance=balance+? WHERE id=?", (amount, two))
        db.execute("UPDATE counter SET value=value+1")
        db.execute("INSERT INTO log SELECT value, randomblob(?) FROM counter", (random.randint(1, 9000),))
        db.execute("DELETE FROM log WHERE id <= (SELECT value FROM counter) - ?", (random.randint(20, 60),))
        db.execute("COMMIT")
        count += 1
        if count == 3:
            print("ready", flush=True)
    """
}
