#!/usr/bin/env python3
"""An agent under writes while its target goes away, is slow, full, or refuses; every promise is checked.

usage: outage.py [--binary PATH] [--minutes 30] [--seed N] [--alone] [--keep-last N] [--json] [--keep]

An application commits every half second. Each backup is put into moto (python3 -m pip install 'moto[server]'), behind
a proxy that speaks TLS and changes its behaviour every 60 to 90 s: MODES in faulty_store.py. The keys come from a
credential_process and are refused after 25 s. In some phases it reports that they are good for 20 s, in others for
an hour.

After the modes that a person has to correct (PERSON), SIGUSR1 asks the agent to go on; with --alone nobody does.
After the last phase there are two good minutes. Then the target has to be complete, for a machine with an empty state.

The delay of a commit ends with the modification time of the archive of the first backup that was made after it. The
table has the lines of the agent's log for each phase. Exit code 1 if a promise is broken; each one is printed.
"""
import argparse, bisect, json, os, random, shutil, signal, sqlite3, statistics, subprocess, sys, tempfile, threading
import time
from datetime import datetime

import agents, stores
from changes import percentile
from faulty_store import MODES, Proxy
from measure import Failed
from same_rows import same
from usage import read, status_number

# After these a person has to correct something.
PERSON = {"full", "refusing", "other authority"}
# Seconds: from a commit to its backup; how much more of it in bad phases.
DELAY, MORE = 5 + 2.5, 1.0
# MiB that memory may grow after the first fifth, beside those for each backup of the repository: an agent keeps facts
# of all of them. Lines about the target in one phase.
GROWTH, EACH_BACKUP, LINES = 4, 8 / 1024, 4
BALLAST, NAME = 1200, "outage"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=agents.BINARY, help="a release build of holdfast")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--phase", default="60,90", help="seconds of a phase, at least and at most")
    parser.add_argument("--final", type=float, default=120, help="seconds of the last phase, which is good")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--only", default=",".join(MODES), help="modes, separated by commas")
    parser.add_argument("--alone", action="store_true", help="nobody asks the agent to go on")
    parser.add_argument("--keep-last", type=int, help="the rule of the target (default: none, all backups stay)")
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    parser.add_argument("--keep", action="store_true", help="keep the folder")
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="where databases and backups are written")
    given = parser.parse_args()
    given.binary = os.path.abspath(given.binary)
    return given


class Writer(threading.Thread):
    """An application that commits numbered rows. `commits` has their times."""

    def __init__(self, path, choose):
        super().__init__(daemon=True)
        self.path, self.choose, self.commits, self.slowest, self.ended = path, choose, [], 0.0, threading.Event()
        connection = sqlite3.connect(path, isolation_level=None)
        connection.executescript("PRAGMA journal_mode = WAL; CREATE TABLE commits (number INTEGER PRIMARY KEY, body BLOB);"
                                 "CREATE TABLE ballast (number INTEGER PRIMARY KEY, body BLOB); BEGIN")
        for number in range(BALLAST):
            connection.execute("INSERT INTO ballast VALUES (?, ?)", (number, choose.randbytes(4000)))
        connection.execute("COMMIT")
        connection.close()

    def run(self):
        connection, number = sqlite3.connect(self.path, isolation_level=None, timeout=60), 0
        while not self.ended.wait(0.5):
            start, number = time.time(), number + 1
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO commits VALUES (?, ?)", (number, self.choose.randbytes(200)))
            for _ in range(self.choose.randrange(3)):
                change = self.choose.randbytes(4000), self.choose.randrange(BALLAST)
                connection.execute("UPDATE ballast SET body = ? WHERE number = ?", change)
            connection.execute("COMMIT")
            self.commits.append(time.time())
            self.slowest = max(self.slowest, self.commits[-1] - start)
        connection.close()


class Run:
    def __init__(self, given):
        self.given, self.choose, self.folder = given, random.Random(given.seed), given.place
        self.store = stores.moto() or sys.exit(1)
        self.proxy = Proxy(self.folder, self.store, self.choose)
        self.url = f"s3://{self.store.bucket()}/{{name}}?endpoint=https://127.0.0.1:{self.proxy.port}&region=us-east-1"
        self.writer = Writer(f"{self.folder}/app.db", random.Random(given.seed))
        self.phases, self.broken, self.memory = [], [], []
        self.environment = self.surroundings("home")
        self.configure()

    def surroundings(self, home):
        os.makedirs(f"{self.folder}/{home}")
        more = {"HOME": f"{self.folder}/{home}", "AWS_PROFILE": NAME, "AWS_CONFIG_FILE": f"{self.folder}/aws"}
        return agents.environment(f"{self.folder}/{home}") | more | {"BACKUP_ENCRYPTION_KEY_FILE": f"{self.folder}/key"}

    def configure(self):
        agents.make_key(self.given.binary, self.folder)
        script, rule = f"{self.folder}/keys", f"keep_last = {self.given.keep_last}\n" if self.given.keep_last else ""
        self.claim(20)
        self.write("keys", f"#!/bin/sh\nnow=$(date +%s)\nend=$(date -u -d @$((now + $(cat {self.folder}/claim))) "
                   '+%Y-%m-%dT%H:%M:%SZ)\nprintf \'{"Version": 1, "AccessKeyId": "AK%s", "SecretAccessKey": "bench", '
                   '"Expiration": "%s"}\' "$now" "$end"\n')
        os.chmod(script, 0o700)
        self.write("aws", f"[profile {NAME}]\ncredential_process = {script}\n")
        self.write("holdfast.toml", f'database = "app.db"\nbackup_dir = "backups"\ndebounce = "500ms"\n\n[[targets]]\n'
                   f'name = "{NAME}"\nurl = "{self.url}"\ninterval = "0s"\nca_file = "ca.pem"\n{rule}')

    def write(self, name, text):
        with open(f"{self.folder}/{name}.new", "w") as file:
            file.write(text)
        os.replace(f"{self.folder}/{name}.new", f"{self.folder}/{name}")

    def claim(self, seconds):
        """How long the credential_process says its keys are good."""
        self.write("claim", f"{seconds}\n")

    def command(self, *words, environment=None):
        """A command beside the agent, or on another machine; its output."""
        where = [] if environment else ["--config", f"{self.folder}/holdfast.toml"]
        done = subprocess.run([self.given.binary, *words, *where], env=environment or self.environment, text=True,
                              cwd=(environment or self.environment)["HOME"], capture_output=True)
        if done.returncode:
            said = done.stdout[-500:] + done.stderr[-1500:]
            self.fail(f"holdfast {' '.join(words)}: exit code {done.returncode}: {said}")
        return done.stdout

    def fail(self, words):
        self.broken.append(words)
        print(f"BROKEN: {words}", file=sys.stderr)

    # The phases

    def plan(self):
        """Pairs of (mode, seconds): each mode once a round, good ones in between."""
        least, most = map(float, self.given.phase.split(","))
        left, plan, modes = self.given.minutes * 60 - self.given.final, [], []
        while left > 0:
            if not modes:
                modes = self.choose.sample(self.given.only.split(","), len(self.given.only.split(",")))
            good = not plan or plan[-1][0] != "good" and self.choose.random() < 0.6
            plan.append(("good" if good else modes.pop(), min(self.choose.uniform(least, most), left)))
            left -= plan[-1][1]
        return plan + [("good", self.given.final)]

    def go(self):
        with open(f"{self.folder}/agent.log", "wb") as log:
            self.agent = subprocess.Popen([self.given.binary, "agent", "--config", f"{self.folder}/holdfast.toml"],
                                          env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            time.sleep(3)
            self.writer.start()
            self.start = time.time()
            for mode, seconds in self.plan():
                self.live(mode, seconds)
            self.finish()
        finally:
            self.writer.ended.set()
            self.agent.kill()
            self.agent.wait()
            self.store.stop()
        return self.result()

    def live(self, mode, seconds):
        asked = not self.given.alone and self.phases[-1:] and self.phases[-1]["mode"] in PERSON
        self.proxy.set(mode)
        self.claim(self.choose.choice([20, 3600]))
        phase = {"mode": mode, "start": time.time(), "log": os.path.getsize(f"{self.folder}/agent.log")}
        self.phases.append(phase)
        print(f"{time.strftime('%X')} {mode}, {seconds:.0f} s", file=sys.stderr)
        if asked:
            self.agent.send_signal(signal.SIGUSR1)
        end = time.time() + seconds
        while (left := end - time.time()) > 0:
            time.sleep(min(10, left))
            self.measure()
        self.show(f"at the end of the phase {mode}")
        shown = json.loads(self.command("targets", "--json") or "[{}]")[0]
        unsent = (shown.get("unsent") or {}).get("count", 0)
        phase |= {"end": time.time(), "state": shown.get("state"), "unsent": unsent}

    def show(self, when):
        """Keeps the output of `holdfast targets` in the folder."""
        with open(f"{self.folder}/targets.log", "a") as file:
            file.write(f"{time.strftime('%X')} {when}\n{self.command('targets')}\n")

    def measure(self):
        status = read(f"/proc/{self.agent.pid}/status")
        if not (resident := status_number(status, "VmRSS")):
            raise Failed("the agent ended")
        backups = sum(name.startswith("backup_") for name in os.listdir(f"{self.folder}/backups"))
        self.memory.append((time.time() - self.start, resident / 1024, len(os.listdir(f"/proc/{self.agent.pid}/fd")),
                            status_number(status, "Threads"), backups))

    def finish(self):
        """The application ends; the agent sends the last backup and is stopped."""
        self.writer.ended.set()
        self.writer.join()
        end = time.time() + 30
        while time.time() < end and (self.phases[-1]["state"] != "current" or time.time() < end - 22):
            time.sleep(1)
            self.phases[-1]["state"] = json.loads(self.command("targets", "--json"))[0]["state"]
        self.show("at the end")
        if self.phases[-1]["state"] != "current":
            self.fail(f"{self.given.final:.0f} s after the last outage the target is {self.phases[-1]['state']}")
        self.agent.send_signal(signal.SIGTERM)
        if code := self.agent.wait(60):
            self.fail(f"the agent ended with exit code {code}")
        self.backups = json.loads(self.command("list", "--json"))
        self.look_from_elsewhere()

    # Promises

    def look_from_elsewhere(self):
        """Verifies, compares and restores on a machine that has the key and the address."""
        self.proxy.phase += 1
        other = self.surroundings("elsewhere") | {"AWS_CA_BUNDLE": f"{self.folder}/ca.pem"}
        place = ["--from", self.url.replace("{name}", "app")]
        there = json.loads(self.command("list", *place, "--json", environment=other) or "[]")
        names = {backup["backup_id"] for backup in there}
        here = sorted(backup["backup_id"] for backup in self.backups)
        self.stored = len(here), len(names)
        promised = here[-self.given.keep_last:] if self.given.keep_last else here
        if missing := [name for name in promised if name not in names]:
            self.fail(f"{len(missing)} of {len(promised)} backups are not in the target: {', '.join(missing[:5])}")
        if incomplete := [backup["backup_id"] for backup in there if not backup["complete"]]:
            self.fail(f"{len(incomplete)} backups in the target lack archives: {', '.join(incomplete[:5])}")
        self.verified = self.command("verify", "--all", *place, environment=other)
        self.compare(other, place)
        self.look_into(other, place, promised)

    def compare(self, other, place):
        """The newest backup there has the content of the database here."""
        restored = f"{self.folder}/restored.db"
        self.command("restore", "latest", *place, "--to", restored, "--yes", environment=other)
        if not os.path.exists(restored):
            return
        left, right = sqlite3.connect(restored), sqlite3.connect(f"{self.folder}/app.db")
        last, = left.execute("SELECT max(number) FROM commits").fetchone()
        if last != len(self.writer.commits) or not same(left, right):
            self.fail(f"the restored database ends with commit {last} of {len(self.writer.commits)}, or differs")

    def look_into(self, other, place, promised):
        """A sample of the backups there: each has all commits before it."""
        made = {backup["backup_id"]: seconds(backup["created_at"]) for backup in self.backups}
        for name in self.choose.sample(promised, min(12, len(promised))):
            text = self.command("query", name, "SELECT count(*), coalesce(max(number), 0) FROM commits", *place, "--csv",
                                environment=other)
            count, last = map(int, text.split()[-1].split(",")) if text else (0, -1)
            least = bisect.bisect_left(self.writer.commits, made[name] - 0.001)
            if not least <= count == last:
                self.fail(f"{name} in the target has {count} commits up to {last}, not all {least} before it")

    # Figures

    def result(self):
        made = []
        for backup in self.backups:
            path = next(entry.path for entry in os.scandir(f"{self.folder}/backups")
                        if entry.name.startswith(backup["backup_id"]))
            made.append((seconds(backup["created_at"]), os.path.getmtime(path)))
        made.sort()
        delays = []
        for moment in self.writer.commits:
            index = bisect.bisect_left(made, (moment,))
            if index == len(made):
                self.fail("the last commits are in no backup")
                break
            delays.append((moment, made[index][1] - moment))
        self.count_lines()
        for phase in self.phases:
            phase["delays"] = [delay for moment, delay in delays if phase["start"] <= moment < phase["end"]]
            phase["backups"] = sum(phase["start"] <= stored < phase["end"] for _, stored in made)
        good, bad = ([delay for phase in self.phases if (phase["mode"] == "good") == kind for delay in phase["delays"]]
                     for kind in (True, False))
        self.judge(good, bad)
        return {"seed": self.given.seed, "phases": self.phases, "good": figures(good), "bad": figures(bad),
                "memory": self.memory, "backups_here": self.stored[0], "backups_there": self.stored[1],
                "commits": len(self.writer.commits), "slowest_commit": self.writer.slowest, "keys": len(self.proxy.keys),
                "verify": self.verified[-400:], "broken": self.broken}

    def count_lines(self):
        with open(f"{self.folder}/agent.log", "rb") as file:
            log = file.read()
        ends = [phase["log"] for phase in self.phases[1:]] + [len(log)]
        for number, (phase, end) in enumerate(zip(self.phases, ends), 1):
            lines = log[phase["log"]:end].decode(errors="replace").splitlines()
            phase["lines"], phase["said"] = len(lines), [line for line in lines if f"target {NAME}" in line]
            phase["first_put"] = f"{self.proxy.first[number] - phase['start']:.1f}" if number in self.proxy.first else "-"
            phase["answers"] = {what: count for (of, what), count in sorted(self.proxy.counts.items()) if of == number}
            if len(phase["said"]) > LINES:
                self.fail(f"{len(phase['said'])} lines about the target in a phase {phase['mode']}")

    def judge(self, good, bad):
        for words, delays in (("good", good), ("bad", bad)):
            if delays and max(delays) > DELAY:
                self.fail(f"a commit in a {words} phase waited {max(delays):.1f} s for its backup")
        if good and bad and percentile(bad, .95) > percentile(good, .95) + MORE:
            self.fail("backups here are later if the target has a problem")
        self.judge_memory([sample for sample in self.memory if sample[0] > self.given.minutes * 12])

    def judge_memory(self, later):
        """Compares the first and the last quarter of the samples."""
        quarter = len(later) // 4
        if not quarter:
            return
        (before, fewer), (now, more) = (
            (statistics.median(sample[1] for sample in some), statistics.median(sample[4] for sample in some))
            for some in (later[:quarter], later[-quarter:]))
        if now - before > GROWTH + EACH_BACKUP * max(0, more - fewer):
            self.fail(f"the agent's memory grew by {now - before:.1f} MiB with {more - fewer:.0f} more backups")


def seconds(text):
    """Seconds since the epoch of a time in JSON."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def figures(delays):
    if not delays:
        return {}
    return {"p50": percentile(delays, .5), "p95": percentile(delays, .95), "max": max(delays), "count": len(delays)}


def report(result):
    print(f"\n{'phase':17}{'seconds':>8}{'backups':>8}{'p50 s':>7}{'p95':>6}{'max':>6}{'lines':>7}{'target':>8}"
          f"{'unsent':>8}{'put s':>7}  state, answers")
    for phase in result["phases"]:
        of = figures(phase["delays"]) or {"p50": 0, "p95": 0, "max": 0}
        answers = ", ".join(f"{count} {what}" for what, count in phase["answers"].items())
        print(f"{phase['mode']:17}{phase['end'] - phase['start']:8.0f}{phase['backups']:8}{of['p50']:7.2f}{of['p95']:6.2f}"
              f"{of['max']:6.2f}{phase['lines']:7}{len(phase['said']):8}{phase['unsent']:8}{phase['first_put']:>7}  "
              f"{phase['state']}; {answers}")
    for kind in ("good", "bad"):
        of = result[kind] or {"p50": 0, "p95": 0, "max": 0, "count": 0}
        print(f"{kind} phases: {of['count']} commits, p50 {of['p50']:.2f} s, p95 {of['p95']:.2f}, max {of['max']:.2f}")
    memory = [sample[1] for sample in result["memory"]]
    later = memory[len(memory) // 5:]
    print(f"memory {min(memory):.1f} to {max(memory):.1f} MiB, after a fifth {min(later):.1f} to {max(later):.1f}, last "
          f"{memory[-1]:.1f}; descriptors at most {max(sample[2] for sample in result['memory'])}, threads "
          f"{max(sample[3] for sample in result['memory'])}")
    print(f"{result['commits']} commits, the slowest {result['slowest_commit'] * 1000:.0f} ms; {result['backups_here']} "
          f"backups here, {result['backups_there']} in the target; {result['keys']} keys; seed {result['seed']}")
    print("\nThe log about the target\n")
    for line in (line for phase in result["phases"] for line in phase["said"]):
        print(line if len(line) < 160 else f"{line[:100]} … {line[-55:]}")
    print()
    print("\n".join(f"BROKEN: {words}" for words in result["broken"]) or "every promise was kept")


def main():
    given = arguments()
    given.place = tempfile.mkdtemp(prefix="holdfast-outage.", dir=given.folder)
    try:
        result = Run(given).go()
    finally:
        print(given.place, file=sys.stderr) if given.keep else shutil.rmtree(given.place)
    print(json.dumps(result, indent=2)) if given.json else report(result)
    return 1 if result["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
