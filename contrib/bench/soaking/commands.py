"""What people do on the command line beside the agent. See soaking/phases.py for what a phase is."""
import contextlib, os, time

from soaking.owed import CALM, EMPTY, MISSING, Owed, one

BUSY_OR_CHANGED = 6   # the exit code where somebody else was quicker


@contextlib.contextmanager
def writing(stage, chance=0.5):
    """Applications that write meanwhile, or none; gives what to call, afterwards, for what they make the agent owe."""
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
    """A full that somebody asked for; the agent need not store what it holds once more."""
    with writing(stage) as owed:
        stage.holdfast("create", "--json", "--tags", "soak")
    return Owed(1, 1 + owed().most)


def created_incremental(stage):
    """Nothing, where nothing changed; else what changed, or a full where that cannot be."""
    with writing(stage) as owed:
        stage.holdfast("create", "--incremental", "--json")
    least = owed()
    return Owed(least.least, 1 + least.most)


def killed_command(stage):
    """Whatever a command is at when it dies: a point is there or it is not, and none that was there is gone unasked."""
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
    """Somebody has looked at what was odd."""
    for point in stage.guard.listed():
        if point["status"] == "anomalous":
            stage.holdfast("accept", point["backup_id"], "--json", missing=True)
    return Owed()


def deleted(stage):
    """A point and all that need it, be it what the agent builds on; that costs no more than the points that are named."""
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
    """By a clock that runs ahead, so that there is something to merge: minutes, hours, all."""
    with writing(stage) as owed:
        done = stage.holdfast("compact", "--json", ahead=stage.hours_ahead(), codes=(0, BUSY_OR_CHANGED))
        stage.guard.gone |= {point for step in done.get("steps", []) for point in step["removed"]}
    stage.prove_again({step["into"] for step in done.get("steps", [])})
    return owed()


def killed_compact(stage):
    """At any moment of it: what is listed is what it was."""
    stage.let_go_unseen = True
    with writing(stage) as owed:
        stage.killed(["compact"], within=0.1, ahead=stage.hours_ahead())
    stage.prove_again(stage.some_points(8))
    return owed()


def restored(stage):
    """An earlier state is put in, live where there is a database that opens, and applications go on from there."""
    with rewinding(stage) as since:
        done = stage.holdfast("restore", stage.some_point(sound=True), "--yes", "--json")
    safety = 1 if done.get("safety_backup_id") else 0
    return Owed(1 + safety, 2 + safety + stage.most_points(since), allowed=f"{MISSING}|{EMPTY}", rewound=True)


def killed_restore(stage):
    """The database is the old one or the new one, and whole, and applications go on from there."""
    with rewinding(stage) as since:
        stage.killed(["restore", stage.some_point(sound=True), "--yes"], within=0.4)
    return Owed(1, 3 + stage.most_points(since), rewound=True)


@contextlib.contextmanager
def rewinding(stage):
    """The first commit after it gives the database another name: what was undone is no predecessor of what comes."""
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
