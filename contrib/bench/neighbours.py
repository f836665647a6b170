#!/usr/bin/env python3
"""The cost of an agent for the applications beside it: five kinds of them, without and with Holdfast and Litestream.

usage: neighbours.py [--binary PATH] [--seconds 4] [--pairs 3] [--kinds KIND,KIND] [--sync NORMAL,FULL]
                     [--only NAME,NAME] [--json]

The kinds: autocommit (Python's sqlite3, one connection), pool (SQLAlchemy, four threads), reopening (opens and closes
for every statement), exclusive (locking_mode=EXCLUSIVE in WAL mode), journal (autocommit with a rollback journal).

Each round gives one turn to the application alone and one beside each agent, each on a fresh copy of the database.
A ratio is that of two turns of one round, and the table gives the rounds' median. Errors are sums over all rounds,
by SQLite's name and the busy timeout that was set. "gone ms" is how long -wal and -shm outlive the application's
end; "kept" is longer than a second. "alarms" are warnings and errors in the agent's log. "other" is the number of
processors that everything else on the machine kept busy.
"""
import argparse, json, os, shutil, statistics, subprocess, sys, tempfile, threading, time
from collections import Counter

import agents
from measure import Failed
from neighbour import KINDS
from usage import Meanwhile

HERE = os.path.dirname(os.path.abspath(__file__))
ALONE = "alone"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=agents.BINARY, help="a release build of holdfast")
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--sync", default="NORMAL,FULL")
    parser.add_argument("--size", default="16M", help="of the database")
    parser.add_argument("--only", help="names of agents, separated by commas")
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="where databases and backups are written")
    given = parser.parse_args()
    given.binary = os.path.abspath(given.binary)
    return given


class LogWatch(threading.Thread):
    """The size of a database's -wal, read every 10 ms."""

    def __init__(self, database):
        super().__init__(daemon=True)
        self.path, self.largest, self.ended = database + "-wal", 0, threading.Event()
        self.start()

    def size(self):
        try:
            return os.stat(self.path).st_size
        except FileNotFoundError:
            return 0

    def run(self):
        while not self.ended.wait(0.01):
            self.largest = max(self.largest, self.size())

    def end(self):
        self.ended.set()
        self.join()
        self.largest = max(self.largest, self.size())
        return self.size()


def gone(database, patience=1.0):
    """Milliseconds until neither -wal nor -shm exists; None if they still exist after the limit."""
    start = time.monotonic()
    while time.monotonic() - start < patience:
        if not any(os.path.exists(database + suffix) for suffix in ("-wal", "-shm")):
            return (time.monotonic() - start) * 1000
        time.sleep(0.005)
    return None


def write(kind, database, sync, given):
    """Lets the application write; its figures, the WAL's sizes, and how long its side files outlive it."""
    process = subprocess.Popen([sys.executable, f"{HERE}/neighbour.py", kind, database, str(given.seconds), sync],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        watch = LogWatch(database)
        if process.stdout.readline().strip() != "writing":
            raise Failed(f"the {kind} application did not get to write")
        result = json.loads(process.stdout.readline())
        wal = watch.end()
        process.stdin.close()
        if process.stdout.readline().strip() != "closed":
            raise Failed(f"the {kind} application did not end well")
        return result | {"wal_end": wal, "wal_max": watch.largest, "gone_ms": gone(database)}
    finally:
        process.kill()
        process.wait()


def turn(kind, sync, agent_kind, model, given):
    folder = tempfile.mkdtemp(prefix="turn.", dir=given.folder)
    os.mkdir(f"{folder}/app")
    database, agent = shutil.copy(model, f"{folder}/app/app.db"), None
    try:
        prepare(database)
        if agent_kind:
            agent = agent_kind.start([database], folder)
            agent.settle()
        points = agent.points() if agent else set()
        meanwhile = Meanwhile(*([agent.pid] if agent else []))
        result = write(kind, database, sync, given)
        result["other"] = meanwhile.other()
        if agent:
            time.sleep(1)
            result |= {"points": len(agent.points() - points), "alarms": agent.complaints()}
        return result
    finally:
        if agent:
            agent.stop()
        shutil.rmtree(folder)


def prepare(database):
    """By another process: this one must have no lock and no descriptor of it."""
    code = ("import sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
            "c.execute('CREATE TABLE neighbour (id INTEGER PRIMARY KEY, body BLOB)'); c.commit(); c.close()")
    subprocess.run([sys.executable, "-c", code, database], check=True)


def rounds(kind, sync, kinds, model, given):
    """Rows of the table: the application alone, then beside each agent."""
    turns = {ALONE: []} | {agent.name: [] for agent in kinds}
    for _ in range(given.pairs):
        alone = turn(kind, sync, None, model, given)
        turns[ALONE].append(alone | {"ratio": 1.0, "slower": 1.0})
        for agent in kinds:
            try:
                beside = turn(kind, sync, agent, model, given)
            except Failed as failure:
                print(f"{kind} beside {agent.name}: {failure}", file=sys.stderr)
                continue
            beside["ratio"] = beside["rate"] / alone["rate"]
            beside["slower"] = beside["slowest_ms"] / alone["slowest_ms"]
            turns[agent.name].append(beside)
    return [summary(kind, sync, name, rows) for name, rows in turns.items() if rows]


def summary(kind, sync, name, rows):
    def median(key):
        return statistics.median(row[key] for row in rows)

    ratios = [row["ratio"] for row in rows]
    gone = [row["gone_ms"] for row in rows]
    return {
        "kind": kind, "sync": sync, "agent": name, "rounds": len(rows), "rate": median("rate"), "ratio": median("ratio"),
        "ratio_min": min(ratios), "ratio_max": max(ratios), "slowest_ms": median("slowest_ms"),
        "slowest_ratio": median("slower"), "wal_end": median("wal_end"), "wal_max": max(row["wal_max"] for row in rows),
        "gone_ms": None if None in gone else max(gone), "opened_ms": median("opened_ms"),
        "errors": dict(sum((Counter(row["errors"]) for row in rows), Counter())),
        "points": sum(row.get("points", 0) for row in rows), "other": median("other"),
        "alarms": [line for row in rows for line in row.get("alarms", [])],
    }


def heading():
    print(f"{'':12}{'sync':8}{'beside':26}{'commits/s':>10}{'÷ alone':>9}{'min..max':>12}{'slowest ms':>12}{'wal MiB':>9}"
          f"{'max':>7}{'gone ms':>9}{'points':>8}{'alarms':>8}{'other':>7}  errors")


def line(row):
    gone = "kept" if row["gone_ms"] is None else f"{row['gone_ms']:.0f}"
    spread = f"{row['ratio_min']:.2f}..{row['ratio_max']:.2f}"
    errors = ", ".join(f"{count} {name}" for name, count in sorted(row["errors"].items())) or "none"
    print(f"{row['kind']:12}{row['sync']:8}{row['agent']:26}{row['rate']:10.0f}{row['ratio']:9.3f}{spread:>12}"
          f"{row['slowest_ms']:12.1f}{row['wal_end'] / 2**20:9.1f}{row['wal_max'] / 2**20:7.1f}{gone:>9}{row['points']:8}"
          f"{len(row['alarms']):8}{row['other']:7.2f}  {errors}", flush=True)


def main():
    given = arguments()
    folder = tempfile.mkdtemp(prefix="holdfast-neighbours.", dir=given.folder)
    given.folder, model, rows = folder, f"{folder}/model.db", []
    every = [agents.holdfast(given.binary), agents.holdfast(given.binary, "--debounce", "0ms"), agents.litestream()]
    chosen = agents.present(every, given.only, given.binary)
    try:
        subprocess.run([sys.executable, f"{HERE}/make_db.py", model, given.size], check=True, stdout=sys.stderr)
        if not given.json:
            heading()
        for kind in given.kinds.split(","):
            for sync in given.sync.split(","):
                new = rounds(kind, sync, chosen, model, given)
                rows += new
                for row in [] if given.json else new:
                    line(row)
        if given.json:
            print(json.dumps(rows, indent=2))
        for text in sorted({f"{row['kind']} beside {row['agent']}: {text}" for row in rows for text in row["alarms"]}):
            print(text, file=sys.stderr)
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
