#!/usr/bin/env python3
"""The cost of a change: from a commit to the durable incremental, as the database grows, and back again.

usage: changes.py [--binary PATH] [--sizes 16M,256M,1G] [--commits 100] [--only NAME,NAME] [--restore] [--json]

For each size an application with one open connection changes ten rows (with --percent 1: this many percent of the
pages) in a transaction, waits until the agent has stored them and a random moment more, and so on. The time runs
from the return of COMMIT. For Holdfast, with a debounce of 0 here, it ends when the backup's metadata appear, which
it writes when archive and folder are flushed; for Litestream when its file appears, whether or not it is flushed.
Before each commit this program itself stores a file of about the same size in a durable way (write, fsync, rename,
fsync of the folder): "flushes". CPU is the agent's, per commit. With --restore the last backup is restored at the
end and compared with the database, row for row.
"""
import argparse, json, os, random, re, shutil, sqlite3, statistics, subprocess, sys, tempfile, time

import agents
from arrivals import Arrivals
from make_db import byte_count
from measure import Failed, run
from same_rows import same
from usage import TICK, Meanwhile

HERE = os.path.dirname(os.path.abspath(__file__))
# Milliseconds that a backup may take beyond the flushes: median and 99th percentile; milliseconds
# of processor a commit.
TARGETS = {"p50": 1.5, "p99": 5.0, "cpu_ms": 2.0}
GROWTH = 1.2
# The file that is renamed when a backup is durable.
ARRIVAL = {"holdfast": r"/\.metadata/backup_\d{8}_\d{6}\w*\.json$", "litestream": r"/0/[^/]+\.ltx$"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=agents.BINARY, help="a release build of holdfast")
    parser.add_argument("--sizes", default="16M,256M,1G", help="of the database")
    parser.add_argument("--commits", type=int, default=100, help="for each size")
    parser.add_argument("--gap", type=float, default=0.15, help="seconds between two commits, on average")
    parser.add_argument("--percent", type=float, default=0, help="of the pages that each commit changes; 0: ten rows")
    parser.add_argument("--sync", default="NORMAL", help="the application's PRAGMA synchronous")
    parser.add_argument("--only", help="names of agents, separated by commas")
    parser.add_argument("--restore", action="store_true", help="restore the last point at the end")
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="where databases and backups are written")
    given = parser.parse_args()
    given.binary = os.path.abspath(given.binary)
    return given


def make(path, size):
    """Real content, and beyond 64 MiB a ballast of random bytes: unchanged content does not affect the cost."""
    subprocess.run([sys.executable, f"{HERE}/make_db.py", path, f"{min(size, 64 << 20) >> 10}K"], check=True,
                   stdout=sys.stderr)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; CREATE TABLE ballast (body BLOB);")
    missing = size - os.path.getsize(path)
    for _ in range(max(0, missing >> 20)):
        connection.execute("INSERT INTO ballast VALUES (randomblob(1048000))")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()


def change(connection, random, percent):
    """Ten customers get other names; or rows in this many percent of all pages change."""
    highest, = connection.execute("SELECT max(id) FROM customers").fetchone()
    pages, = connection.execute("PRAGMA page_count").fetchone()
    connection.execute("BEGIN IMMEDIATE")
    if percent:
        entries, = connection.execute("SELECT max(id) FROM log").fetchone()
        count = max(1, int(pages * percent / 100))
        for number in range(count):
            row = int(entries * (number + random.random()) / count)
            connection.execute("UPDATE log SET at = at + 1 WHERE id = (SELECT min(id) FROM log WHERE id >= ?)", (row,))
    else:
        for _ in range(10):
            connection.execute("UPDATE customers SET since = since + 1 WHERE id = ?", (random.randint(1, highest),))
    connection.execute("COMMIT")


def flushes(folder, size):
    """Seconds to store a file as durably as a backup must be."""
    content, start = os.urandom(size), time.perf_counter()
    file = os.open(f"{folder}/flushed.tmp", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(file, content)
    os.fsync(file)
    os.close(file)
    os.rename(f"{folder}/flushed.tmp", f"{folder}/flushed")
    directory = os.open(folder, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)
    took = time.perf_counter() - start
    os.unlink(f"{folder}/flushed")
    return took


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def commits(connection, agent, arrivals, given, folder):
    """Seconds to each backup, and those of bare flushes."""
    random_source, took, bare, sizes = random.Random(7), [], [], []
    # The first ones find nothing prepared, as after any start.
    for number in range(-3, given.commits):
        time.sleep(given.gap * (0.5 + random_source.random()))
        flushed = flushes(folder, 20_000)
        arrivals.clear()
        change(connection, random_source, given.percent)
        start = time.perf_counter()
        path, arrived = arrivals.next(60)
        if path is None:
            raise Failed(f"{agent.name} stored nothing for a commit in 60 s: {agent.output()[-2000:]}")
        if number >= 0:
            took.append(arrived - start)
            bare.append(flushed)
            sizes.append(stored(path))
        if number == -1:
            mark = agent.usage(), Meanwhile(agent.pid)
    used = agent.usage() - mark[0]
    return took, bare, max(used.ticks * TICK, used.run_ns / 1e9), statistics.median(sizes), mark[1].other()


def stored(path):
    """The bytes of the new files: Litestream's file; or a backup's archive and its metadata."""
    name, size = os.path.basename(path).removesuffix(".json"), os.path.getsize(path)
    if not path.endswith(".json"):
        return size
    folder = os.path.dirname(os.path.dirname(path))
    return size + sum(entry.stat().st_size for entry in os.scandir(folder) if entry.name.startswith(name + "."))


def measure(kind, model, size, given):
    folder = tempfile.mkdtemp(prefix="changes.", dir=given.folder)
    os.mkdir(f"{folder}/app")
    database = shutil.copy(model, f"{folder}/app/app.db")
    connection = sqlite3.connect(database, isolation_level=None, timeout=20)
    connection.execute(f"PRAGMA synchronous = {given.sync}")
    change(connection, random.Random(1), 0)
    agent = kind.start([database], folder)
    try:
        agent.settle()
        change(connection, random.Random(2), 0)
        time.sleep(1.5)
        name = kind.name.split()[0]
        arrivals = Arrivals(agent.out, re.compile(ARRIVAL[name]))
        took, bare, cpu, size_stored, other = commits(connection, agent, arrivals, given, folder)
        arrivals.close()
        row = {
            "agent": kind.name, "size": size, "commits": given.commits, "percent": given.percent,
            "p50": percentile(took, .5) * 1e3, "p99": percentile(took, .99) * 1e3, "max": max(took) * 1e3,
            "flushes_p50": percentile(bare, .5) * 1e3, "flushes_p99": percentile(bare, .99) * 1e3,
            "cpu_ms": cpu / given.commits * 1e3, "bytes": size_stored,
            "resident_mib": agent.usage().resident / 2**20, "other": other, "complaints": agent.complaints(),
        }
        if given.restore:
            time.sleep(1)
            agent.stop()
            row |= restore(name, database, folder, given)
        return row
    finally:
        agent.stop()
        connection.close()
        shutil.rmtree(folder)


def restore(name, database, folder, given):
    target = f"{folder}/restored.db"
    if name == "holdfast":
        command = [given.binary, "restore", "latest", "--to", target, "--yes", "--database", database, "--backup-dir",
                   f"{folder}/backups"]
    else:
        command = ["litestream", "restore", "-o", target, f"file://{folder}/replica"]
    sample = run(command, agents.environment(folder))
    if not same(sqlite3.connect(target), sqlite3.connect(database)):
        raise Failed(f"{name} restored something else than the database")
    return {"restore_s": sample.wall, "restore_cpu_s": sample.cpu, "restore_mib": sample.rss / 2**20}


def report(rows):
    print(f"\n{'':26}{'size':>6}{'p50 ms':>9}{'p99':>8}{'max':>8}{'flushes p50':>13}{'p99':>8}{'cpu ms':>8}{'bytes':>10}"
          f"{'MiB':>6}{'other':>7}  restore")
    for row in rows:
        back = f"{row['restore_s']:.2f} s, {row['restore_mib']:.0f} MiB" if "restore_s" in row else ""
        print(f"{row['agent']:26}{row['size']:>6}{row['p50']:9.2f}{row['p99']:8.2f}{row['max']:8.1f}"
              f"{row['flushes_p50']:13.2f}{row['flushes_p99']:8.2f}{row['cpu_ms']:8.2f}{row['bytes']:10.0f}"
              f"{row['resident_mib']:6.0f}{row['other']:7.2f}  {back}")
        for line in row["complaints"]:
            print(f"{'':26}{line}")
    targets(rows)


def targets(rows):
    mine = [row for row in rows if row["agent"].startswith("holdfast")]
    if not mine or mine[0]["percent"]:
        return
    print("\nTargets\n")
    for row in mine:
        for name, most in TARGETS.items():
            value = row[name] - row.get(f"flushes_{name}", 0)
            print(f"{'reached    ' if value <= most else 'NOT reached'} {row['size']} {name}: {value:.2f} of at most {most}")
        growth = row["p50"] / mine[0]["p50"]
        print(f"{'reached    ' if growth <= GROWTH else 'NOT reached'} {row['size']} ÷ {mine[0]['size']}: {growth:.2f}")


def main():
    given = arguments()
    folder = tempfile.mkdtemp(prefix="holdfast-changes.", dir=given.folder)
    given.folder, rows = folder, []
    kinds = [agents.holdfast(given.binary, "--debounce", "0ms", "--min-interval", "0ms"), agents.litestream()]
    try:
        for size in given.sizes.split(","):
            model = f"{folder}/model-{size}.db"
            make(model, byte_count(size))
            for kind in agents.present(kinds, given.only, given.binary):
                try:
                    rows.append(measure(kind, model, size, given))
                except Failed as failure:
                    print(f"{kind.name}: {failure}", file=sys.stderr)
            os.unlink(model)
        print(json.dumps(rows, indent=2)) if given.json else report(rows)
    finally:
        shutil.rmtree(folder)
    return 0 if rows else 1


if __name__ == "__main__":
    sys.exit(main())
