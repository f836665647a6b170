"""Agents that guard databases: starts, watches and stops Holdfast's and Litestream's."""
import os, re, shutil, signal, subprocess, sys, time
from dataclasses import dataclass

from measure import Failed
from usage import usage

BINARY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.build-static/release/holdfast")
COMPLAINT = re.compile(r" (warning|error|critical): |level=(WARN|ERROR)")
TEMPORARY = re.compile(r"(^|/)\.|\.tmp|~$")


def environment(folder, **more):
    """The environment of a run's programs: only their own settings, all their state below `folder`."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PYENV_ROOT") if name in os.environ}
    kept |= {"XDG_STATE_HOME": f"{folder}/state", "XDG_CONFIG_HOME": f"{folder}/config"}
    return kept | {"BACKUP_ENCRYPTION_KEY_FILE": f"{folder}/key"} | more


@dataclass
class Kind:
    """An agent that takes part in a run."""
    name: str
    start: object   # (databases, folder) -> Agent


class Agent:
    """A running agent. Its log is `folder`/agent.log."""

    def __init__(self, name, command, folder, out, points):
        self.name, self.folder, self.out, self.points_pattern = name, folder, out, re.compile(points)
        self.log = open(f"{folder}/agent.log", "ab")
        self.process = subprocess.Popen(command, env=environment(folder), stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log)

    @property
    def pid(self):
        return self.process.pid

    def usage(self):
        return usage(self.pid)

    def points(self):
        """Names of the stored files, once they are final."""
        found = set()
        for folder, _, names in os.walk(self.out):
            for name in names:
                path = os.path.relpath(os.path.join(folder, name), self.out)
                if self.points_pattern.search(path) and not TEMPORARY.search(path):
                    found.add(path)
        return found

    def settle(self, databases=1, quiet=3, patience=120):
        """Waits until it has stored a file for each database and then nothing for `quiet` seconds."""
        end, seen, since = time.monotonic() + patience, set(), time.monotonic()
        while time.monotonic() < end:
            now = self.points()
            if now != seen:
                seen, since = now, time.monotonic()
            if len(seen) >= databases and time.monotonic() - since > quiet:
                return
            if self.process.poll() is not None:
                raise Failed(f"{self.name} ended: {self.output()[-2000:]}")
            time.sleep(0.05)
        raise Failed(f"{self.name} stored nothing in {patience} s: {self.output()[-2000:]}")

    def output(self):
        with open(f"{self.folder}/agent.log", errors="replace") as file:
            return file.read()

    def complaints(self):
        """The warnings and errors of its log, without their times."""
        lines = self.output().splitlines()
        return [re.sub(r"^\S+ ", "", line)[:200] for line in lines if COMPLAINT.search(line)]

    def stop(self):
        """Ends it as a service manager does: first by a request, then by force."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        return self.process.returncode


def make_key(binary, folder):
    subprocess.run([binary, "init", "--key-file", f"{folder}/key"], env=environment(folder), check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def holdfast(binary, *options, name=None):
    """Holdfast's agent with a key file; if there is more than one database, they go into a configuration file."""

    def start(databases, folder):
        make_key(binary, folder)
        out = f"{folder}/backups"
        if len(databases) == 1:
            where = ["--database", databases[0], "--backup-dir", out]
        else:
            where = ["--config", write_configuration(databases, folder, out)]
        return Agent(name or "holdfast", [binary, "agent", *where, *options], folder, out, r"backup_\d{8}_\d{6}")

    return Kind(name or " ".join(["holdfast", *options]), start)


def write_configuration(databases, folder, out):
    path = f"{folder}/holdfast.toml"
    with open(path, "w") as file:
        for number, database in enumerate(databases):
            file.write(f'[[databases]]\nname = "db{number}"\npath = "{database}"\nbackup_dir = "{out}/db{number}"\n\n')
    return path


def litestream():
    """Litestream with its defaults, to a folder, not encrypted."""

    def start(databases, folder):
        out = f"{folder}/replica"
        if len(databases) == 1:
            command = ["litestream", "replicate", databases[0], f"file://{out}"]
        else:
            entries = (f"  - path: {path}\n    replica:\n      url: file://{out}/db{number}\n"
                       for number, path in enumerate(databases))
            with open(f"{folder}/litestream.yml", "w") as file:
                file.write("dbs:\n" + "".join(entries))
            command = ["litestream", "replicate", "-config", f"{folder}/litestream.yml"]
        return Agent("litestream", command, folder, out, r"(^|/)0/[^/]+\.ltx$")

    return Kind("litestream", start)


def present(kinds, only, binary):
    """The agents that can take part; reports the others."""
    chosen = []
    for kind in kinds:
        if only and not any(kind.name.startswith(name) for name in only.split(",")):
            continue
        if kind.name.startswith("holdfast") and not os.access(binary, os.X_OK):
            print(f"without {kind.name}: no {binary}", file=sys.stderr)
        elif kind.name == "litestream" and not shutil.which("litestream"):
            print("without litestream: no litestream", file=sys.stderr)
        else:
            chosen.append(kind)
    return chosen
