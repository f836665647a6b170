#!/usr/bin/env python3
"""Copies in a store: the upload of a full, from a commit to the store's answer, and the way back.

usage: offsite.py [--binary PATH] [--size 1G] [--pairs 3] [--commits 1900] [--only uploads,commits] [--store moto]

uploads: `holdfast sync` of a full of random content, `curl -T` of the same archive, and Litestream's first upload of
the same database take turns against the same store. The ratio is that of curl's time to the other's, of the same turn.
commits: an application changes ten rows, waits until the store has them, and so on; beside it the time to the durable
backup here. A bare PUT of the same size is the round trip. Then the last state is restored from the backup folder, and
by another machine from the store.

The store "plain" only reads bodies; "digests" also computes what every store computes; "1 Gbit/s" is "plain" behind
such a line. Requests are counted by the store's log.
"""
import argparse, json, os, random, re, shutil, sqlite3, statistics, subprocess, sys, tempfile, time

import agents, stores
from arrivals import Arrivals
from changes import ARRIVAL, change, make, percentile
from make_db import byte_count
from measure import Failed, busy_seconds, run
from same_rows import same

MIB = 2**20
KINDS = {
    "plain": lambda: stores.plain("--discard"),
    "digests": lambda: stores.plain("--discard", "--digests", name="digests"),
    "1 Gbit/s": lambda: stores.plain("--discard", "--rate", "119", name="1 Gbit/s"),
    "moto": stores.moto,
}
# Of curl's speed; MiB above a small upload; times the local restore; milliseconds above the rest.
SPEED, MEMORY, RESTORE, ACKNOWLEDGED = 0.9, 12, 2.0, 3.0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=agents.BINARY, help="a release build of holdfast")
    parser.add_argument("--size", default="1G", help="of the database that is uploaded")
    parser.add_argument("--pairs", type=int, default=3, help="turns for each store")
    parser.add_argument("--commits", type=int, default=1900)
    parser.add_argument("--changed", default="64M", help="the size of the database that is changed")
    parser.add_argument("--only", default="uploads,commits", help="measurements, separated by commas")
    parser.add_argument("--store", default=",".join(KINDS), help="stores for the uploads, separated by commas")
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="where databases and backups are written")
    given = parser.parse_args()
    given.binary = os.path.abspath(given.binary)
    return given


def target(store, bucket):
    return f"s3://{bucket}/copies?endpoint={store.endpoint}&region=us-east-1"


# Uploads


class Upload:
    """A database, a full backup of it, and the three ways to send it."""

    def __init__(self, folder, size, binary):
        self.folder, self.binary, self.database = folder, binary, f"{folder}/app/app.db"
        os.makedirs(f"{folder}/app")
        connection = sqlite3.connect(self.database, isolation_level=None)
        connection.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; CREATE TABLE ballast (body BLOB)")
        for _ in range(max(1, size // 1_052_700)):
            connection.execute("INSERT INTO ballast VALUES (randomblob(?))", (min(size, 1_048_000),))
        connection.close()
        self.environment = agents.environment(folder, **stores.KEYS)
        agents.make_key(binary, folder)
        self.options = ["--database", self.database, "--backup-dir", f"{folder}/backups"]
        run([binary, "create", *self.options], self.environment)
        archive, = (entry for entry in os.scandir(f"{folder}/backups") if entry.name.startswith("backup_"))
        self.archive, self.size = archive.path, archive.stat().st_size

    def curl(self, store, bucket):
        return run(["curl", "-sSf", "-o", "/dev/null", "-T", self.archive, f"{store.endpoint}/{bucket}/curl"],
                   self.environment)

    def holdfast(self, store, bucket):
        return run([self.binary, "sync", "--once", *self.options, "--target", target(store, bucket)], self.environment)

    def litestream(self, store, bucket):
        if not shutil.which("litestream"):
            return None
        shutil.rmtree(f"{self.folder}/app/.app.db-litestream", ignore_errors=True)
        path = f"{self.folder}/litestream.yml"
        write_litestream(path, self.database, store, bucket)
        return run(["litestream", "replicate", "-once", "-config", path], self.environment)


def write_litestream(path, database, store, bucket):
    with open(path, "w") as file:
        file.write(f"logging:\n  level: warn\ndbs:\n  - path: {database}\n    replica:\n      type: s3\n"
                   f"      bucket: {bucket}\n      path: litestream\n      endpoint: {store.endpoint}\n"
                   f"      region: us-east-1\n      force-path-style: true\n"
                   f"      access-key-id: bench\n      secret-access-key: bench\n")


def uploads(given):
    upload = Upload(f"{given.folder}/upload", byte_count(given.size), given.binary)
    small = Upload(f"{given.folder}/small", 4096, given.binary)
    rows = []
    for name in given.store.split(","):
        store = KINDS[name]()
        if store is None:
            continue
        try:
            turns = [turn(upload, small, store) for _ in range(given.pairs)]
        finally:
            store.stop()
        rows.append({"store": name, "bytes": upload.size} | {
            field: statistics.median(values) if (values := [turn[field] for turn in turns if field in turn]) else None
            for field in turns[0]})
    return rows


def turn(upload, small, store):
    """Each way once; its figures."""
    busy, start = busy_seconds(), time.perf_counter()
    curl = upload.curl(store, store.bucket())
    least = small.holdfast(store, store.bucket())
    since = len(store.requests)
    mine = upload.holdfast(store, store.bucket())
    figures = {
        "curl_s": curl.wall, "holdfast_s": mine.wall, "ratio": curl.wall / mine.wall, "curl_cpu": curl.cpu,
        "holdfast_cpu": mine.cpu, "above_small_mib": (mine.rss - least.rss) / MIB, "peak_mib": mine.rss / MIB,
        "puts": store.counts(since)["put"],
    }
    since = len(store.requests)
    if peer := upload.litestream(store, store.bucket()):
        figures |= {"litestream_s": peer.wall, "litestream_ratio": curl.wall / peer.wall, "litestream_cpu": peer.cpu,
                    "litestream_mib": peer.rss / MIB, "litestream_puts": store.counts(since)["put"]}
    return figures | {"busy": (busy_seconds() - busy) / (time.perf_counter() - start)}


# Commits and restores


def holdfast(binary, store, bucket):
    def start(databases, folder):
        agents.make_key(binary, folder)
        path, out = f"{folder}/holdfast.toml", f"{folder}/backups"
        with open(path, "w") as file:
            file.write(f'debounce = "0ms"\nmin_interval = "0ms"\n\n[[databases]]\nname = "app"\n'
                       f'path = "{databases[0]}"\nbackup_dir = "{out}"\n\n[[databases.targets]]\nname = "store"\n'
                       f'url = "{target(store, bucket)}"\ninterval = "0s"\ncredentials_file = "{folder}/keys"\n')
        with open(f"{folder}/keys", "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write("[default]\naws_access_key_id = bench\naws_secret_access_key = bench\n")
        return agents.Agent("holdfast", [binary, "agent", "--config", path], folder, out, r"backup_\d{8}_\d{6}")
    return agents.Kind("holdfast", start)


def litestream(store, bucket):
    def start(databases, folder):
        write_litestream(f"{folder}/litestream.yml", databases[0], store, bucket)
        command = ["litestream", "replicate", "-config", f"{folder}/litestream.yml"]
        # Its local files are beside the database.
        return agents.Agent("litestream", command, folder, f"{folder}/app", r"/0/[^/]+\.ltx$")
    return agents.Kind("litestream", start)


# The put that makes a change safe.
OBJECT = {"holdfast": re.compile(r"/points/.*-backup_[^/]*$"), "litestream": re.compile(r"/0+/[^/]+\.ltx")}


def commits(given):
    model, rows = f"{given.folder}/model.db", []
    make(model, byte_count(given.changed))
    for name, start in (("plain", stores.plain), ("moto", stores.moto)):
        if name not in given.store.split(",") or (store := start()) is None:
            continue
        try:
            bucket = store.bucket()
            shared = {"store": name, "trip_ms": store.round_trip(bucket, 6000) * 1e3}
            for kind in agents.present([holdfast(given.binary, store, bucket), litestream(store, bucket)], None,
                                       given.binary):
                try:
                    rows.append({"agent": kind.name} | shared | follow(kind, model, store, bucket, given))
                except Failed as failure:
                    print(f"{kind.name}: {failure}", file=sys.stderr)
        finally:
            store.stop()
    return rows


def follow(kind, model, store, bucket, given):
    folder = tempfile.mkdtemp(prefix="commits.", dir=given.folder)
    os.mkdir(f"{folder}/app")
    database = shutil.copy(model, f"{folder}/app/app.db")
    connection, source = sqlite3.connect(database, isolation_level=None, timeout=20), random.Random(7)
    connection.execute("PRAGMA synchronous = NORMAL")
    change(connection, source, 0)
    agent = kind.start([database], folder)
    try:
        settle(agent, store)
        arrivals = Arrivals(agent.out, re.compile(ARRIVAL[kind.name]))
        times, since = [], 0
        for number in range(given.commits if kind.name == "holdfast" else min(given.commits, 50)):
            # The first ones find nothing prepared, as after any start.
            if number == 3:
                since = len(store.requests)
            times.append(one_commit(kind, connection, source, store, arrivals))
        counts = store.counts(since)
        arrivals.close()
        agent.stop()
        here, there = ([pair[side] * 1e3 for pair in times[3:]] for side in (0, 1))
        count = len(times) - 3
        figures = {"commits": count, "here_p50": percentile(here, .5), "here_p99": percentile(here, .99),
                   "there_p50": percentile(there, .5), "there_p99": percentile(there, .99),
                   "requests": {what: number / count for what, number in counts.items()},
                   "complaints": agent.complaints()}
        return figures | restores(kind.name, database, folder, store, bucket, given)
    finally:
        agent.stop()
        connection.close()
        shutil.rmtree(folder)


def settle(agent, store, quiet=2, patience=120):
    """Waits until the store has the first backup, and then gets nothing for `quiet` seconds."""
    store.next(0, OBJECT[agent.name], patience)
    for _ in range(patience):
        count = len(store.requests)
        time.sleep(quiet)
        if len(store.requests) == count:
            return
    raise Failed(f"{agent.name} does not come to rest: {agent.output()[-2000:]}")


def one_commit(kind, connection, source, store, arrivals):
    """Seconds from a commit to the durable backup here, and to the answer of the store."""
    time.sleep(0.01 * source.random())
    arrivals.clear()
    since = len(store.requests)
    change(connection, source, 0)
    start = time.perf_counter()
    _, here = arrivals.next(60)
    there = store.next(since, OBJECT[kind.name], 60)
    if there is None or here is None:
        raise Failed("nothing was stored for a commit in 60 s")
    return here - start, there - start


def restores(name, database, folder, store, bucket, given):
    """The last state, from the backup folder and from the store."""
    back, rows = f"{folder}/back.db", {"local": [], "remote": []}
    for number in range(given.pairs):
        for place in rows:
            if name == "litestream" and place == "local":
                continue
            since = len(store.requests)
            rows[place].append(run(command(name, place, database, folder, target(store, bucket), back, given),
                                   restore_environment(folder, place, number)))
            requests = store.counts(since)
            if not same(sqlite3.connect(back), sqlite3.connect(database)):
                raise Failed(f"{name} restored something else than the database")
            for end in ("", "-wal", "-shm"):
                if os.path.exists(back + end):
                    os.unlink(back + end)
    figures = {"restore_requests": dict(requests), "remote_s": statistics.median(r.wall for r in rows["remote"]),
               "remote_mib": statistics.median(r.rss for r in rows["remote"]) / MIB}
    if rows["local"]:
        figures["local_s"] = statistics.median(r.wall for r in rows["local"])
        figures["restore_ratio"] = statistics.median(
            remote.wall / local.wall for local, remote in zip(rows["local"], rows["remote"]))
    return figures


def command(name, place, database, folder, url, back, given):
    if name == "litestream":
        return ["litestream", "restore", "-config", f"{folder}/litestream.yml", "-o", back, database]
    if place == "local":
        where = ["--database", database, "--backup-dir", f"{folder}/backups"]
    else:
        where = ["--from", url, "--database", f"{folder}/nothing/app.db", "--backup-dir", f"{folder}/nothing/backups"]
    return [given.binary, "restore", "latest", "--to", back, "--yes", *where]


def restore_environment(folder, place, number):
    more = stores.KEYS | ({"XDG_STATE_HOME": f"{folder}/other-machine-{number}"} if place == "remote" else {})
    return agents.environment(folder, **more)


# Reports


def report_uploads(rows):
    if not rows:
        return
    print(f"\nUpload of a full of {rows[0]['bytes'] / MIB:.0f} MiB\n")
    print(f"{'':12}{'curl s':>8}{'holdfast':>10}{'ratio':>7}{'cpu s':>7}{'peak MiB':>10}{'above small':>13}{'puts':>6}"
          f"{'litestream':>12}{'ratio':>7}{'cpu s':>7}{'MiB':>6}{'puts':>6}{'busy':>6}")
    for row in rows:
        peer = (f"{row['litestream_s']:12.2f}{row['litestream_ratio']:7.2f}{row['litestream_cpu']:7.2f}"
                f"{row['litestream_mib']:6.0f}{row['litestream_puts']:6.0f}" if "litestream_s" in row else " " * 38)
        print(f"{row['store']:12}{row['curl_s']:8.2f}{row['holdfast_s']:10.2f}{row['ratio']:7.2f}"
              f"{row['holdfast_cpu']:7.2f}{row['peak_mib']:10.1f}{row['above_small_mib']:13.1f}{row['puts']:6.0f}{peer}"
              f"{row['busy']:6.2f}")


def report_commits(rows):
    if not rows:
        return
    print("\nFrom a commit to the store, milliseconds, and back\n")
    print(f"{'':18}{'commits':>8}{'a PUT':>7}{'here p50':>10}{'p99':>8}{'there p50':>11}{'p99':>9}{'local s':>9}"
          f"{'remote s':>10}{'ratio':>7}{'MiB':>6}  requests a commit; of a restore")
    for row in rows:
        local = f"{row['local_s']:9.2f}" if "local_s" in row else " " * 9
        ratio = f"{row['restore_ratio']:7.2f}" if "restore_ratio" in row else " " * 7
        each = ", ".join(f"{number:.2f} {what}" for what, number in sorted(row["requests"].items()))
        back = ", ".join(f"{number} {what}" for what, number in sorted(row["restore_requests"].items()))
        name = f"{row['agent']}, {row['store']}"
        print(f"{name:18}{row['commits']:8}{row['trip_ms']:7.2f}{row['here_p50']:10.2f}{row['here_p99']:8.2f}"
              f"{row['there_p50']:11.2f}{row['there_p99']:9.2f}{local}{row['remote_s']:10.2f}{ratio}"
              f"{row['remote_mib']:6.0f}  {each}; {back}")
        for line in row["complaints"]:
            print(f"{'':18}{line}")


def targets(uploaded, committed):
    """Lines of (subject, measured, limit, whether more is better)."""
    lines = []
    for row in uploaded:
        lines.append((f"upload, {row['store']}: share of curl's speed", row["ratio"], SPEED, True))
        lines.append((f"upload, {row['store']}: MiB above a small one", row["above_small_mib"], MEMORY, False))
    for row in committed:
        if row["agent"] == "holdfast":
            rest = row["there_p50"] - row["here_p50"] - row["trip_ms"]
            lines.append((f"commit to {row['store']}'s answer, beyond backup and put, ms", rest, ACKNOWLEDGED, False))
            lines.append((f"restore from {row['store']} ÷ from the folder", row["restore_ratio"], RESTORE, False))
    return lines


def main():
    given = arguments()
    given.folder = tempfile.mkdtemp(prefix="holdfast-offsite.", dir=given.folder)
    wanted = given.only.split(",")
    try:
        uploaded = uploads(given) if "uploads" in wanted else []
        committed = commits(given) if "commits" in wanted else []
    finally:
        shutil.rmtree(given.folder)
    if given.json:
        print(json.dumps({"uploads": uploaded, "commits": committed}, indent=2))
        return
    report_uploads(uploaded)
    report_commits(committed)
    print("\nTargets\n")
    for what, measured, limit, is_more_better in targets(uploaded, committed):
        reached = measured >= limit if is_more_better else measured <= limit
        print(f"{'reached    ' if reached else 'NOT reached'} {what}: {measured:.2f} of {limit:g}")


if __name__ == "__main__":
    sys.exit(main())
