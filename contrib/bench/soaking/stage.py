"""What the phases of the soak test play on: a database, its applications, the agent, and one source of randomness."""
import contextlib, json, os, time

from soaking.application import Application, Refused
from soaking.journal import History

DEBOUNCE, MAX_DELAY = 0.5, 5   # seconds, the agent's defaults


class Stage:
    debounce = DEBOUNCE

    def __init__(self, random, guard, folder, limited, violation):
        self.random, self.guard, self.folder, self.limited = random, guard, folder, limited
        self.violation = violation   # what to call with words where a promise is broken
        self.database, self.journals = guard.database, f"{folder}/journals"
        os.mkdir(self.journals)
        self.history = History(self.journals)
        self.open = []
        self.crashed = False   # somebody died with the database open, and nobody has opened and closed it since
        self.lineage = self.prepared = None
        self.mode = "WAL"
        self.names = 0
        self.proof = None              # the Proof of the run
        self.let_go_unseen = False     # a command died before it could say what it removed

    def seed(self):
        return self.random.getrandbits(32)

    def name(self):
        self.names += 1
        return f"lineage{self.names}"

    # Applications

    def create(self):
        """The first database."""
        self.lineage = self.name()
        application = self.application(open_it=False)
        application.ask("create", lineage=self.lineage, journal="WAL", seed=self.seed())

    def application(self, open_it=True):
        application = Application(self.database, self.journals)
        self.open.append(application)
        self.crashed = False
        if open_it:
            application.ask("open")
        return application

    def writers(self, count):
        """So many of those that have the database open; more are started where there are too few."""
        while len(self.open) < count:
            self.application()
        return self.random.sample(self.open, count)

    def close(self, application):
        self.open.remove(application)
        application.end()

    def maybe_close(self, applications):
        for application in applications:
            if self.random.random() < 0.4:
                self.close(application)

    def close_all(self):
        for application in list(self.open):
            self.close(application)
        # What a crashed application left is cleared away by the next one that opens and closes.
        if any(self.side_files()) and os.path.exists(self.database) and os.path.getsize(self.database):
            self.close(self.application())

    def kill(self, application):
        self.open.remove(application)
        application.kill()
        self.crashed = not self.open

    def insist(self, application, what, **how):
        """An application asks for what it gets only when nobody else has the database open: it gets it within seconds."""
        start = time.monotonic()
        while True:
            try:
                application.ask(what, **how)
                break
            except Refused as refusal:
                if time.monotonic() - start > 60:
                    raise
                reason = refusal
        if time.monotonic() - start > 5:
            self.violation(f"{what} {how} took {time.monotonic() - start:.1f} s: {reason}")

    # Files

    def side_files(self):
        found = [suffix for suffix in ("-wal", "-shm", "-journal") if os.path.exists(self.database + suffix)]
        return [suffix for suffix in found if suffix != "-journal" or not self.is_cold(self.database + suffix)]

    @staticmethod
    def is_cold(journal):
        """A writer that died before it flushed its journal left one that begins with a zero: to SQLite it is none, and it
        stays until somebody writes."""
        try:
            with open(journal, "rb") as file:
                return file.read(1) == b"\0"
        except FileNotFoundError:
            return True

    def check_side_files(self, within):
        """With no application left there is no side file either; whether that is so."""
        end = time.monotonic() + within
        while self.side_files() and time.monotonic() < end:
            time.sleep(0.02)
        found = self.side_files()
        if found:
            sizes = {suffix: os.path.getsize(self.database + suffix) for suffix in found}
            self.violation(f"{', '.join(f'{suffix} ({size} bytes)' for suffix, size in sizes.items())} still there after {within} s, and no application has the database open")
        return not found

    def check_nothing_left(self, within=5):
        """Where nobody has it open and nobody crashed, the database is one file, once the agent has let go of it."""
        if not self.open and not self.crashed:
            self.check_side_files(within)

    def prepare_another(self):
        """A whole database, closed, elsewhere on the same disk; its path."""
        path = f"{self.folder}/another.db"
        self.prepared, self.mode = self.name(), self.random.choice(["WAL", "WAL", "DELETE"])
        application = Application(path, self.journals)
        application.ask("create", lineage=self.prepared, journal=self.mode, seed=self.seed())
        application.end()
        return path

    @contextlib.contextmanager
    def full_disk(self):
        """No room where the backups go, but for a few KiB."""
        filler, spare = f"{self.limited}/filler", self.random.choice([0, 4096, 8192])
        with open(filler, "wb", buffering=0) as file:
            try:
                while file.write(bytes(1 << 16)) == 1 << 16:
                    pass
                while file.write(bytes(4096)):
                    pass
            except OSError:
                file.truncate(max(0, file.tell() - spare))
        try:
            yield
        finally:
            os.remove(filler)

    # Commands

    def holdfast(self, *arguments, codes=(0,), missing=False, ahead=0):
        """What a command printed as JSON; every exit code but these breaks a promise.

        With `missing` it may find that there is no such point any more: the agent removed it meanwhile.
        """
        done = self.guard.run(*arguments, ahead=ahead)
        if done.returncode not in codes and not (missing and done.returncode == 4):
            self.violation(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
        try:
            return json.loads(done.stdout) if done.stdout.strip() else {}
        except ValueError:
            self.violation(f"{' '.join(arguments)} printed no JSON: {done.stdout[:200]}")
            return {}

    def killed(self, arguments, within, ahead=0):
        self.crashed = True
        code = self.guard.kill_within(self.random.uniform(0, within), *arguments, ahead=ahead)
        if code > 0 and code not in (4, 6):
            self.violation(f"{' '.join(arguments)} ended with {code}, before it was killed")

    def hours_ahead(self):
        return self.random.choice([0, 2, 26, 200]) * 3600 if self.guard.clock.can_pass else 0

    def some_point(self, sound=False):
        """The ID of one that is listed; a sound one can be restored."""
        listed = [point for point in self.guard.listed() if not sound or point["backup_id"] in self.proof.known]
        return self.random.choice(listed)["backup_id"]

    def some_points(self, count):
        listed = [point["backup_id"] for point in self.guard.listed()]
        return set(self.random.sample(listed, min(count, len(listed))))

    def prove_again(self, points):
        self.proof.prove_again(points)

    # What is owed

    def most_points(self, since):
        """Points that the writing since then may make: one for each burst, more where one was longer than `max_delay`."""
        bursts = self.history.read().bursts(since, gap=0.7 * DEBOUNCE)
        return sum(1 + int((end - start + DEBOUNCE) / MAX_DELAY) for start, end in bursts)

    # The agent

    def kill_agent(self):
        self.guard.kill()
        self.crashed = True

    def stop_agent(self):
        code = self.guard.terminate()
        if code:
            self.violation(f"the agent ended with exit code {code} after SIGTERM")
