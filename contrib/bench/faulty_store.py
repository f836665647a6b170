"""A proxy before a store: it speaks TLS, and refuses, delays or cuts requests as its mode says."""
import contextlib, http.client, re, socket, ssl, subprocess, threading, time
from collections import Counter
from email.utils import formatdate

MODES = {
    "gone": "the connection is refused",
    "silent": "connections are accepted, and nothing is answered",
    "slow": "20 KiB a second",
    "full": "each put is refused with 507",
    "refusing": "each request is refused with 403",
    "errors": "each request is answered with 503 SlowDown",
    "cuts": "two of three exchanges end in the middle of a body",
    "other authority": "the certificate is of an authority that is not trusted",
    "renewed": "there is a new certificate of the right authority",
}
REFUSALS = {
    "full": (507, "XMinioStorageFull", "Storage backend has reached its minimum free drive threshold."),
    "refusing": (403, "AccessDenied", "Access Denied."),
    "errors": (503, "SlowDown", "Please reduce your request rate."),
}
# Bytes a second in the mode slow; seconds that a key is good for.
RATE, KEY_AGE = 20 << 10, 25
BROKEN = (OSError, ValueError, http.client.HTTPException)


class Authority:
    """A certificate authority of this run, and certificates of it for 127.0.0.1."""

    def __init__(self, folder, name):
        self.path, self.count = f"{folder}/{name}", 0
        self.openssl("req", "-x509", "-subj", f"/CN={name}", "-keyout", f"{self.path}.key", "-out", f"{self.path}.pem")

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
                       check=True, stderr=subprocess.DEVNULL)

    def context(self):
        """A server's context with a new certificate."""
        self.count += 1
        path = f"{self.path}-{self.count}"
        self.openssl("req", "-x509", "-CA", f"{self.path}.pem", "-CAkey", f"{self.path}.key", "-subj", "/CN=127.0.0.1",
                     "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE",
                     "-keyout", f"{path}.key", "-out", f"{path}.pem")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{path}.pem", f"{path}.key")
        return context


class Proxy:
    """`counts` has the number of each (phase, answer), `first` the time of the first stored object of a phase."""

    def __init__(self, folder, store, choose):
        self.store, self.choose, self.mode, self.phase = store, choose, "good", 0
        self.right, self.other = Authority(folder, "ca"), Authority(folder, "other").context()
        self.context, self.open, self.lock = self.right.context(), set(), threading.Lock()
        self.counts, self.keys, self.first = Counter(), set(), {}
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.slot = socket.create_server(("127.0.0.1", self.port))
        self.slot.settimeout(0.2)
        threading.Thread(target=self.accept, daemon=True).start()

    def set(self, mode):
        """Begins a phase: all connections end."""
        if mode == "renewed":
            self.context = self.right.context()
        with self.lock:
            self.mode, self.phase, left, self.open = mode, self.phase + 1, self.open, set()
        # Without a listen the port stays this proxy's, and connections are refused.
        self.slot.shutdown(socket.SHUT_RDWR) if mode == "gone" else self.slot.listen(64)
        for connection in left:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def accept(self):
        while True:
            try:
                connection, _ = self.slot.accept()
            except OSError:
                time.sleep(0.01)
                continue
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, raw):
        with self.lock:
            mode, context = self.mode, self.other if self.mode == "other authority" else self.context
            self.open.add(raw)
        self.counts[self.phase, "connection"] += 1
        try:
            if mode == "silent" and self.choose.random() < 0.5:
                raw.recv(1 << 16)
                return self.wait(raw)
            raw.settimeout(600)
            with context.wrap_socket(raw, server_side=True) as secure:
                with self.lock:
                    self.open.add(secure)
                stream, behind = secure.makefile("rwb"), http.client.HTTPConnection("127.0.0.1", self.store.port)
                while self.exchange(mode, secure, stream, behind):
                    pass
        except BROKEN:
            pass
        finally:
            raw.close()

    def wait(self, connection):
        """Says nothing until the end of the phase."""
        while connection.recv(1 << 16):
            pass

    def exchange(self, mode, secure, stream, behind):
        """Whether another request may follow."""
        line = stream.readline().split()
        if not line:
            return False
        method, path = line[0].decode(), line[1].decode()
        headers = http.client.parse_headers(stream)
        if mode == "silent":
            self.wait(secure)
            return False
        length, refusal = int(headers.get("content-length", 0)), self.refusal(mode, method, headers)
        if headers.get("expect"):
            stream.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            stream.flush()
        fate = self.choose.choice(["pass", "request", "answer"]) if mode == "cuts" else "pass"
        if fate == "request" and length:
            stream.read(length // 2)
            return self.count("cut request")
        body = self.body(stream, length, mode)
        status, answered, content = refusal or self.forward(behind, method, path, headers, body)
        self.count(f"{method} {status}")
        if (method, status) == ("PUT", 200):
            self.first.setdefault(self.phase, time.time())
        head = [f"HTTP/1.1 {status} answered", *(f"{name}: {value}" for name, value in answered)]
        answer = "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + content
        if fate == "answer":
            stream.write(answer[:-len(content) // 2] if content else answer[:len(answer) // 2])
            stream.flush()
            return self.count("cut answer")
        for start in range(0, len(answer), 4096):
            stream.write(answer[start:start + 4096])
            stream.flush()
            time.sleep(4096 / RATE if mode == "slow" else 0)
        return True

    def count(self, what):
        with self.lock:
            self.counts[self.phase, what] += 1

    def body(self, stream, length, mode):
        if mode != "slow":
            return stream.read(length)
        parts = []
        for start in range(0, length, 4096):
            parts.append(stream.read(min(4096, length - start)))
            time.sleep(4096 / RATE)
        return b"".join(parts)

    def refusal(self, mode, method, headers):
        found = re.search(r"Credential=AK(\d+)/", headers.get("authorization", ""))
        if not found:
            return self.error(method, 403, "AccessDenied", "There is no key.")
        self.keys.add(found[1])
        if mode in REFUSALS and (mode != "full" or method in ("PUT", "POST")):
            return self.error(method, *REFUSALS[mode])
        if time.time() - int(found[1]) > KEY_AGE:
            self.count("expired")
            return self.error(method, 400, "ExpiredToken", "The provided token has expired.")
        return None

    def error(self, method, status, code, message):
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
        headers = [("Content-Type", "application/xml"), ("Content-Length", len(text)), ("Date", formatdate(usegmt=True))]
        return status, headers, b"" if method == "HEAD" else text

    def forward(self, behind, method, path, headers, body):
        behind.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            if name.lower() not in ("expect", "connection"):
                behind.putheader(name, value)
        behind.endheaders(body)
        response = behind.getresponse()
        content = response.read()
        left_out = ("transfer-encoding", "connection") + (() if method == "HEAD" else ("content-length",))
        kept = [(name, value) for name, value in response.getheaders() if name.lower() not in left_out]
        return response.status, kept + ([] if method == "HEAD" else [("Content-Length", len(content))]), content
