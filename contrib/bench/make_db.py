#!/usr/bin/env python3
"""Make a database like those of real applications, the same one for the same size and seed.

usage: make_db.py OUT SIZE [SEED]        SIZE such as 64M, 256M, 1G

A shop: customers with unique e-mail addresses and two indexes, orders with JSON lines, an append-only log, articles
with full-text search, and files of which some do not compress. Rows are then changed and removed here and there, so
that there are free and half-filled pages. WAL mode, checkpointed: OUT alone is the whole database.
"""
import itertools, json, math, os, random, sqlite3, struct, sys, zlib

PAGE = 4096
SCHEMA = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT, city TEXT, secret TEXT,
  since INTEGER);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customers, placed INTEGER, state TEXT,
  total INTEGER, lines JSON);
CREATE TABLE log (id INTEGER PRIMARY KEY, at INTEGER, level TEXT, source TEXT, message TEXT);
CREATE TABLE articles (id INTEGER PRIMARY KEY, title TEXT, body TEXT);
CREATE TABLE files (id INTEGER PRIMARY KEY, article INTEGER, kind TEXT, content BLOB);
CREATE INDEX customers_city ON customers (city, name);
CREATE INDEX orders_customer ON orders (customer, placed);
CREATE INDEX log_source ON log (source, at);
CREATE VIRTUAL TABLE search USING fts5 (title, body, content = 'articles', content_rowid = 'id');
"""


def byte_count(text):
    return int(float(text[:-1]) * {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}[text[-1].upper()])


class Shop:
    """Rows of every table, from one source of randomness."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        letters = [a + b for a, b in itertools.product("bcdfghklmnprstvz", "aeiou")]
        self.words = sorted({"".join(self.random.choices(letters, k=self.random.randint(1, 4))) for _ in range(14000)})
        self.random.shuffle(self.words)
        self.weights = list(itertools.accumulate(1 / (rank + 3) for rank in range(len(self.words))))
        self.now = 1_700_000_000_000
        self.count = dict.fromkeys(("customers", "orders", "log", "articles", "files"), 0)

    def prose(self, words):
        return " ".join(self.random.choices(self.words, cum_weights=self.weights, k=words))

    def tick(self):
        self.now += int(self.random.expovariate(1 / 700))
        return self.now

    def some(self, table):
        return self.random.randint(1, max(1, self.count[table]))

    def next(self, table):
        self.count[table] += 1
        return (self.count[table], *getattr(self, table)())

    def customers(self):
        first, last = self.random.choice(self.words).title(), self.random.choice(self.words).title()
        email = f"{first}.{last}{self.count['customers']}@{self.random.choice(self.words)}.example".lower()
        return (email, f"{first} {last}", self.words[self.random.randrange(400)].title(),
                f"{self.random.getrandbits(256):064x}", self.tick())

    def orders(self):
        lines = [{"article": f"A-{self.random.randrange(60000):05d}", "count": self.random.randint(1, 6),
                  "cents": self.random.randrange(99, 99900, 50)} for _ in range(self.random.randint(1, 5))]
        total = sum(line["count"] * line["cents"] for line in lines)
        state = self.random.choice(("open", "paid", "sent", "sent", "returned"))
        return self.some("customers"), self.tick(), state, total, json.dumps(lines)

    def log(self):
        level = self.random.choice(("debug", "info", "info", "info", "warning", "error"))
        source = self.random.choice(("web", "mail", "stock", "billing", "search"))
        message = (f"request {self.random.getrandbits(128):032x} of customer {self.some('customers')} took "
                   f"{self.random.lognormvariate(3, 1):.2f} ms: {self.prose(self.random.randint(3, 12))}")
        return self.tick(), level, source, message

    def articles(self):
        return self.prose(5).capitalize(), self.prose(self.random.randint(60, 500)).capitalize()

    def files(self):
        size, kind = int(min(150_000, self.random.lognormvariate(9, 1))), self.random.randrange(3)
        if kind == 0:
            content = self.random.randbytes(size)
        elif kind == 1:
            content = zlib.compress(self.prose(size // 5).encode())
        else:
            content = struct.pack(f"<{size // 8}d", *(round(math.sin(i / 40) * 50 + self.random.gauss(0, 1), 2)
                                                      for i in range(size // 8)))
        return self.some("articles"), ("photo", "archive", "measurements")[kind], content


def fill(connection, shop, pages):
    marks = {"customers": 60, "orders": 300, "log": 500, "articles": 12, "files": 4}
    while (left := pages - connection.execute("PRAGMA page_count").fetchone()[0]) > 0:
        rounds = max(1, min(30, left // 150))
        connection.execute("BEGIN")
        for table, share in marks.items():
            rows = [shop.next(table) for _ in range(share * rounds)]
            connection.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(rows[0]))})", rows)
            if table == "articles":
                connection.executemany("INSERT INTO search (rowid, title, body) VALUES (?, ?, ?)", rows)
        connection.execute("COMMIT")


def age(connection, shop):
    connection.execute("BEGIN")
    for table, share in (("log", 40), ("files", 30), ("orders", 60)):
        victims = [(shop.some(table),) for _ in range(shop.count[table] // share)]
        connection.executemany(f"DELETE FROM {table} WHERE id = ?", victims)
    changes = [(shop.prose(3).title(), shop.some("customers")) for _ in range(shop.count["customers"] // 50)]
    connection.executemany("UPDATE customers SET name = ? WHERE id = ?", changes)
    connection.execute("COMMIT")


def make(path, size, seed=1):
    """Writes a database of at least `size` bytes to `path`, which must not exist."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(f"PRAGMA page_size = {PAGE}; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
                             f"PRAGMA cache_size = -200000; {SCHEMA}")
    shop = Shop(seed)
    fill(connection, shop, size // PAGE)
    age(connection, shop)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4) or os.path.exists(sys.argv[1]):
        sys.exit(__doc__)
    make(sys.argv[1], byte_count(sys.argv[2]), *map(int, sys.argv[3:]))
