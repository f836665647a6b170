#!/usr/bin/env python3
"""Full backup and restore of one database: Holdfast and every installed peer, in turns.

usage: full.py [--size 256M] [--runs 5] [--holdfast PATH] [--only NAME,NAME] [--folder DIR]

Each round gives every tool one turn, with a fresh folder: a backup, then a restore, each after a sync(1), each
timed from outside. The tables give medians over the rounds and ratios within this run; "other" is the number of
processors that everything else on the machine kept busy meanwhile (if a neighbour is busy, trust the ratios only).
Then the targets, reached or not.
"""
import argparse, filecmp, hashlib, os, shlex, shutil, statistics, subprocess, sys, tempfile, time

from measure import RSS_FLOOR, Failed, Sample, bytes_below, run
from tools import HOLDFAST, PEERS, environment

HERE = os.path.dirname(os.path.abspath(__file__))
RESTORE_PEER, PIPELINE, SQLITE = ".backup + zstd -3 -T2 + age", ".backup + gzip -6 + openssl", ".backup"
KEY_FILE, PASSWORD, UNCHECKED = (tool.name for tool in HOLDFAST)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="256M")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--holdfast", default=os.path.join(HERE, "../../.build-static/release/holdfast"))
    parser.add_argument("--only", help="names of tools, separated by commas")
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="where database and backups are written")
    return parser.parse_args()


def available(given):
    """The tools that can take part; reports the others with the reason."""
    tools = []
    for tool in HOLDFAST + PEERS:
        missing = [program for program in tool.programs if not shutil.which(program)]
        if tool in HOLDFAST and not os.access(given.holdfast, os.X_OK):
            missing = [given.holdfast]
        if given.only and tool.name not in given.only.split(","):
            continue
        if missing:
            print(f"without {tool.name}: no {', '.join(missing)}", file=sys.stderr)
        else:
            tools.append(tool)
    return tools


def turn(tool, database, given):
    """One backup and one restore: their samples."""
    work = tempfile.mkdtemp(prefix="turn.", dir=given.folder)
    try:
        names = {"db": database, "work": work, "out": f"{work}/out", "back": f"{work}/back.db",
                 "holdfast": os.path.abspath(given.holdfast)}
        if tool.own_copy:
            os.mkdir(f"{work}/source")
            names["db"] = shutil.copy(database, f"{work}/source/app.db")

        def step(command):
            if isinstance(command, list):
                return run([part.format(**names) for part in command], environment(tool, work))
            quoted = {name: shlex.quote(path) for name, path in names.items()}
            return run(command.format(**quoted), environment(tool, work))

        if tool.setup:
            step(tool.setup)
        backup = step(tool.backup)
        backup.stored = bytes_below(names["out"])
        if tool.before_restore:
            step(tool.before_restore)
        restore = step(tool.restore)
        restore.stored = bytes_below(names["back"])
        check(names["back"], database)
        return backup, restore
    finally:
        shutil.rmtree(work)


def check(restored, database):
    """The restored file equals the database, byte for byte or, if a tool goes through SQLite, row for row."""
    if filecmp.cmp(restored, database, shallow=False):
        return
    same = subprocess.run([sys.executable, os.path.join(HERE, "same_rows.py"), restored, database])
    if same.returncode:
        raise Failed("what was restored is not the database")


def median(samples):
    fields = {name: statistics.median(getattr(sample, name) for sample in samples)
              for name in ("wall", "cpu", "rss", "other", "stored")}
    return Sample(**fields)


def table(title, medians, samples):
    print(f"\n{title}\n")
    print(f"{'':32}{'wall s':>8}{'min..max':>16}{'cpu s':>8}{'peak MiB':>10}{'MiB':>9}{'other':>7}{'x .backup':>11}")
    base = medians.get(SQLITE)
    for name, row in medians.items():
        walls = [sample.wall for sample in samples[name]]
        peak = f"{row.rss / 2**20:.0f}" if row.rss > RSS_FLOOR * 1.1 else f"<={RSS_FLOOR / 2**20:.0f}"
        ratio = f"{row.wall / base.wall:.2f}" if base else ""
        spread = f"{min(walls):.2f}..{max(walls):.2f}"
        print(f"{name:32}{row.wall:8.3f}{spread:>16}{row.cpu:8.2f}{peak:>10}{row.stored / 2**20:9.1f}{row.other:7.2f}"
              f"{ratio:>11}")


def integrity_check_seconds(database):
    code = ("import sqlite3, sys, time; c = sqlite3.connect(sys.argv[1]); s = time.perf_counter();"
            "assert c.execute('PRAGMA integrity_check').fetchall() == [('ok',)]; print(time.perf_counter() - s)")
    return float(subprocess.run([sys.executable, "-c", code, database], check=True, capture_output=True).stdout)


def derivation_seconds():
    """The cost of a password's one key derivation, here and now."""
    start = time.perf_counter()
    hashlib.pbkdf2_hmac("sha256", b"bench", bytes(16), 600_000)
    return time.perf_counter() - start


def targets(backups, restores, database):
    """Lines of (subject, measured, limit); if a line's tools took no part, it is left out."""
    lines = []

    def limit(what, mine, theirs, factor=1.0, plus=0.0):
        if mine and theirs:
            lines.append((what, mine.wall, theirs.wall * factor + plus, "s"))

    for name, plus, words in ((KEY_FILE, 0, ""), (PASSWORD, derivation_seconds(), " + its key derivation")):
        mine = backups.get(name)
        limit(f"backup, {name}: below .backup{words}", mine, backups.get(SQLITE), plus=plus)
        limit(f"backup, {name}: 0.08 of {PIPELINE}{words}", mine, backups.get(PIPELINE), 0.08, plus)
        limit(f"restore, {name}: below {RESTORE_PEER}{words}", restores.get(name), restores.get(RESTORE_PEER), plus=plus)
        if mine:
            lines.append((f"backup, {name}: peak memory", mine.rss / 2**20, 40, "MiB"))
    if UNCHECKED in restores and RESTORE_PEER in restores:
        limit(f"restore, {UNCHECKED}: the same + integrity_check", restores[UNCHECKED], restores[RESTORE_PEER],
              plus=integrity_check_seconds(database))
    return lines


def report(samples, database):
    backups = {name: median([backup for backup, _ in turns]) for name, turns in samples.items() if turns}
    restores = {name: median([restore for _, restore in turns]) for name, turns in samples.items() if turns}
    table("Full backup", backups, {name: [pair[0] for pair in turns] for name, turns in samples.items()})
    table("Restore into a new file", restores, {name: [pair[1] for pair in turns] for name, turns in samples.items()})
    lines = targets(backups, restores, database)
    if lines:
        print("\nTargets\n")
    for what, measured, most, unit in lines:
        verdict = "reached    " if measured <= most else "NOT reached"
        print(f"{verdict} {what}: {measured:.3f} of at most {most:.3f} {unit}")


def main():
    given = arguments()
    tools = available(given)
    folder = tempfile.mkdtemp(prefix="holdfast-bench.", dir=given.folder)
    given.folder, database = folder, f"{folder}/app.db"
    try:
        subprocess.run([sys.executable, f"{HERE}/make_db.py", database, given.size], check=True)
        print(f"{os.path.getsize(database) / 2**20:.1f} MiB, {given.runs} rounds, {os.cpu_count()} processors")
        samples = {tool.name: [] for tool in tools}
        for _ in range(given.runs):
            for tool in tools:
                try:
                    samples[tool.name].append(turn(tool, database, given))
                except Failed as failure:
                    print(f"{tool.name}: {failure}", file=sys.stderr)
        report(samples, database)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
