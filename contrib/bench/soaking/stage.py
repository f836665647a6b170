"""The environment of the soak test's phases: a database, its applications, the agent, and one source of randomness."""
import contextlib, json, os, time

from soaking.application import Application, Refused
from soaking.journal import History

DEBOUNCE, MAX_DELAY = 0.5, 5   # seconds, the agent's defaults


class Stage:
    debounce = DEBOUNCE

    def __init__(self, random, guard, folder, limited, violation):
        self.random, self.guard, self.folder, self.limited = random, guard, folder, limited
        self.violation = violation   # called with a message if a promise is broken
        self.database, self.journals = guard.database, f"{folder}/journals"
        os.mkdir(self.journals)
        self.history = History(self.journals)
        self.open = []
        self.crashed = False   # an application died with the database open; no other has since opened and closed it
        self.lineage = self.prepared = None
        self.mode = "WAL"
        self.names = 0
        self.proof = None              # the Proof of the run
        self.let_go_unseen = False     # a command died before it could report its removals

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
        """This many of those that have the database open; starts more if there are too few."""
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
        # If an application crashed, the next one that opens and closes removes its side files.
        if any(self.side_files()) and os.path.exists(self.database) and os.path.getsize(self.database):
            self.close(self.application())

    def kill(self, application):
        self.open.remove(application)
        application.kill()
        self.crashed = not self.open

    def insist(self, application, what, **how):
        """Requests a lock that the application must get within seconds if no other program has the database open."""
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
        """If a writer died before it flushed its journal, the file begins with a zero: SQLite ignores it, and it stays
        until the next write."""
        try:
            with open(journal, "rb") as file:
                return file.read(1) == b"\0"
        except FileNotFoundError:
            return True

    def check_side_files(self, within):
        """If no application is left, there is no side file either; whether that is so."""
        end = time.monotonic() + within
        while self.side_files() and time.monotonic() < end:
            time.sleep(0.02)
        found = self.side_files()
        if found:
            sizes = {suffix: os.path.getsize(self.database + suffix) for suffix in found}
            self.violation(f"{', '.join(f'{suffix} ({size} bytes)' for suffix, size in sizes.items())} still there after {within} s, and no application has the database open")
        return not found

    def check_nothing_left(self, within=5):
        """If no program has it open and no program crashed, the database is one file once the agent has closed it."""
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
        """No room for backups, except a few KiB."""
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
        """A command's JSON output; every exit code but these breaks a promise.

        With `missing` it may find that the backup no longer exists: the agent removed it meanwhile.
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
        """The ID of a listed backup; if it is sound, it can be restored."""
        listed = [point for point in self.guard.listed() if not sound or point["backup_id"] in self.proof.known]
        return self.random.choice(listed)["backup_id"]

    def some_points(self, count):
        listed = [point["backup_id"] for point in self.guard.listed()]
        return set(self.random.sample(listed, min(count, len(listed))))

    def prove_again(self, points):
        self.proof.prove_again(points)

    # Pending work

    def most_points(self, since):
        """Backups that the writes since then may cause: one for each burst, more if one was longer than `max_delay`."""
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
