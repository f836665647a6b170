"""Stores on this machine that speak S3: moto, and plain_store.py, which is quicker. Their logs count the requests."""
import http.client, os, re, shutil, signal, socket, subprocess, sys, threading, time
from collections import Counter

from measure import Failed

HERE = os.path.dirname(os.path.abspath(__file__))
KEYS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_REGION": "us-east-1"}
REQUEST = re.compile(r'"([A-Z]+) (\S+) HTTP/1\.1" (\d+)')


class Store:
    """A running store. `requests` has (time of the answer as `time.perf_counter`, kind, target)."""

    def __init__(self, name, command):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.name, self.requests, self.arrived = name, [], threading.Condition()
        self.process = subprocess.Popen([part.format(port=self.port) for part in command], stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, errors="replace")
        threading.Thread(target=self.read, daemon=True).start()
        self.buckets = 0
        self.wait_until_ready()

    def wait_until_ready(self):
        for _ in range(200):
            try:
                return socket.create_connection(("127.0.0.1", self.port)).close()
            except ConnectionRefusedError:
                time.sleep(0.1)
        raise Failed(f"{self.name} does not listen")

    def read(self):
        for line in self.process.stdout:
            if found := REQUEST.search(line):
                now = time.perf_counter()
                with self.arrived:
                    self.requests.append((now, kind(found[1], found[2]), found[2]))
                    self.arrived.notify_all()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def bucket(self):
        """Makes an empty bucket; its name."""
        self.buckets += 1
        name = f"bucket-{self.buckets}"
        self.put(f"/{name}", b"")
        return name

    def put(self, path, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request("PUT", path, body, {"Authorization": "AWS4-HMAC-SHA256 Credential=bench/x/us-east-1/s3/x"})
        connection.getresponse().read()
        connection.close()

    def round_trip(self, bucket, size, count=200):
        """Median seconds of a bare PUT of so many bytes on an open connection."""
        connection, took = http.client.HTTPConnection("127.0.0.1", self.port), []
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in range(count):
            start = time.perf_counter()
            connection.request("PUT", f"/{bucket}/round-trip-{number}", os.urandom(size))
            connection.getresponse().read()
            took.append(time.perf_counter() - start)
        connection.close()
        return sorted(took)[count // 2]

    def next(self, since, pattern, seconds):
        """The time of the first put after `since` requests whose target matches; None after a while."""
        end = time.perf_counter() + seconds
        with self.arrived:
            while True:
                for moment, what, target in self.requests[since:]:
                    if what == "put" and pattern.search(target):
                        return moment
                since, left = len(self.requests), end - time.perf_counter()
                if left <= 0:
                    return None
                self.arrived.wait(left)

    def counts(self, since=0):
        """The requests by kind, when nothing follows any more."""
        count = -1
        while count != len(self.requests):
            count = len(self.requests)
            time.sleep(0.3)
        return Counter(what for _, what, _ in self.requests[since:])

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def kind(method, target):
    """The kind by which stores charge."""
    if method in ("PUT", "POST"):
        return "put"
    if method == "DELETE":
        return "delete"
    return "list" if re.search(r"[?&](prefix|list-type)=", target) else "get"


def plain(*options, name="plain"):
    return Store(name, [sys.executable, f"{HERE}/plain_store.py", "{port}", *options])


def moto():
    """None if it is not installed."""
    if shutil.which("moto_server"):
        return Store("moto", ["moto_server", "-H", "127.0.0.1", "-p", "{port}"])
    print("without moto: python3 -m pip install 'moto[server]'", file=sys.stderr)
    return None
