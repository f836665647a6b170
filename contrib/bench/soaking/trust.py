"""Actions before a person trusts a backup: drills, queries, comparisons, pins, commands under guard, and an undo.

See soaking/phases.py for the meaning of a phase.
"""
import sqlite3, sys

from soaking.commands import BUSY_OR_CHANGED, rewinding, writing
from soaking.ledger import HISTORY, State
from soaking.owed import EMPTY, MISSING, Owed

NOTHING_TO_UNDO = 8
SET_VERSION = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('PRAGMA user_version = 7'); sys.exit(3)"


def drilled(stage):
    """Every backup that can be restored passes, while others write."""
    with writing(stage) as owed:
        for which in (["--random"], [stage.some_point(sound=True), "--quick"]):
            stage.holdfast("drill", *which, "--json", missing=True)
    return owed()


def asked(stage):
    """A backup answers with the state that was found in it when it was restored."""
    with writing(stage) as owed:
        point = stage.some_point(sound=True)
        newest = stage.holdfast("query", point, "SELECT lineage, seq, hash FROM ledger ORDER BY seq DESC LIMIT 1", "--json",
                                missing=True)
        if newest and State(**newest[0]) != stage.proof.known[point]:
            stage.violation(f"{point} answers {newest[0]} and holds {stage.proof.known[point]}")
        stage.holdfast("show", point, "--schema", "--json", missing=True)
    return owed()


def compared(stage):
    """The ledgers of two backups of one history differ in as many rows as there were commits between them."""
    with writing(stage) as owed:
        before, after = related(stage)
        states = [stage.proof.known[point] for point in (before, after)]
        found = stage.holdfast("diff", before, after, "--summary", "--json", missing=True)
        rows = {table["name"]: table for table in found.get("tables", [])}.get("ledger", {"added": 0})
        commits = states[1].seq - states[0].seq
        # If there were more commits, the ledger keeps no row of the first backup.
        if found and commits <= HISTORY and rows["added"] != commits:
            stage.violation(f"{states[0]} and {states[1]} differ, says diff, in {rows}")
        stage.holdfast("diff", after, "live", "--summary", "--json", missing=True)
    return owed()


def related(stage):
    """Two backups of one history, perhaps the same one, the earlier first."""
    known, one = stage.proof.known, stage.some_point(sound=True)
    listed = [point["backup_id"] for point in stage.guard.listed()]
    same = [point for point in listed if point in known and known[point].lineage == known[one].lineage]
    return sorted([one, stage.random.choice(same or [one])], key=lambda point: known[point].seq)


def pinned(stage):
    """Compaction and cleanup leave a pinned backup and those that it needs."""
    with writing(stage) as owed:
        point = stage.some_point(sound=True)
        is_pinned = stage.holdfast("pin", point, "--json", missing=True)
        done = stage.holdfast("compact", "--json", ahead=stage.hours_ahead(), codes=(0, BUSY_OR_CHANGED))
        stage.guard.gone |= {gone for step in done.get("steps", []) for gone in step["removed"]}
        if is_pinned and point in stage.guard.gone:
            stage.violation(f"{point} was pinned and is gone")
        stage.prove_again({point, *(step["into"] for step in done.get("steps", []))})
        stage.holdfast("unpin", point, "--json", missing=True)
    return owed()


def guarded(stage):
    """A command that fails is rolled back, if requested."""
    rolls_back = stage.random.random() < 0.7
    with rewinding(stage) as since:
        before = version(stage)
        stage.holdfast("guard", *(["--rollback"] if rolls_back else []), "--quiet", "--", sys.executable, "-c",
                       SET_VERSION, stage.database, codes=(3,))
        if version(stage) != (before if rolls_back else 7):
            stage.violation(f"user_version was {before} and is {version(stage)} after a command under guard")
    return Owed(2 + rolls_back, 3 + rolls_back + stage.most_points(since), rewound=True)


def version(stage):
    connection = sqlite3.connect(stage.database, timeout=20)
    try:
        return connection.execute("PRAGMA user_version").fetchone()[0]
    finally:
        connection.close()


def undone(stage):
    """A restore's safety backup is restored, if it was a working database, and applications continue from there."""
    plan = stage.holdfast("undo", "--dry-run", "--json", codes=(0, NOTHING_TO_UNDO), missing=True)
    if plan.get("backup_id") not in stage.proof.known:
        return Owed()
    with rewinding(stage) as since:
        done = stage.holdfast("undo", "--yes", "--json", codes=(0, NOTHING_TO_UNDO), missing=True)
    safety = 1 if done.get("safety_backup_id") else 0
    return Owed(1 + safety, 2 + safety + stage.most_points(since), allowed=f"{MISSING}|{EMPTY}", rewound=True)


EVERY = [drilled, asked, compared, pinned, guarded, undone]
