"""Events of the agent itself: it is killed, stopped and started. See soaking/phases.py for the meaning of a phase."""
import time

from soaking.owed import Owed


def killed_agent(stage):
    """At any moment of a burst or of the backup after it. A backup that it could not record may be stored again."""
    seconds, log = stage.random.uniform(0.1, 2), len(stage.guard.lines)
    writers = stage.writers(2)
    for writer in writers:
        writer.tell("burst", seconds=seconds, pause=0.02, seed=stage.seed())
    moment = stage.random.choice(["any", "backing up", "stored"])
    if moment == "any":
        time.sleep(stage.random.uniform(0, seconds + stage.debounce))
    else:
        # Retention and compaction follow a backup.
        stage.guard.wait_for(moment, since=log)
        time.sleep(stage.random.uniform(0, 0.03))
    stage.kill_agent()
    time.sleep(stage.random.choice([0, 1]))
    stage.guard.start()
    for writer in writers:
        writer.answer()
    stage.maybe_close(writers)
    return Owed(1, 3)


def killed_agent_quiet(stage):
    """It had no work before, so it has no work afterwards."""
    stage.kill_agent()
    stage.guard.start()
    return Owed()


def restart(stage):
    stage.stop_agent()
    stage.guard.start()
    return Owed()


def changed_while_down(stage):
    stage.stop_agent()
    writers = stage.writers(2)
    writers[0].ask("burst", seconds=0.5, pause=0.02, seed=stage.seed())
    stage.maybe_close(writers)
    stage.guard.start()
    return Owed(1, 1)


def days_later(stage):
    """The machine was off for a while: old incrementals are compacted after the next backup."""
    stage.kill_agent() if stage.random.random() < 0.3 else stage.stop_agent()
    stage.guard.clock.ahead += stage.random.choice([1800, 4000, 4000, 30_000, 90_000, 250_000, 700_000])
    writers = stage.writers(1)
    writers[0].ask("burst", seconds=0, pause=0, seed=stage.seed())
    stage.maybe_close(writers)
    stage.guard.start()
    return Owed(1, 1)


EVERY = [killed_agent, killed_agent, killed_agent_quiet, restart, changed_while_down, days_later, days_later]
