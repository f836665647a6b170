"""An application of the soak test: a process that opens the database and runs commands, a JSON line at a time.

usage: application.py DATABASE JOURNAL
"""
import json, os, random, sqlite3, subprocess, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from soaking import ledger
from soaking.journal import Journal

PATIENCE = 10   # seconds, as a busy timeout


class Refused(Exception):
    """SQLite refused an application's statement."""


class Application:
    """The side that sends commands."""
    count = 0

    def __init__(self, database, journals):
        Application.count += 1
        command = [sys.executable, os.path.abspath(__file__), database, f"{journals}/{Application.count:05}"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, what, **how):
        self.process.stdin.write(json.dumps({"what": what, **how}) + "\n")
        self.process.stdin.flush()
        return self

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise Refused("the application ended")
        answer = json.loads(line)
        if "error" in answer:
            raise Refused(answer["error"])
        return answer

    def ask(self, what, **how):
        return self.tell(what, **how).answer()

    def kill(self):
        """As the kernel does if memory is short."""
        self.process.kill()
        self.process.communicate()

    def end(self):
        """Closes the database, if it still has it open, and ends."""
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Work:
    """The side that executes them. Every method is a command."""

    def __init__(self, database, journal):
        self.database, self.journal, self.connection = database, Journal(journal), None

    def open(self, pragmas=()):
        start, connection = time.monotonic(), sqlite3.connect(self.database, isolation_level=None, timeout=PATIENCE)
        try:
            for pragma in pragmas:
                connection.execute(f"PRAGMA {pragma}")
            # Nothing is opened before the first statement.
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.Error:
            connection.close()
            raise
        self.connection = connection
        self.journal.active(start)

    def close(self):
        start = time.monotonic()
        self.connection.close()
        self.journal.active(start)
        self.connection = None

    def transaction(self, rows, chosen, lineage=None, hold=0, end="COMMIT"):
        self.connection.execute("BEGIN IMMEDIATE")
        start = time.monotonic()
        try:
            state = ledger.write(self.connection, rows, chosen, lineage)
            time.sleep(hold)
            if end == "COMMIT":
                self.journal.trying(state)
            self.finish(end)
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise
        if end == "COMMIT":
            self.journal.done(state)
        self.journal.active(start)

    def finish(self, end):
        """If there is a rollback journal, a COMMIT may have to wait for readers again."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self.connection.execute(end)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise

    def create(self, lineage, journal, seed):
        self.connection = sqlite3.connect(self.database, isolation_level=None, timeout=PATIENCE)
        self.connection.execute(f"PRAGMA journal_mode = {journal}")
        chosen = random.Random(seed)
        self.transaction(1000, chosen, lineage)
        for _ in range(3):
            self.transaction(chosen.randint(1, 1000), chosen)

    def adopt(self, lineage, seed):
        """The first commit after a restore."""
        self.transaction(5, random.Random(seed), lineage)

    def mode(self):
        return {"mode": self.connection.execute("PRAGMA journal_mode").fetchone()[0].upper()}

    def burst(self, seconds, pause, seed):
        """Commits of 1 to 1000 rows, most of them small, with pauses of up to `pause` seconds."""
        chosen, end, commits = random.Random(seed), time.monotonic() + seconds, 0
        while commits == 0 or time.monotonic() < end:
            self.transaction(int(10 ** chosen.uniform(0, 3)), chosen)
            commits += 1
            if chosen.random() < 0.05:
                self.index()
            time.sleep(chosen.uniform(0, pause))
        return {"commits": commits}

    def index(self):
        """The schema also changes."""
        start = time.monotonic()
        self.connection.execute("REINDEX")
        self.journal.active(start)

    def slow(self, rows, hold, end, seed):
        """A transaction that writes to the disk long before it ends, because it does not fit into the cache."""
        self.connection.execute("PRAGMA cache_size = 10")
        self.transaction(rows, random.Random(seed), hold=hold, end=end)

    def checkpoint(self, mode):
        return {"result": self.connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()}

    def vacuum(self):
        start = time.monotonic()
        self.connection.execute("VACUUM")
        self.journal.active(start)

    def read(self):
        self.connection.execute("SELECT count(*), max(length(body)) FROM item").fetchone()

    def set_mode(self, mode):
        start = time.monotonic()
        found = self.connection.execute(f"PRAGMA journal_mode = {mode}").fetchone()[0]
        if found != mode.lower():
            raise sqlite3.OperationalError(f"the journal mode stayed {found}")
        self.journal.active(start)


def main():
    work = Work(*sys.argv[1:])
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = getattr(work, command.pop("what"))(**command) or {}
        except (sqlite3.Error, ledger.Broken) as error:
            answer = {"error": f"{getattr(error, 'sqlite_errorname', type(error).__name__)}: {error}"}
        print(json.dumps(answer), flush=True)
    if work.connection:
        work.close()


if __name__ == "__main__":
    main()
