#!/usr/bin/env python3
"""How the agent found the changed pages: how often each proof of its tracker decided, and how often a comparison.

usage: proofs.py [--binary PATH] [--size 64M] [--commits 60] [--only NAME,NAME] [--json]

Four kinds of application, each with a fresh copy of the database and an agent that backs up after each commit:
  server      one connection for as long as it runs, five commits a second
  pool        four connections that take turns, each opened anew after thirty commits
  statements  opens, commits and closes, twice a second
  desktop     one connection; a commit, then nothing for --pause seconds (60 to see a minute's), a tenth of the commits
The agent's log says how each backup came about; the milliseconds are the median time to store one.
"""
import collections, itertools, os, re, shutil, sqlite3, statistics, sys, tempfile, time

import agents, turns
from usage import TICK, Meanwhile

HOW = re.compile(r"(backup_[\d_]+): (?:(followed|compared): )(.*)$")
STORED = re.compile(r"stored (backup_[\d_]+): .* in (\d+) ms")
POINT = re.compile(r"backup_[\d_]+")


def options(parser):
    parser.add_argument("--commits", type=int, default=60, help="of each application")
    parser.add_argument("--pause", type=float, default=8, help="seconds between the desktop application's commits")


def connect(path):
    return sqlite3.connect(path, isolation_level=None, timeout=20)


def commit(connection, number):
    """A few rows here and there, as one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO log (at, level, source, message) VALUES (?, 'info', 'bench', ?)",
                       (number, os.urandom(100).hex()))
    connection.execute("UPDATE customers SET city = ? WHERE id IN (SELECT id FROM customers ORDER BY random() LIMIT 3)"
                       if number % 10 == 0 else "UPDATE customers SET city = ? WHERE id = 1 + abs(random()) % 1000",
                       (f"Town {number}",))
    connection.execute("COMMIT")


def server(path, given):
    connection = connect(path)
    for number in range(given.commits):
        commit(connection, number)
        time.sleep(0.2)
    connection.close()


def pool(path, given):
    connections = [connect(path) for _ in range(4)]
    for number, place in zip(range(given.commits), itertools.cycle(range(4))):
        if number >= 30 and number % 30 < 4:
            connections[place].close()
            connections[place] = connect(path)
        commit(connections[place], number)
        time.sleep(0.2)
    for connection in connections:
        connection.close()


def statements(path, given):
    for number in range(given.commits):
        connection = connect(path)
        commit(connection, number)
        connection.close()
        time.sleep(0.5)


def desktop(path, given):
    connection = connect(path)
    for number in range(max(3, given.commits // 10)):
        commit(connection, number)
        time.sleep(given.pause)
    connection.close()


APPLICATIONS = [server, pool, statements, desktop]


def measure(application, model, given):
    folder = tempfile.mkdtemp(prefix=f"{application.__name__}.", dir=given.folder)
    path = shutil.copy(model, f"{folder}/app.db")
    kind = agents.holdfast(given.binary, "--log-level", "debug", "--debounce", "50ms", "--min-interval", "50ms")
    agent = kind.start([path], folder)
    try:
        agent.settle()
        first, meanwhile, cpu = len(agent.output()), Meanwhile(agent.pid), agent.usage().ticks
        application(path, given)
        agent.settle()
        cpu, other, log = agent.usage().ticks - cpu, meanwhile.other(), agent.output()[first:]
        return {"application": application.__name__, **decisions(log), "agent_cpu_s": cpu * TICK,
                "other": other, "complaints": agent.complaints()}
    finally:
        agent.stop()
        shutil.rmtree(folder)


def decisions(log):
    """The log's account of the backups: how many of each kind, and the median of their milliseconds."""
    lines = log.splitlines()
    took = {match[1]: int(match[2]) for line in lines if (match := STORED.search(line))}
    how, idle = {}, collections.Counter()
    for match in filter(None, map(HOW.search, lines)):
        words = f"{match[2]}: {POINT.sub('a point', match[3])}"
        # If the same backup appears again, that probe found no change.
        if how.setdefault(match[1], words) is not words:
            idle[words] += 1
    groups = collections.defaultdict(list)
    for point, milliseconds in took.items():
        groups[how.get(point, "full")].append(milliseconds)
    return {"points": len(took), "how": {
        name: {"points": len(group), "ms": statistics.median(group)}
        for name, group in sorted(groups.items(), key=lambda item: -len(item[1]))}, "nothing_new": dict(idle)}


def report(rows, given):
    print(f"\nA database of {given.size}, {given.commits} commits\n")
    print(f"{'':14}{'points':>8}{'share':>8}{'ms':>8}  how it was known what had changed")
    for row in rows:
        print(f"{row['application']:14}{row['points']:8}{'':16}  agent {row['agent_cpu_s']:.1f} s of processor time, "
              f"others {row['other']:.2f} processors")
        for name, group in row["how"].items():
            share = group["points"] / max(1, row["points"])
            print(f"{'':14}{group['points']:8}{share:8.0%}{group['ms']:8.0f}  {name}")
        for name, count in row["nothing_new"].items():
            print(f"{'':14}{count:8}{'':16}  more looks that found nothing new, {name}")
        for line in row["complaints"]:
            print(f"{'':14}{line}")


def main():
    given = turns.arguments(__doc__, options, size="64M")
    only = given.only.split(",") if given.only else None
    chosen = [(each.__name__, each) for each in APPLICATIONS if not only or each.__name__ in only]
    return turns.take(given, "proofs", chosen, measure, report)


if __name__ == "__main__":
    sys.exit(main())
