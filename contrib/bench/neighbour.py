#!/usr/bin/env python3
"""An application that writes as fast as it can; neighbours.py starts it.

usage: neighbour.py KIND DATABASE SECONDS SYNCHRONOUS

It prints "writing" after its first write, then a JSON line with its figures, and keeps its connections until its
standard input ends. It writes single rows, each a commit; half of the time with a busy timeout of 5 s, half without
one.
"""
import json, sqlite3, sys, threading, time
from collections import Counter

PATIENT, IMPATIENT = "5 s", "0"
TURN = 0.25   # seconds with one busy timeout, before the other's turn
THREADS = 4   # of the pool
INSERT = "INSERT INTO neighbour (body) VALUES (randomblob(200))"
UPDATE = "UPDATE neighbour SET body = randomblob(200) WHERE id = (SELECT max(id) / 2 FROM neighbour)"
ERRORS = (sqlite3.OperationalError, sqlite3.DatabaseError)


class Tally:
    """Commits, the slowest of them, and errors; of several threads."""

    def __init__(self):
        self.lock, self.commits, self.slowest, self.errors = threading.Lock(), 0, 0.0, Counter()

    def committed(self, seconds):
        with self.lock:
            self.commits += 1
            self.slowest = max(self.slowest, seconds)

    def failed(self, error, timeout):
        """SQLAlchemy's errors wrap the driver's."""
        driver = getattr(error, "orig", error)
        with self.lock:
            self.errors[f"{getattr(driver, 'sqlite_errorname', type(driver).__name__)} at {timeout}"] += 1


def timeout_now():
    return PATIENT if int(time.monotonic() / TURN) % 2 else IMPATIENT


def milliseconds(timeout):
    return 5000 if timeout == PATIENT else 0


def open_connection(path, journal, synchronous, extra=()):
    connection = sqlite3.connect(path, isolation_level=None, timeout=5, check_same_thread=False)
    for pragma in (*extra, f"journal_mode = {journal}", f"synchronous = {synchronous}"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def sql(number):
    return UPDATE if number % 2 else INSERT


class Autocommit:
    """One connection of Python's sqlite3, kept open."""
    journal, extra = "WAL", ()

    def __init__(self, path, synchronous):
        self.connection = open_connection(path, self.journal, synchronous, self.extra)
        self.timeout = None

    def write(self, number, timeout):
        if timeout != self.timeout:
            self.connection.execute(f"PRAGMA busy_timeout = {milliseconds(timeout)}")
            self.timeout = timeout
        self.connection.execute(sql(number))

    def close(self):
        self.connection.close()


class RollbackJournal(Autocommit):
    journal = "DELETE"


class Exclusive(Autocommit):
    """No other program can read the database beside it."""
    extra = ("locking_mode = EXCLUSIVE",)


class Reopening:
    """Opens and closes for every statement, as scripts do."""

    def __init__(self, path, synchronous):
        self.path, self.synchronous = path, synchronous
        open_connection(path, "WAL", synchronous).close()

    def write(self, number, timeout):
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=milliseconds(timeout) / 1000)
        try:
            connection.execute(f"PRAGMA synchronous = {self.synchronous}")
            connection.execute(sql(number))
        finally:
            connection.close()

    def close(self):
        pass


class Pool:
    """SQLAlchemy with a pool of connections; several threads write through it."""

    def __init__(self, path, synchronous):
        import sqlalchemy
        global ERRORS
        ERRORS = (*ERRORS, sqlalchemy.exc.DBAPIError)
        self.text = sqlalchemy.text
        self.engine = sqlalchemy.create_engine(f"sqlite:///{path}", poolclass=sqlalchemy.pool.QueuePool,
                                               pool_size=THREADS, connect_args={"timeout": 5})

        @sqlalchemy.event.listens_for(self.engine, "connect")
        def prepare(connection, record):
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {synchronous}")

    def write(self, number, timeout):
        with self.engine.connect() as connection:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {milliseconds(timeout)}")
            connection.execute(self.text(sql(number)))
            connection.commit()

    def close(self):
        self.engine.dispose()


KINDS = {"autocommit": Autocommit, "pool": Pool, "reopening": Reopening, "exclusive": Exclusive,
         "journal": RollbackJournal}


def work(application, tally, end):
    number = 0
    while time.monotonic() < end:
        timeout, start = timeout_now(), time.perf_counter()
        try:
            application.write(number, timeout)
        except ERRORS as error:
            tally.failed(error, timeout)
            continue
        tally.committed(time.perf_counter() - start)
        number += 1


def begin(kind, path, synchronous, tally):
    """Opens, until it works: if another program has the database exclusively, that is part of an application's day."""
    end = time.monotonic() + 20
    while True:
        try:
            application = KINDS[kind](path, synchronous)
            application.write(0, PATIENT)
            return application
        except ERRORS as error:
            tally.failed(error, "opening")
            if time.monotonic() > end:
                sys.exit(f"could not open the database in 20 s: {error}")


def main():
    kind, path, seconds, synchronous = sys.argv[1:]
    tally, start = Tally(), time.perf_counter()
    application = begin(kind, path, synchronous, tally)
    opened = time.perf_counter() - start
    print("writing", flush=True)
    start, end = time.perf_counter(), time.monotonic() + float(seconds)
    threads = [threading.Thread(target=work, args=(application, tally, end))
               for _ in range(THREADS if kind == "pool" else 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = tally.commits / (time.perf_counter() - start)
    print(json.dumps({"rate": rate, "commits": tally.commits, "slowest_ms": tally.slowest * 1000,
                      "errors": tally.errors, "opened_ms": opened * 1000}), flush=True)
    sys.stdin.read()
    application.close()
    print("closed", flush=True)


if __name__ == "__main__":
    main()
