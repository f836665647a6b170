"""The agent under test: its lives, its log, its backups, and its usage."""
import json, os, re, signal, subprocess, threading, time
from dataclasses import dataclass

from agents import COMPLAINT, environment
from usage import usage

STORED = re.compile(r"stored (backup_\w+):")


@dataclass
class Line:
    at: float   # monotonic seconds of its arrival
    text: str


@dataclass
class Look:
    """A sample of the agent's usage."""
    at: float
    life: int
    resident: int
    descriptors: int
    threads: int
    zombies: int
    stored: int   # bytes of the whole repository


class Guard:
    def __init__(self, binary, database, folder, backups, clock):
        self.clock = clock
        self.gone = set()   # backups that a command was told to remove
        self.binary, self.database, self.folder, self.backups = binary, database, folder, backups
        os.makedirs(backups, mode=0o700, exist_ok=True)
        self.process, self.life, self.options = None, 0, []
        self.lines, self.looks = [], []
        self.readers = []
        self.ended = threading.Event()
        threading.Thread(target=self.sample, daemon=True).start()

    # Its lives

    def start(self, *options):
        self.options = list(options) or self.options
        self.process = subprocess.Popen(
            [self.binary, "agent", "--database", self.database, "--backup-dir", self.backups, *self.options],
            env=environment(self.folder, **self.clock.environment()), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.life += 1
        reader = threading.Thread(target=self.read, args=(self.process.stderr,), daemon=True)
        reader.start()
        self.readers.append(reader)
        self.wait_for(r" watching ", since=len(self.lines) - 1)

    def read(self, stream):
        with open(f"{self.folder}/agent.log", "a") as log:
            for line in stream:
                text = line.decode(errors="replace").rstrip()
                self.lines.append(Line(time.monotonic(), text))
                print(f"{time.monotonic():.3f} {text}", file=log, flush=True)

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self.readers[-1].join(10)
        return code

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.readers[-1].join(10)

    @property
    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    # Its log

    def wait_for(self, pattern, since=0, patience=20):
        """Waits for a line of the log from number `since` on; whether it came."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if any(re.search(pattern, line.text) for line in self.lines[max(0, since):]):
                return True
            time.sleep(0.002)
        return False

    def complaints(self, since):
        return [line for line in self.lines[since:] if COMPLAINT.search(line.text)]

    # Its backups

    def points(self):
        """IDs that are in the repository or were reported as stored: retention may have removed them since."""
        listed = {name.partition(".")[0] for name in os.listdir(self.backups) if name.startswith("backup_")}
        return listed | {match[1] for line in list(self.lines) if (match := STORED.search(line.text))}

    def listed(self):
        """Metadata of the existing backups, oldest first."""
        done = self.run("list", "--json")
        if done.returncode:
            raise RuntimeError(f"list failed: {done.stderr}")
        return sorted(json.loads(done.stdout), key=lambda point: point["sequence"])

    def restore(self, point, path):
        """The errors that it found, or an empty list."""
        done = self.run("restore", point, "--to", path, "--yes", "--quiet")
        return done.stderr.strip() or f"exit code {done.returncode}" if done.returncode else None

    def run(self, command, *arguments, ahead=0):
        return subprocess.run(**self.command(command, *arguments, ahead=ahead), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)

    def kill_within(self, seconds, *arguments, ahead=0):
        """Starts a command and kills it after that time; its exit code, negative if it was killed."""
        process = subprocess.Popen(**self.command(*arguments, ahead=ahead), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        process.kill()
        return process.wait()

    def command(self, command, *arguments, ahead):
        return {
            "args": [self.binary, command, "--database", self.database, "--backup-dir", self.backups, *arguments],
            "env": environment(self.folder, **self.clock.environment(ahead)), "stdin": subprocess.DEVNULL,
        }

    # Its usage

    def usage(self):
        return usage(self.process.pid)

    def sample(self, every=5):
        while not self.ended.wait(every):
            if not self.is_alive:
                continue
            life, now = self.life, self.usage()
            # If one was killed meanwhile, it is a zombie until its parent waits for it.
            if now.threads and self.is_alive and self.life == life:
                self.looks.append(Look(time.monotonic(), life, now.resident, now.descriptors, now.threads, now.zombies,
                                       stored(self.backups)))


def stored(folder):
    """Bytes of all files in a folder, while they may change."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except FileNotFoundError:
                pass
    return total
