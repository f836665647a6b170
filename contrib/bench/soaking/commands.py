"""Commands that people run beside the agent. See soaking/phases.py for the meaning of a phase."""
import contextlib, os, time

from soaking.owed import CALM, EMPTY, MISSING, Owed, one

BUSY_OR_CHANGED = 6   # the exit code if another command was quicker


@contextlib.contextmanager
def writing(stage, chance=0.5):
    """Lets applications write meanwhile, or not; yields a function that returns the pending backups of their writes."""
    since, writers = time.monotonic(), []
    if stage.random.random() < chance:
        writers = stage.writers(stage.random.choice([1, 2]))
        for writer in writers:
            writer.tell("burst", seconds=stage.random.uniform(0.5, 3), pause=0.02, seed=stage.seed())
        time.sleep(stage.random.uniform(0, 1))
    yield lambda: one(stage, since) if writers else Owed()
    for writer in writers:
        writer.answer()


def created(stage):
    """A full by request; the agent need not store its content again."""
    with writing(stage) as owed:
        stage.holdfast("create", "--json", "--tags", "soak")
    return Owed(1, 1 + owed().most)


def created_incremental(stage):
    """Stores nothing if nothing changed; else the changes, or a full if an incremental is not possible."""
    with writing(stage) as owed:
        stage.holdfast("create", "--incremental", "--json")
    least = owed()
    return Owed(least.least, 1 + least.most)


def killed_command(stage):
    """At whatever step a command dies, its backup exists or not, and no other backup is lost."""
    command = stage.random.choice([["create"], ["create", "--incremental"], ["verify", stage.some_point()]])
    with writing(stage) as owed:
        stage.killed(command, within=0.15)
    least = owed()
    return Owed(least.least, 1 + least.most)


def verified(stage):
    with writing(stage) as owed:
        for point in {"latest", stage.some_point(), stage.some_point()}:
            stage.holdfast("verify", point, "--json", missing=True)
    return owed()


def looked_at(stage):
    with writing(stage) as owed:
        for command in (["list"], ["stats"], ["show", "latest"], ["cleanup", "--dry-run", "--keep", "5"],
                        ["compact", "--dry-run"], ["restore", "latest", "--dry-run"]):
            stage.holdfast(*command, "--json")
    return owed()


def accepted(stage):
    """A person has looked at the anomalies."""
    for point in stage.guard.listed():
        if point["status"] == "anomalous":
            stage.holdfast("accept", point["backup_id"], "--json", missing=True)
    return Owed()


def deleted(stage):
    """A backup and all that need it, even the agent's own base; this costs only the named backups."""
    with writing(stage) as owed:
        if len(stage.guard.listed()) > 10:
            plan = stage.holdfast("delete", stage.some_point(), "--with-children", "--yes", "--json",
                                  codes=(0, BUSY_OR_CHANGED), missing=True)
            stage.guard.gone |= set(plan.get("points", []))
    least = owed()
    return Owed(least.least, 1 + least.most)


def cleaned_up(stage):
    with writing(stage) as owed:
        done = stage.holdfast("cleanup", "--keep", str(stage.random.randint(6, 25)), "--json", "--yes")
        stage.guard.gone |= {verdict["backup_id"] for verdict in done.get("remove", [])}
    return owed()


def compacted(stage):
    """By a clock that runs ahead, so that there are backups to merge: minutes, hours, all."""
    with writing(stage) as owed:
        done = stage.holdfast("compact", "--json", ahead=stage.hours_ahead(), codes=(0, BUSY_OR_CHANGED))
        stage.guard.gone |= {point for step in done.get("steps", []) for point in step["removed"]}
    stage.prove_again({step["into"] for step in done.get("steps", [])})
    return owed()


def killed_compact(stage):
    """At any moment of it, each listed backup has the same content as before."""
    stage.let_go_unseen = True
    with writing(stage) as owed:
        stage.killed(["compact"], within=0.1, ahead=stage.hours_ahead())
    stage.prove_again(stage.some_points(8))
    return owed()


def restored(stage):
    """A restore of an earlier state, live if there is a database that opens; applications continue from there."""
    with rewinding(stage) as since:
        done = stage.holdfast("restore", stage.some_point(sound=True), "--yes", "--json")
    safety = 1 if done.get("safety_backup_id") else 0
    return Owed(1 + safety, 2 + safety + stage.most_points(since), allowed=f"{MISSING}|{EMPTY}", rewound=True)


def killed_restore(stage):
    """The database is the old one or the new one, and whole, and applications continue from there."""
    with rewinding(stage) as since:
        stage.killed(["restore", stage.some_point(sound=True), "--yes"], within=0.4)
    return Owed(1, 3 + stage.most_points(since), rewound=True)


@contextlib.contextmanager
def rewinding(stage):
    """The first commit after it renames the database: the undone state is no predecessor of the next ones."""
    if stage.random.random() < 0.5 or not (os.path.exists(stage.database) and os.path.getsize(stage.database)):
        stage.close_all()
    time.sleep(CALM)
    yield time.monotonic()
    stage.lineage = stage.name()
    writer = stage.writers(1)[0]
    stage.mode = writer.ask("mode")["mode"]
    writer.ask("adopt", lineage=stage.lineage, seed=stage.seed())
    stage.maybe_close([writer])


EVERY = [created, created_incremental, killed_command, verified, looked_at, accepted, deleted, cleaned_up, compacted,
         killed_compact, restored, restored, killed_restore]
