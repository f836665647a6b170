"""Kills a real agent at random moments beside a writing process, and compares every backup with the commits.

usage: killed_agent.py PROGRAM FOLDER SEED ROUNDS

Each transaction of the writer ends with its number and a hash of all rows at that moment. The writer flushes both to a
journal before it commits. So a backup is right if its own rows have that hash and the journal has the number. The number
of a later backup is never smaller, and the newest backup contains the database's final content.
"""
import hashlib, json, os, random, select, signal, sqlite3, subprocess, sys, time

PATIENCE = 120   # seconds; a limit for runs that hang


def connect(path):
    return sqlite3.connect(path, isolation_level=None, timeout=PATIENCE)


def rows_hash(connection):
    rows = connection.execute("SELECT id, body FROM item ORDER BY id").fetchall()
    return hashlib.blake2b(repr(rows).encode(), digest_size=12).hexdigest()


# The writer

def create(path):
    connection = connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, body BLOB)")
    connection.execute("CREATE TABLE state (number INTEGER, hash TEXT)")
    connection.execute("INSERT INTO item SELECT value, randomblob(300) FROM "
                       "(WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n LIMIT 150) SELECT * FROM n)")
    connection.execute("INSERT INTO state VALUES (0, ?)", (rows_hash(connection),))
    return connection


def transaction(connection, chosen, journal):
    connection.execute("BEGIN IMMEDIATE")
    for _ in range(chosen.randint(1, 20)):
        place, body = chosen.randint(1, 300), chosen.randbytes(chosen.randint(0, 1500))
        if chosen.random() < 0.3:
            connection.execute("DELETE FROM item WHERE id = ?", (place,))
        else:
            connection.execute("INSERT OR REPLACE INTO item VALUES (?, ?)", (place, body))
    if chosen.random() < 0.1:
        return connection.execute("ROLLBACK")
    number, found = connection.execute("SELECT number + 1 FROM state").fetchone()[0], rows_hash(connection)
    connection.execute("UPDATE state SET number = ?, hash = ?", (number, found))
    os.write(journal, f"{number} {found}\n".encode())
    os.fdatasync(journal)
    return connection.execute("COMMIT")


def write(path, journal, seed):
    """Runs until its standard input ends."""
    chosen, connection = random.Random(seed), connect(path)
    journal = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    while not select.select([0], [], [], 0)[0]:
        step = chosen.random()
        if step < 0.85:
            transaction(connection, chosen, journal)
        elif step < 0.92:
            connection.execute(f"PRAGMA wal_checkpoint({chosen.choice(['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'])})").fetchall()
        elif step < 0.95:
            connection.execute("VACUUM")
        else:
            connection.close()
            connection = connect(path)
        time.sleep(chosen.choice([0, 0.005, 0.05]))
    connection.close()


# The agent

class Agent:
    def __init__(self, program, folder):
        self.log = f"{folder}/agent.log"
        self.command = [program, "agent", "--debounce", "20ms", "--max-delay", "200ms", "--min-interval", "0",
                        "--poll-interval", "1s"]
        self.folder = folder

    def start(self):
        self.since = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(self.command, cwd=self.folder, stderr=out, stdin=subprocess.DEVNULL)

    def text(self):
        with open(self.log) as file:
            file.seek(self.since)
            return file.read()

    def wait_for(self, words):
        end = time.monotonic() + PATIENCE
        while words not in self.text():
            if self.process.poll() is not None or time.monotonic() > end:
                sys.exit(f"the agent never said '{words}': {self.text()}")
            time.sleep(0.001)

    def live_and_die(self, chosen):
        """Kills at any moment: during the start, the search for changes, a backup, or the work after it."""
        self.start()
        moment = chosen.choice(["", " watching ", "backing up", " stored ", " stored "])
        if moment:
            self.wait_for(moment)
        time.sleep(chosen.uniform(0, 0.6 if moment == " watching " else 0.03))
        self.process.kill()
        self.process.wait()


# The check

def state_of(path):
    """Number and hash that a database claims, after a comparison with its own rows."""
    connection = connect(path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)], path
        (number, claimed), = connection.execute("SELECT number, hash FROM state").fetchall()
        assert rows_hash(connection) == claimed, f"{path} is a mix of states around {number}"
        return number, claimed
    finally:
        connection.close()


def run(program, folder, *arguments):
    done = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{arguments}: {done.stderr}"
    return done.stdout


def restored(program, folder, point):
    path = f"{folder}/restored.db"
    run(program, folder, "restore", point, "--to", path, "--yes", "--quiet")
    try:
        return state_of(path)
    finally:
        os.remove(path)


def wait_until_stored(agent, program, folder, final):
    end = time.monotonic() + PATIENCE
    while restored(program, folder, "latest") != final:
        assert time.monotonic() < end, f"{final} is never stored: {agent.text()}"
        time.sleep(0.05)


def prove(program, folder, committed):
    """Checks every backup in order; returns the number of each kind."""
    last, kinds = -1, {}
    points = json.loads(run(program, folder, "list", "--json"))
    for point in sorted(points, key=lambda point: point["sequence"]):
        number, found = restored(program, folder, point["backup_id"])
        assert committed.get(number) == found, f"{point['backup_id']} holds {number}, which was never committed"
        assert number >= last, f"{point['backup_id']} holds {number}, and an earlier point {last}"
        last, kinds[point["kind"]] = number, kinds.get(point["kind"], 0) + 1
    run(program, folder, "verify", "--all", "--quiet")
    return kinds


def main(program, folder, seed, rounds):
    chosen, path, journal = random.Random(int(seed)), f"{folder}/app.db", f"{folder}/journal"
    first = create(path)
    start = state_of(path)
    first.close()
    agent = Agent(program, folder)
    writer = subprocess.Popen([sys.executable, __file__, "write", path, journal, seed], stdin=subprocess.PIPE)
    try:
        for _ in range(int(rounds)):
            agent.live_and_die(chosen)
            time.sleep(chosen.choice([0, 0, 0.1]))
        writer.communicate()
        assert writer.returncode == 0, "the writer was refused"
        agent.start()
        # Until then a signal ends it as it ends any process.
        agent.wait_for(" watching ")
        final = state_of(path)
        wait_until_stored(agent, program, folder, final)
        agent.process.send_signal(signal.SIGTERM)
        assert agent.process.wait(PATIENCE) == 0, agent.text()
        with open(journal) as file:
            committed = {0: start[1]} | {int(number): found for number, found in map(str.split, file)}
        assert final[0] == max(committed), "the journal ends elsewhere"
        print(json.dumps(prove(program, folder, committed)))
    finally:
        for process in (writer, agent.process):
            process.kill()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    write(*sys.argv[2:]) if sys.argv[1] == "write" else main(*sys.argv[1:])
