"""Events of the database, one phase at a time.

A phase acts and returns the agent's pending work. `stage` is the Stage of soaking/stage.py: the applications, the
agent, the history, and one source of randomness.
"""
import os, time

from soaking import commands, lives, trust
from soaking.owed import BUSY, CALM, DAMAGED, EMPTY, FULL, MISSING, ODD, Owed, one


# Writing

def burst(stage, kill=False):
    since, seconds = time.monotonic(), stage.random.uniform(0.1, 3.5)
    writers = stage.writers(stage.random.choice([1, 1, 2, 3]) + (1 if kill else 0))
    for writer in writers:
        writer.tell("burst", seconds=seconds, pause=stage.random.choice([0, 0.02, 0.2]), seed=stage.seed())
    if kill:
        time.sleep(stage.random.uniform(0, seconds))
        stage.kill(writers.pop())
    for writer in writers:
        writer.answer()
    stage.maybe_close(writers)
    return one(stage, since)


def killed_writer(stage):
    return burst(stage, kill=True)


def crash(stage):
    """All applications die at once, in the middle of a burst."""
    since, writers = time.monotonic(), stage.writers(2)
    for writer in writers:
        writer.tell("burst", seconds=5, pause=0, seed=stage.seed())
    time.sleep(stage.random.uniform(0.5, 2.5))
    for application in list(stage.open):
        stage.kill(application)
    return one(stage, since)


def single(stage):
    since, writers = time.monotonic(), stage.writers(1)
    writers[0].ask("burst", seconds=0, pause=0, seed=stage.seed())
    stage.maybe_close(writers)
    return one(stage, since)


def steady(stage):
    """A writer that never pauses, for longer than `max_delay`."""
    writers = stage.writers(2)
    for writer in writers:
        writer.tell("burst", seconds=11, pause=0.02, seed=stage.seed())
    for writer in writers:
        writer.answer()
    return Owed(2, 5)


def slow_commit(stage):
    """Frames reach the disk long before their commit."""
    since, writers = time.monotonic(), stage.writers(1)
    writers[0].ask("slow", rows=1000, hold=1.7, end="COMMIT", seed=stage.seed())
    return one(stage, since)


def rollback(stage):
    """Changes nothing; but a rollback journal does not restore pages that were free before, so they differ."""
    writers = stage.writers(1)
    writers[0].ask("slow", rows=1000, hold=stage.random.choice([0, 1]), end="ROLLBACK", seed=stage.seed())
    return Owed(most=int(stage.mode == "DELETE"))


def vacuum(stage):
    since, writers = time.monotonic(), stage.writers(1)
    writers[0].ask("vacuum")
    return one(stage, since)


def rollback_journal(stage):
    """An application requests the mode, which needs the database exclusively, and writes in it."""
    stage.close_all()
    time.sleep(CALM)
    since, application = time.monotonic(), stage.application()
    mode = "WAL" if stage.mode == "DELETE" else "DELETE"
    stage.insist(application, "set_mode", mode=mode)
    stage.mode = mode
    application.ask("burst", seconds=1, pause=0.02, seed=stage.seed())
    return one(stage, since)


def exclusive(stage):
    """No program can read beside it; its writes are pending when it is gone."""
    stage.close_all()
    time.sleep(CALM)
    application = stage.application(open_it=False)
    stage.insist(application, "open", pragmas=["locking_mode = EXCLUSIVE"])
    application.ask("burst", seconds=1, pause=0.02, seed=stage.seed())
    time.sleep(2)
    stage.close_all()
    return Owed(1, 1, allowed=BUSY)


# Nothing to back up

def quiet(stage):
    time.sleep(8)
    return Owed(idle=True)


def reader(stage):
    applications = stage.writers(1)
    for _ in range(20):
        applications[0].ask("read")
        time.sleep(0.05)
    return Owed()


def passers_by(stage):
    """Open, read, close, with or without another program that has it open."""
    if stage.random.random() < 0.5:
        stage.writers(1)
    for _ in range(5):
        visitor = stage.application()
        visitor.ask("read")
        stage.close(visitor)
    return Owed()


def checkpoint(stage):
    """The content of the log is already in a backup; now it only moves."""
    stage.writers(1)[0].ask("checkpoint", mode=stage.random.choice(["PASSIVE", "FULL", "RESTART", "TRUNCATE"]))
    return Owed()


def last_close(stage):
    stage.writers(1)
    time.sleep(CALM)
    stage.close_all()
    stage.check_side_files(within=1)
    return Owed()


# Another file, or no file

def move_over(stage):
    """A database of another lineage replaces it, as a manual restore does."""
    stage.close_all()
    if not stage.check_side_files(within=1):
        return Owed(most=1)
    ready = stage.prepare_another()
    since = time.monotonic()
    os.rename(ready, stage.database)
    stage.lineage = stage.prepared
    return Owed(1, max(1, stage.most_points(since)), allowed=ODD)


def remove(stage):
    stage.close_all()
    for suffix in ("", "-wal", "-shm", "-journal"):
        if os.path.exists(stage.database + suffix):
            os.remove(stage.database + suffix)
    return Owed(allowed=MISSING, required=MISSING, absent=True)


def empty(stage):
    """A person's shell redirects into it."""
    stage.close_all()
    stage.check_side_files(within=1)
    open(stage.database, "w").close()
    return Owed(allowed=f"{EMPTY}|{MISSING}", required=EMPTY, absent=True)


def damage(stage):
    """Its first page is overwritten."""
    stage.close_all()
    stage.check_side_files(within=1)
    with open(stage.database, "r+b") as file:
        file.write(bytes(range(256)) * 16)
    return Owed(allowed=DAMAGED, required=DAMAGED, absent=True)


def recreate(stage):
    """After the three above: a restore, a new database by an application, or a good file in its place."""
    if stage.random.random() < 0.4:
        return commands.restored(stage)
    if os.path.exists(stage.database) and os.path.getsize(stage.database) > 0 or stage.random.random() < 0.3:
        return move_over(stage)
    since, application = time.monotonic(), stage.application(open_it=False)
    stage.mode, stage.lineage = "WAL", stage.name()
    application.ask("create", lineage=stage.lineage, journal="WAL", seed=stage.seed())
    return Owed(1, stage.most_points(since), allowed=ODD)


# The disk

def full_disk(stage):
    """Backups fail until there is room again, then the pending one follows by itself."""
    since = time.monotonic()
    with stage.full_disk():
        writers = stage.writers(1)
        writers[0].ask("burst", seconds=1, pause=0.02, seed=stage.seed())
        stage.maybe_close(writers)
        time.sleep(stage.random.uniform(3, 6))
    return Owed(1, stage.most_points(since), allowed=FULL, required=FULL)


WRITING = [burst, killed_writer, crash, single, steady, slow_commit, rollback, vacuum, rollback_journal, exclusive]
STILL = [quiet, reader, passers_by, checkpoint, last_close]
REPLACING = [move_over, remove, empty, damage]
FAULTS = [full_disk]
EVERY = WRITING + STILL + REPLACING + FAULTS + lives.EVERY + commands.EVERY + trust.EVERY
COMMON = [burst] * 5 + [single] * 2 + [killed_writer]
