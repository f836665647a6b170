"""Databases that prove themselves: whichever state is found later, it can be decided whether it was ever committed.

Each transaction ends with a row of `ledger`: its number, the count and the sum of marks of both tables at that
moment, and a hash over these and the hash before. A mark is a hash of a row's content. So a mix of two states
contradicts its own newest ledger row; and if a state does not contradict itself, its (lineage, number, hash) is in
the journal of the writer, which flushed it there before the commit.
"""
import hashlib, sqlite3
from dataclasses import dataclass

SCHEMA = (
    "CREATE TABLE item (id INTEGER PRIMARY KEY, seq INTEGER, mark INTEGER, body BLOB)",
    "CREATE INDEX item_seq ON item (seq)",
    "CREATE TABLE note (id TEXT PRIMARY KEY, seq INTEGER, mark INTEGER, body TEXT) WITHOUT ROWID",
    "CREATE TABLE ledger (seq INTEGER PRIMARY KEY, lineage TEXT, items INTEGER, item_sum INTEGER, notes INTEGER,"
    " note_sum INTEGER, previous TEXT, hash TEXT)",
)
TABLES = {"item", "note", "ledger"}
ITEMS, NOTES, HISTORY = 3000, 1500, 400   # about this many rows are kept


class Broken(Exception):
    """This state was never committed."""


@dataclass(frozen=True)
class State:
    """Names one committed state."""
    lineage: str
    seq: int
    hash: str

    def __str__(self):
        return f"{self.lineage} number {self.seq}"


@dataclass
class Sums:
    """A ledger row's figures of the tables."""
    items: int = 0
    item_sum: int = 0
    notes: int = 0
    note_sum: int = 0

    def values(self):
        return self.items, self.item_sum, self.notes, self.note_sum


def mark(*values):
    return int.from_bytes(hashlib.blake2b(repr(values).encode(), digest_size=5).digest(), "big")


def chained(lineage, seq, sums, previous):
    return hashlib.blake2b(repr((lineage, seq, *sums.values(), previous)).encode(), digest_size=12).hexdigest()


def newest(connection):
    """State and sums in the newest ledger row."""
    row = connection.execute("SELECT lineage, seq, hash, items, item_sum, notes, note_sum FROM ledger"
                             " ORDER BY seq DESC LIMIT 1").fetchone()
    if row is None:
        raise Broken("the ledger is empty")
    return State(*row[:3]), Sums(*row[3:])


def insert_items(connection, seq, count, random, sums):
    """`count` rows; compressible and not."""
    start = connection.execute("SELECT coalesce(max(id), 0) FROM item").fetchone()[0]
    rows = []
    for identifier in range(start + 1, start + 1 + count):
        body = random.randbytes(random.randint(10, 200)) + bytes(random.randint(0, 150))
        rows.append((identifier, seq, mark(identifier, seq, body), body))
    connection.executemany("INSERT INTO item VALUES (?, ?, ?, ?)", rows)
    sums.items += count
    sums.item_sum += sum(row[2] for row in rows)


def put_notes(connection, seq, count, random, sums):
    """Rows of a table without row IDs, under random keys: new ones and ones that replace others."""
    for _ in range(count):
        identifier, body = f"{random.randrange(NOTES):05}", "x" * random.randint(0, 300)
        old = connection.execute("SELECT mark FROM note WHERE id = ?", (identifier,)).fetchone()
        value = mark(identifier, seq, body)
        connection.execute("INSERT OR REPLACE INTO note VALUES (?, ?, ?, ?)", (identifier, seq, value, body))
        sums.notes += old is None
        sums.note_sum += value - (old[0] if old else 0)


def trim(connection, sums):
    """Removes the oldest items beyond the limit."""
    if sums.items > ITEMS:
        last = connection.execute("SELECT id FROM item ORDER BY id LIMIT 1 OFFSET ?", (sums.items - ITEMS,)).fetchone()[0]
        count, total = connection.execute("SELECT count(*), sum(mark) FROM item WHERE id < ?", (last,)).fetchone()
        connection.execute("DELETE FROM item WHERE id < ?", (last,))
        sums.items -= count
        sums.item_sum -= total
    connection.execute("DELETE FROM ledger WHERE seq < (SELECT max(seq) FROM ledger) - ?", (HISTORY,))


def write(connection, rows, random, lineage=None):
    """Writes a transaction's changes, up to but not including its COMMIT. With a lineage it is the first one of that.

    Returns the state that the commit will make.
    """
    if lineage and not connection.execute("SELECT 1 FROM sqlite_schema").fetchone():
        for statement in SCHEMA:
            connection.execute(statement)
        before, sums = State(lineage, 0, ""), Sums()
    else:
        before, sums = newest(connection)
    seq = before.seq + 1
    insert_items(connection, seq, rows, random, sums)
    put_notes(connection, seq, rows // 20 + 1, random, sums)
    trim(connection, sums)
    lineage = lineage or before.lineage
    state = State(lineage, seq, chained(lineage, seq, sums, before.hash))
    connection.execute("INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                       (seq, state.lineage, *sums.values(), before.hash, state.hash))
    return state


def prove(path):
    """The state that a file contains.

    Raises Broken if it contains no valid state: the file is damaged, empty, or a mix.
    """
    connection = sqlite3.connect(path)
    try:
        found = connection.execute("PRAGMA integrity_check").fetchall()
        if found != [("ok",)]:
            raise Broken(f"integrity_check: {found[:3]}")
        tables = {name for name, in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        if tables != TABLES:
            raise Broken(f"its tables are {sorted(tables)}")
        state, sums = newest(connection)
        prove_rows(connection, sums)
        prove_chain(connection)
        return state
    except sqlite3.Error as error:
        raise Broken(f"{error}") from error
    finally:
        connection.close()


def prove_rows(connection, sums):
    marks = {"item": [], "note": []}
    for table, found in marks.items():
        for identifier, seq, value, body in connection.execute(f"SELECT id, seq, mark, body FROM {table}"):
            if value != mark(identifier, seq, body):
                raise Broken(f"row {identifier} of {table} is not what was written")
            found.append(value)
    actual = Sums(len(marks["item"]), sum(marks["item"]), len(marks["note"]), sum(marks["note"]))
    if actual != sums:
        raise Broken(f"a mix of states: {actual}, and the ledger says {sums}")


def prove_chain(connection):
    previous = None
    for row in connection.execute("SELECT lineage, seq, hash, previous, items, item_sum, notes, note_sum FROM ledger"
                                  " ORDER BY seq"):
        lineage, seq, digest, before = row[:4]
        if digest != chained(lineage, seq, Sums(*row[4:]), before):
            raise Broken(f"ledger row {seq} is not what was written")
        if previous and (before, seq) != (previous[0], previous[1] + 1):
            raise Broken(f"ledger row {seq} does not follow row {previous[1]}")
        previous = digest, seq
