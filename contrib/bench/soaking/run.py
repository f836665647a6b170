"""The run: phases in a random order, what each owes, and the reckoning at the end."""
import random, re, sys, time

from agents import make_key
from soaking import phases
from soaking.application import Refused
from soaking.guard import Guard
from soaking.proof import Proof
from soaking.reckoning import flatness, leftovers
from soaking.stage import Stage
from usage import TICK, Meanwhile

QUIET = 3            # seconds without a new point until a phase is over
LONGER = 4.5         # where no point is owed: the agent looks again for up to 4 s
PATIENCE = 90        # seconds that a point may take, after failures for instance
FIRST_PART = 0.4     # of the time; ten minutes at most
BUSY_SHARE = 0.02    # of a processor that an idle agent may use, and two ticks


class Soak:
    def __init__(self, given, place):
        self.given, self.place = given, place
        self.random = random.Random(given.seed)
        make_key(given.binary, place.folder)
        self.guard = Guard(given.binary, f"{place.folder}/app.db", place.folder, f"{place.limited}/backups")
        self.stage = Stage(self.random, self.guard, place.folder, place.limited, self.violation)
        self.proof = Proof(self.guard, self.stage.history, place.folder, self.violation)
        self.violations, self.counts, self.idle = [], {}, []
        self.phase, self.number = "start", 0
        self.start = time.monotonic()

    def say(self, text):
        print(f"{time.monotonic() - self.start:7.1f} s  {text}", file=sys.stderr, flush=True)

    def violation(self, words):
        self.violations.append({"at": round(time.monotonic() - self.start, 1), "number": self.number,
                                "phase": self.phase, "what": words})
        self.say(f"VIOLATION in {self.number} ({self.phase}), seed {self.given.seed}: {words}")

    # The plan

    def run(self):
        self.say(f"seed {self.given.seed}, {self.given.minutes} minutes")
        meanwhile = Meanwhile()
        try:
            self.begin()
            seconds = self.given.minutes * 60
            self.play(min(seconds * FIRST_PART, 600), restarts=True)
            self.perform(self.thinning)
            self.play(seconds, restarts=False)
            self.end()
        finally:
            self.guard.ended.set()
            for application in list(self.stage.open):
                self.stage.kill(application)
            if self.guard.is_alive:
                self.guard.kill()
        return self.result(meanwhile.other())

    def begin(self):
        self.stage.create()
        self.perform(self.first)

    def first(self, stage):
        """The start of the agent, with a database that it has never seen."""
        self.guard.start()
        return phases.Owed(1, 1)

    def thinning(self, stage):
        """The agent's last start: from here on it removes old points."""
        stage.stop_agent()
        self.guard.start("--max-backups", str(self.given.max_backups))
        return phases.Owed()

    def play(self, until, restarts):
        kinds = [kind for kind in phases.EVERY if (restarts or kind not in phases.AGENT)]
        kinds = [kind for kind in kinds if self.place.can_fill or kind not in phases.FAULTS]
        if self.given.only:
            kinds = [kind for kind in kinds if kind.__name__ in self.given.only.split(",")]
        bag = []
        while kinds and time.monotonic() - self.start < until:
            if not bag:
                bag = kinds + ([] if self.given.only else phases.COMMON)
                self.random.shuffle(bag)
            owed = self.perform(bag.pop())
            if owed.absent:
                self.perform(phases.recreate)

    # One phase

    def perform(self, kind):
        self.number += 1
        self.phase = kind.__name__
        known, log, start = self.guard.points(), len(self.guard.lines), time.monotonic()
        used = self.guard.usage() if self.guard.is_alive else None
        owed = self.act(kind)
        if owed.idle:
            self.check_idle(used, time.monotonic() - start)
        new = self.settle(owed, known, log)
        self.check_count(owed, new, start)
        self.check_log(owed, log)
        self.check_points(owed, new)
        self.stage.check_nothing_left()
        return owed

    def act(self, kind):
        """A refusal that outlasts an application's patience is a broken promise, and the run goes on."""
        try:
            return kind(self.stage)
        except Refused as refusal:
            self.violation(f"an application was refused: {refusal}")
            for application in list(self.stage.open):
                self.stage.kill(application)
            if not self.guard.is_alive:
                self.guard.start()
            return phases.Owed(most=sys.maxsize)

    def settle(self, owed, known, log):
        """Waits for what is owed, then until nothing more comes; the new points."""
        start = since = time.monotonic()
        quiet, new = QUIET if owed.least else LONGER, set()
        while True:
            time.sleep(0.05)
            now = self.guard.points() - known
            if now != new:
                new, since = now, time.monotonic()
            enough = len(new) >= owed.least and self.has_complained(owed, log)
            if time.monotonic() - since > quiet and (enough or time.monotonic() - start > PATIENCE):
                return new

    def has_complained(self, owed, log):
        return not owed.required or any(re.search(owed.required, line.text) for line in self.guard.lines[log:])

    def check_count(self, owed, new, start):
        kind = self.phase
        self.counts.setdefault(kind, []).append(len(new))
        expected = str(owed.least) if owed.least == owed.most else f"{owed.least} to {owed.most}"
        self.say(f"{self.number:4} {kind}: {len(new)} of {expected} points")
        if not owed.least <= len(new) <= owed.most:
            reasons = [f"+{line.at - start:.2f} {line.text}" for line in self.guard.lines if line.at >= start]
            self.violation(f"{len(new)} new points, not {expected}: " + " | ".join(reasons[-8:]))

    def check_log(self, owed, since):
        complaints = self.guard.complaints(since)
        for line in complaints:
            if not owed.allowed or not re.search(owed.allowed, line.text):
                self.violation(f"the agent complained: {line.text}")
        if not self.has_complained(owed, since):
            self.violation(f"the agent did not complain: {owed.required}")
        if not self.guard.is_alive:
            self.violation(f"the agent ended by itself: {[line.text for line in self.guard.lines[-5:]]}")
            self.guard.start()

    def check_points(self, owed, new):
        final = None if owed.absent or not owed.least else self.stage.history.read().final(self.stage.lineage)
        self.proof.prove_new(new, final)

    def check_idle(self, before, seconds):
        used = self.guard.usage() - before
        busy = used.ticks * TICK
        self.idle.append(busy / seconds)
        if busy > seconds * BUSY_SHARE + 2 * TICK:
            self.violation(f"{busy:.2f} s of processor time in {seconds:.0f} s of quiet")

    # The end

    def end(self):
        self.phase = "end"
        self.stage.close_all()
        for words in flatness(self.guard.looks):
            self.violation(words)
        self.guard.ended.set()
        self.stage.stop_agent()
        points = self.guard.listed()
        # An anomaly holds what is older, on purpose.
        if len(points) > self.given.max_backups and not any(point["status"] == "anomalous" for point in points):
            self.violation(f"{len(points)} points are there, not the newest {self.given.max_backups}")
        self.say(f"restoring {len(points)} points")
        self.proof.prove_all()
        for words in leftovers(self.guard.backups):
            self.violation(words)
        verified = self.guard.run("verify", "--all")
        if verified.returncode:
            self.violation(f"verify --all: {(verified.stderr or verified.stdout).strip()[-500:]}")

    def result(self, other):
        looks = [look for look in self.guard.looks if look.life == self.guard.life]
        summary = {
            "seed": self.given.seed, "minutes": self.given.minutes, "phases": self.number,
            "commits": len(self.stage.history.read().done), "points": len(self.guard.points()),
            "proved": self.proof.count, "full_disk": self.place.can_fill, "points_by_phase": self.counts,
            "resident_mib": [round(look.resident / 2**20, 1) for look in looks],
            "descriptors": [look.descriptors for look in looks],
            "idle_share": max(self.idle, default=None), "other": other, "violations": self.violations,
        }
        self.say(f"{summary['phases']} phases, {summary['commits']} commits, {summary['points']} points stored, "
                 f"{summary['proved']} restored and proved, {len(self.violations)} violations; "
                 f"others kept {other:.2f} processors busy; seed {self.given.seed}")
        return summary


