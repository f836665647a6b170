"""The run: phases in a random order, the pending work of each, and the checks at the end."""
import random, re, sys, time

from agents import make_key
from soaking import lives, phases
from soaking.application import Refused
from soaking.clock import Clock
from soaking.guard import Guard
from soaking.owed import Owed
from soaking.proof import Proof
from soaking.reckoning import Departures, counted, flatness, leftovers
from soaking.stage import Stage
from usage import TICK, Meanwhile

# A full without a request: it follows shortly after the change that made the chain too heavy.
RENEWAL = re.compile(r"backing up .*: a full(,| after)")
QUIET = 3            # seconds without a new backup until a phase is over
LONGER = 4.5         # if no backup is pending: the agent probes again for up to 4 s
PATIENCE = 90        # seconds that a backup may take, after failures for instance
LIVES = 0.6          # of the time in which the agent lives many lives; it has one in the rest
BUSY_SHARE = 0.02    # of a processor that an idle agent may use, and two ticks


class Soak:
    def __init__(self, given, place):
        self.given, self.place = given, place
        self.random = random.Random(given.seed)
        make_key(given.binary, place.folder)
        self.guard = Guard(given.binary, f"{place.folder}/app.db", place.folder, f"{place.limited}/backups",
                           Clock(place.folder))
        self.stage = Stage(self.random, self.guard, place.folder, place.limited, self.violation)
        self.proof = Proof(self.guard, self.stage.history, place.folder, self.violation)
        self.stage.proof = self.proof
        self.departures = Departures(self.guard, given.max_backups)
        self.violations, self.counts, self.idle = [], {}, []
        self.began = {}   # phase -> the start of each one
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
            self.play(seconds * LIVES, restarts=True)
            self.perform(self.last_life)
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
        self.guard.start("--max-backups", str(self.given.max_backups), "--schedule", self.given.schedule)
        return Owed(1, 1)

    def last_life(self, stage):
        """The agent's last start: from here on its memory and its descriptors have to stay flat."""
        return lives.restart(stage)

    def play(self, until, restarts):
        kinds = [kind for kind in phases.EVERY if (restarts or kind not in lives.EVERY)]
        kinds = [kind for kind in kinds if self.guard.clock.can_pass or kind is not lives.days_later]
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
        is_stored = self.proof.holds(self.stage)
        self.began.setdefault(self.phase, []).append(start - self.start)
        used = self.guard.usage() if self.guard.is_alive else None
        owed = self.act(kind)
        # If a person removed the backup of the last state, the agent stores it again at its next
        # probe.
        owed.most += not is_stored
        seconds, busy = time.monotonic() - start, self.guard.usage() - used if owed.idle else None
        new = self.settle(owed, known, log)
        listed = self.check_points(owed, new)
        scheduled = sum(point["backup_type"] == "scheduled" for point in listed if point["backup_id"] in new)
        if owed.idle and not scheduled:
            self.check_idle(busy.ticks * TICK, seconds)
        self.check_count(owed, new, scheduled, start)
        self.check_log(owed, log)
        self.stage.check_nothing_left()
        for words in self.departures.check(listed, self.stage.let_go_unseen):
            self.violation(words)
        self.stage.let_go_unseen = False
        return owed

    def act(self, kind):
        """If a refusal outlasts an application's patience, that is a broken promise, and the run continues."""
        try:
            return kind(self.stage)
        except Refused as refusal:
            self.violation(f"an application was refused: {refusal}")
            for application in list(self.stage.open):
                self.stage.kill(application)
            if not self.guard.is_alive:
                self.guard.start()
            return Owed(most=sys.maxsize)

    def settle(self, owed, known, log):
        """Waits for the pending backups, then until no more appear; the new backups."""
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

    def check_count(self, owed, new, scheduled, start):
        kind, most = self.phase, owed.most + scheduled + self.renewed(start)
        self.counts.setdefault(kind, []).append(len(new))
        expected = str(owed.least) if owed.least == most else f"{owed.least} to {most}"
        self.say(f"{self.number:4} {kind}: {len(new)} of {expected} points")
        if not owed.least <= len(new) <= most:
            reasons = [f"+{line.at - start:.2f} {line.text}" for line in self.guard.lines if line.at >= start]
            self.violation(f"{len(new)} new points, not {expected}: " + " | ".join(reasons[-8:]))

    def renewed(self, start):
        """Fulls that the agent took since then to end a heavy chain."""
        return sum(line.at >= start and bool(RENEWAL.search(line.text)) for line in list(self.guard.lines))

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
        if owed.rewound:
            self.proof.newest = None
        final = None if owed.absent or not owed.least else self.stage.history.read().final(self.stage.lineage)
        return self.proof.prove_new(new, final)

    def check_idle(self, busy, seconds):
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
        self.say(f"restoring {len(self.guard.listed())} points")
        self.proof.prove_all()
        verified = self.guard.run("verify", "--all")
        if verified.returncode:
            self.violation(f"verify --all: {(verified.stderr or verified.stdout).strip()[-500:]}")
        self.check_limits()
        for words in leftovers(self.guard.backups):
            self.violation(words)

    def check_limits(self):
        """The long-term content: the last fulls with their incrementals, as compaction leaves them."""
        self.phase = "limits"
        phases.commands.accepted(self.stage)
        self.stage.holdfast("cleanup", "--max-backups", str(self.given.max_backups), "--json", "--yes")
        if self.guard.clock.can_pass:
            self.stage.holdfast("compact", "--json", ahead=200 * 3600)
        listed = self.guard.listed()
        for words in counted(listed, self.given.max_backups, thinned=self.guard.clock.can_pass):
            self.violation(words)
        self.proof.prove_all()

    def result(self, other):
        looks = [look for look in self.guard.looks if look.life == self.guard.life]
        every = self.guard.looks
        summary = {
            "seed": self.given.seed, "minutes": self.given.minutes, "phases": self.number, "lives": self.guard.life,
            "commits": len(self.stage.history.read().done), "points": len(self.guard.points()),
            "proved": self.proof.count, "full_disk": self.place.can_fill, "points_by_phase": self.counts,
            "days": round(self.guard.clock.ahead / 86400, 1), "longest_wait": self.longest_waits(),
            "removed": {"by the agent": len(self.departures.by_agent), "by commands": len(self.guard.gone)},
            "resident_mib": [round(look.resident / 2**20, 1) for look in looks],
            "descriptors": [look.descriptors for look in looks],
            "peak": {"resident_mib": round(max((look.resident for look in every), default=0) / 2**20, 1),
                     "descriptors": max((look.descriptors for look in every), default=0),
                     "threads": max((look.threads for look in every), default=0),
                     "repository_mib": round(max((look.stored for look in every), default=0) / 2**20, 1)},
            "idle_share": max(self.idle, default=None), "other": other, "violations": self.violations,
        }
        self.say(f"{summary['phases']} phases, {summary['commits']} commits, {summary['points']} points stored, "
                 f"{summary['proved']} restored and proved, {len(self.violations)} violations; "
                 f"others kept {other:.2f} processors busy; seed {self.given.seed}")
        return summary

    def longest_waits(self):
        """Seconds from one phase of a kind to the next of that kind, at most."""
        return {kind: round(max((later - earlier for earlier, later in zip(times, times[1:])), default=0))
                for kind, times in self.began.items()}
