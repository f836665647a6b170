#!/usr/bin/env python3
"""The cost of an agent while nothing happens: Holdfast and Litestream, one after the other.

usage: idle.py [--binary PATH] [--seconds 60] [--databases 1] [--only NAME,NAME] [--json]

An application keeps each database open, as applications do. The agent stores a first backup and then three small
commits; ten seconds later the measuring begins, and no program writes any more. "other" is the number of processors
that everything else on the machine kept busy meanwhile.
"""
import os, shutil, sqlite3, sys, tempfile, time

import agents, turns
from usage import TICK, Meanwhile

MIB = 2**20
# Of a core, of context switches a second, of resident memory: for one database.
TARGETS = {"cpu_percent": 0.05, "switches": 0.1, "resident_mib": 20}


def options(parser):
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--databases", type=int, default=1, help="more than one: by a holdfast.toml")


def applications(model, count, folder):
    """Connections of this process that keep copies of the database open; their paths."""
    connections, paths = [], []
    for number in range(count):
        os.makedirs(f"{folder}/app{number}")
        paths.append(shutil.copy(model, f"{folder}/app{number}/app.db"))
        connections.append(sqlite3.connect(paths[-1], isolation_level=None, timeout=20))
        connections[-1].execute("CREATE TABLE idle (id INTEGER PRIMARY KEY, body BLOB)")
    return connections, paths


def measure(kind, model, given):
    folder = tempfile.mkdtemp(prefix="idle.", dir=given.folder)
    connections, paths = applications(model, given.databases, folder)
    agent = kind.start(paths, folder)
    try:
        agent.settle(given.databases)
        for _ in range(3):
            for connection in connections:
                connection.execute("INSERT INTO idle (body) VALUES (randomblob(500))")
            time.sleep(2)
        time.sleep(10)
        before, points, meanwhile = agent.usage(), agent.points(), Meanwhile(agent.pid)
        time.sleep(given.seconds)
        after, other = agent.usage(), meanwhile.other()
        used = after - before
        return {
            "agent": kind.name, "databases": given.databases, "seconds": given.seconds,
            "ticks": used.ticks, "tick_ms": TICK * 1000, "run_ms": used.run_ns / 1e6,
            "cpu_percent": max(used.ticks * TICK, used.run_ns / 1e9) / given.seconds * 100,
            "voluntary": used.voluntary / given.seconds, "forced": used.forced / given.seconds,
            "switches": (used.voluntary + used.forced) / given.seconds,
            "resident_mib": after.resident / MIB, "anonymous_mib": after.anonymous / MIB,
            "peak_mib": after.peak / MIB, "threads": after.threads,
            "descriptors": after.descriptors, "stored_meanwhile": len(agent.points() - points), "other": other,
            "complaints": agent.complaints(),
        }
    finally:
        agent.stop()
        for connection in connections:
            connection.close()
        shutil.rmtree(folder)


def report(rows, given):
    print(f"\nIdle for {given.seconds:.0f} s, {given.databases} database{'s' if given.databases > 1 else ''}\n")
    print(f"{'':16}{'run ms':>9}{'ticks':>7}{'cpu %':>8}{'sleeps/s':>10}{'forced/s':>10}{'MiB now':>9}{'anon':>7}{'peak':>7}"
          f"{'threads':>9}{'files':>7}{'stored':>8}{'other':>7}")
    for row in rows:
        print(f"{row['agent']:16}{row['run_ms']:9.1f}{row['ticks']:7}{row['cpu_percent']:8.3f}{row['voluntary']:10.2f}"
              f"{row['forced']:10.2f}{row['resident_mib']:9.1f}{row['anonymous_mib']:7.1f}{row['peak_mib']:7.1f}"
              f"{row['threads']:9}{row['descriptors']:7}{row['stored_meanwhile']:8}{row['other']:7.2f}")
        for line in row["complaints"]:
            print(f"{'':16}{line}")
    mine = next((row for row in rows if row["agent"] == "holdfast"), None)
    if mine and given.databases == 1:
        print("\nTargets\n")
        for name, most in TARGETS.items():
            print(f"{'reached    ' if mine[name] <= most else 'NOT reached'} {name}: {mine[name]:.3f} of at most {most}")


def main():
    given = turns.arguments(__doc__, options, size="16M")
    kinds = agents.present([agents.holdfast(given.binary), agents.litestream()], given.only, given.binary)
    return turns.take(given, "idle", [(kind.name, kind) for kind in kinds], measure, report)


if __name__ == "__main__":
    sys.exit(main())
