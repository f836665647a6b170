#!/usr/bin/env python3
"""A running agent under many commands: its answers, its memory, its backups.

usage: control.py [--binary PATH] [--status 100000] [--reloads 1000] [--fuzz 1000000] [--seed 1]

A writer commits all the time. Each phase ends with a request for a backup that must hold the writer's last row, and
with the agent's memory and open files, which must not have grown. The fuzzer sends half-valid and random lines, cuts
them off, keeps connections open and does not read answers.
"""
import argparse, json, os, random, shutil, socket, sqlite3, subprocess, sys, tempfile, threading, time

MIB = 2**20
REQUESTS = [
    {"version": 1, "command": "status"}, {"version": 1, "command": "decisions"},
    {"version": 1, "command": "backup_now", "wait": False}, {"version": 1, "command": "pause", "milliseconds": 1},
    {"version": 1, "command": "resume"}, {"version": 1, "command": "follow", "database": "app"},
]


class Agent:
    def __init__(self, binary, folder):
        self.folder = folder
        self.environment = {
            **os.environ, "HOME": folder, "XDG_STATE_HOME": f"{folder}/state", "XDG_CONFIG_HOME": f"{folder}/config",
            "BACKUP_ENCRYPTION_KEY_FILE": f"{folder}/key",
        }
        with open(f"{folder}/key", "w") as key:
            key.write("0123456789abcdef" * 4)
        os.chmod(f"{folder}/key", 0o600)
        with open(f"{folder}/holdfast.toml", "w") as settings:
            settings.write('debounce = "200ms"\nmin_interval = "1s"\n[[databases]]\nname = "app"\npath = "app.db"\n')
        os.chmod(f"{folder}/holdfast.toml", 0o600)
        self.binary = binary
        self.log = open(f"{folder}/log", "w")
        self.process = subprocess.Popen(
            [binary, "agent", "--log-level", "error"], cwd=folder, env=self.environment, stderr=self.log)
        sockets = f"{folder}/state/holdfast/agents"
        self.path = None
        while self.path is None:
            time.sleep(0.05)
            names = os.listdir(sockets) if os.path.isdir(sockets) else []
            self.path = next((f"{sockets}/{name}" for name in names if name.endswith(".sock")), None)

    def connect(self):
        client = socket.socket(socket.AF_UNIX)
        client.connect(self.path)
        client.settimeout(60)
        return client

    def ask(self, request):
        with self.connect() as client:
            client.sendall((json.dumps(request) + "\n").encode())
            answer = b""
            while not answer.endswith(b"\n"):
                part = client.recv(1 << 16)
                assert part, f"no answer to {request}"
                answer += part
        return json.loads(answer)

    def facts(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
        return resident / 1024, len(os.listdir(f"/proc/{self.process.pid}/fd"))


class Writer(threading.Thread):
    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.last, self.ends = path, 0, False

    def run(self):
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=60)
        while not self.ends:
            self.last = connection.execute("INSERT INTO entries (text) VALUES (randomblob(200))").lastrowid
            time.sleep(0.02)
        connection.close()


def status(agent, count, _):
    for _ in range(count):
        answer = agent.ask({"version": 1, "command": "status"})
        assert answer["databases"][0]["name"] == "app", answer


def reloads(agent, count, _):
    for _ in range(count):
        assert agent.ask({"version": 1, "command": "reload"}).get("reloaded") is True


def line(choices):
    kind = choices.random()
    if kind < 0.3:
        return choices.randbytes(choices.choice([0, 1, 7, 60, 500])).replace(b"\n", b" ")
    text = bytearray(json.dumps(choices.choice(REQUESTS)).encode())
    if kind < 0.9:
        for _ in range(choices.choice([1, 1, 2, 5])):
            place = choices.randrange(len(text))
            if choices.random() < 0.5:
                text[place] = choices.randrange(256)
            else:
                del text[place:place + choices.randrange(1, 9)]
            text = text or bytearray(b" ")
    return bytes(text).replace(b"\n", b" ")


def fuzz(agent, count, choices):
    """Many inputs; most connections end without reading the answer."""
    kept = []
    for number in range(count):
        try:
            client = agent.connect()
            is_whole = choices.random() < 0.9
            client.sendall(line(choices) + (b"\n" if is_whole else b""))
            # Without the end of its line a request has no answer; `follow` may have none either. The request of a client
            # that has ended is dropped.
            if is_whole and choices.random() < 0.3:
                client.settimeout(0.02)
                client.recv(1 << 16)
            if choices.random() < 0.002:
                kept.append(client)
            else:
                client.close()
        except (BrokenPipeError, ConnectionResetError, TimeoutError, BlockingIOError):
            pass  # BlockingIOError: the queue of the socket is full
        while len(kept) > 8:
            kept.pop(0).close()
        assert agent.process.poll() is None, "the agent has ended"
    for client in kept:
        client.close()
    agent.ask({"version": 1, "command": "resume"})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=".build/release/holdfast")
    parser.add_argument("--status", type=int, default=100_000)
    parser.add_argument("--reloads", type=int, default=1000)
    parser.add_argument("--fuzz", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="control.")
    connection = sqlite3.connect(f"{folder}/app.db")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE entries (id INTEGER PRIMARY KEY, text BLOB)")
    connection.commit()
    connection.close()
    agent = Agent(os.path.abspath(given.binary), folder)
    writer = Writer(f"{folder}/app.db")
    writer.start()
    failed = False
    try:
        time.sleep(3)
        for name, phase, count in ("status", status, 2000), ("status", status, given.status), (
                "reload", reloads, given.reloads), ("fuzz", fuzz, given.fuzz):
            before, begin = agent.facts(), time.monotonic()
            phase(agent, count, random.Random(given.seed))
            took = time.monotonic() - begin
            wanted = writer.last
            answer = agent.ask({"version": 1, "command": "backup_now", "wait": True})
            point = answer["databases"][0]["backup_id"]
            out = subprocess.run(
                [agent.binary, "query", point, "SELECT max(id) FROM entries", "--csv", "--database", "app"], cwd=folder,
                env=agent.environment, capture_output=True, text=True)
            stored = int(out.stdout.split()[-1]) if out.returncode == 0 else -1
            after = agent.facts()
            good = stored >= wanted and after[0] - before[0] < 4 and after[1] - before[1] < 4
            failed = failed or not good and count != 2000
            print(f"{name:8}{count:9,} in {took:7.1f} s, {count / took:8.0f}/s; {before[0]:.1f} -> {after[0]:.1f} MiB, "
                  f"{before[1]} -> {after[1]} files; row {wanted:,} asked for, {stored:,} stored"
                  f"{'' if good else '  <- MISSED'}", flush=True)
    finally:
        writer.ends = True
        agent.process.terminate()
        agent.process.wait()
        agent.log.close()
        with open(f"{folder}/log") as log:
            lines = log.read().splitlines()
        failed = failed or bool(lines)
        print(f"{len(lines)} lines at level error in the log" + "".join(f"\n  {text}" for text in lines[:5]))
        shutil.rmtree(folder)
    sys.exit(1 if failed else 0)


main()
