#!/usr/bin/env python3
"""usage: same_rows.py A.db B.db      exit code 0 if A contains every table of B with the same rows, else 1"""
import sqlite3, sys


def names(connection):
    found = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'")
    return sorted(name for name, in found)


def rows(connection, name):
    return connection.execute('SELECT * FROM "%s"' % name.replace('"', '""'))


def same(left, right):
    tables = names(right)
    if not tables or set(tables) - set(names(left)):
        return False
    return all(a == b for name in tables for a, b in zip_all(rows(left, name), rows(right, name)))


def zip_all(left, right):
    """Pairs of rows; the shorter side gives None, which no row equals."""
    while True:
        pair = left.fetchone(), right.fetchone()
        if pair == (None, None):
            return
        yield pair


if __name__ == "__main__":
    sys.exit(0 if same(sqlite3.connect(sys.argv[1]), sqlite3.connect(sys.argv[2])) else 1)
