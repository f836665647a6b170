"""An HTTP server for the tests of transfers, which also answers wrongly, slowly or not at all.

usage: transfer_server.py FOLDER [--tls NAME] [--tls-max 1.1] [--proxy [STATUS]]
       transfer_server.py FOLDER --certificates

The first form prints `port N`, `ready`, and then a line for each request: the number of its
connection, the method and the target, or `N closed` for the client's end of it. The second writes ca.pem and, for each NAME, NAME.pem with a
key and a certificate: good, expired, other (another host's) and stranger (another authority's).
"""

import datetime, hashlib, ipaddress, json, os, socket, ssl, struct, sys, threading, time

CRLF = b"\r\n"


def content(count, start=0):
    """Bytes that differ at each offset of a period that no buffer's size divides."""
    period = bytes(hashlib.shake_256(b"transfer").digest(10007))
    repeated = period * (count // len(period) + 2)
    return repeated[start % len(period) : start % len(period) + count]


class Ended(Exception):
    pass


def report(line):
    """In one piece: the lines of two threads would become one."""
    print(line + "\n", end="", flush=True)


class Connection:
    def __init__(self, server, stream, number):
        self.server, self.stream, self.number = server, stream, number
        self.buffer = b""
        self.answers = 0

    # Reading

    def fill(self):
        data = self.stream.recv(1 << 16)
        if not data:
            report(f"{self.number} closed")
            raise Ended
        self.buffer += data

    def read_head(self):
        while CRLF + CRLF not in self.buffer:
            self.fill()
        head, self.buffer = self.buffer.split(CRLF + CRLF, 1)
        lines = head.decode().split("\r\n")
        self.method, self.target = lines[0].split(" ")[:2]
        self.headers = [tuple(line.split(": ", 1)) if ": " in line else (line.rstrip(":"), "") for line in lines[1:]]
        self.left = int(self.header("content-length") or 0)

    def header(self, name):
        return next((value for key, value in self.headers if key.lower() == name), None)

    def body(self, pause=0.0, piece=1 << 16):
        digest, length = hashlib.sha256(), self.left
        while self.left:
            if not self.buffer:
                self.buffer = self.stream.recv(min(piece, self.left))
                if not self.buffer:
                    raise Ended
                time.sleep(pause)
            taken = self.buffer[: self.left]
            self.buffer = self.buffer[len(taken) :]
            digest.update(taken)
            self.left -= len(taken)
        return length, digest.hexdigest()

    # Answering

    def send(self, text):
        self.stream.sendall(text if isinstance(text, bytes) else text.encode())

    def answer(self, status=200, body=b"", headers=(), length=None):
        self.answers += 1
        lines = [f"HTTP/1.1 {status} Text", f"Content-Length: {len(body) if length is None else length}"]
        lines += [f"{name}: {value}" for name, value in headers]
        self.send("\r\n".join(lines) + "\r\n\r\n")
        if self.method != "HEAD":
            self.send(body)

    def reset(self):
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Ended

    def run(self):
        try:
            while True:
                self.read_head()
                report(f"{self.number} {self.method} {self.target}")
                if self.server.proxy is not None:
                    self.forward()
                else:
                    path, _, argument = self.target.partition("?")
                    getattr(self, path.strip("/").replace("-", "_").split("/")[0], self.missing)(argument)
        except (Ended, ConnectionError, ssl.SSLError, OSError):
            pass
        finally:
            self.stream.close()

    def missing(self, _):
        self.body()
        self.answer(404, b"missing")

    # Behaviours, by the first part of the path

    def echo(self, _):
        """Tells what arrived."""
        expects = (self.header("expect") or "").lower() == "100-continue"
        if expects:
            self.send("HTTP/1.1 100 Continue\r\nX-Early: 1\r\n\r\n")
        length, digest = self.body()
        facts = {"method": self.method, "target": self.target, "headers": self.headers, "length": length}
        self.answer(200, json.dumps(facts | {"sha256": digest}).encode(), [("X-Reply", " two  words "), ("X-None", "")])

    def slow_echo(self, pause):
        """Reads 4 KiB at a time."""
        length, digest = self.body(float(pause), 4096)
        self.answer(200, json.dumps({"length": length, "sha256": digest}).encode())

    def silent_continue(self, _=""):
        """Never sends 100."""
        expects = self.header("expect")
        length, digest = self.body()
        self.answer(200, json.dumps({"expect": expects, "length": length, "sha256": digest}).encode())

    def no_expect(self, _):
        """Refuses the header."""
        if self.header("expect"):
            self.answer(417, b"no expectations", [("Connection", "close")])
            raise Ended
        self.silent_continue()

    def bytes(self, count):
        self.body()
        body = content(int(count))
        field = self.header("range")
        if field:
            first, last = map(int, field.removeprefix("bytes=").split("-"))
            return self.answer(206, body[first : last + 1], [("Content-Range", f"bytes {first}-{last}/{count}")])
        self.answer(200, body)

    def zeros(self, count):
        self.answer(200, b"", length=int(count))
        for _ in range(int(count) >> 16):
            self.send(bytes(1 << 16))

    def chunked(self, count):
        body = content(int(count))
        self.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for start in range(0, len(body), 5000):
            piece = body[start : start + 5000]
            self.send(f"{len(piece):x}\r\n".encode() + piece + CRLF)
        self.send("0\r\nX-Trailer: 1\r\n\r\n")

    def status(self, argument):
        status, size = map(int, argument.split(","))
        self.body()
        self.answer(status, content(size))

    def redirect(self, _):
        self.answer(307, b"elsewhere", [("Location", "/echo")])

    def stall(self, _):
        """Reads the request and answers nothing."""
        self.body()
        time.sleep(3600)

    def stall_body(self, _):
        self.answer(200, content(500), length=1000)
        time.sleep(3600)

    def deaf(self, _):
        """Reads the head only."""
        time.sleep(3600)

    def trickle(self, pause):
        """A byte at a time."""
        self.answer(200, b"", length=10)
        for _ in range(10):
            time.sleep(float(pause))
            self.send(b"x")

    def cut(self, _):
        self.body()
        self.answer(200, content(500), length=1000)
        raise Ended

    def cut_head(self, _):
        self.body()
        self.send("HTTP/1.1 200 OK\r\nContent-Le")
        raise Ended

    def cut_chunk(self, _):
        self.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100\r\nshort")
        raise Ended

    def nothing(self, _):
        self.body()
        raise Ended

    def reset_answer(self, _):
        self.body()
        self.reset()

    def reset_upload(self, count):
        """Resets after some bytes of the request's body."""
        while len(self.buffer) < int(count):
            self.fill()
        self.reset()

    def long(self, pause):
        """More bytes than announced, some time after the head or with it."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
        if pause:
            self.send(head)
            time.sleep(float(pause))
            head = b""
        self.send(head + content(100))

    def not_http(self, _):
        self.send("SSH-2.0-OpenSSH_9.2\r\n")
        raise Ended

    def early(self, status):
        """Answers before it has read the body, and closes in an orderly way."""
        self.answer(int(status), b"early", [("Connection", "close")])
        self.stream.shutdown(socket.SHUT_WR)
        self.stream.settimeout(5)
        while self.stream.recv(1 << 16):
            pass
        raise Ended

    def early_reset(self, status, length=None):
        """Answers after a part of the body, waits until the answer is there, and resets."""
        while len(self.buffer) < 100:
            self.fill()
        self.answer(int(status), b"early", length=length)
        time.sleep(0.3)
        self.reset()

    def early_cut(self, status):
        """The same with a part of the answer's body."""
        self.early_reset(status, 1000)

    def endless_head(self, _):
        self.send("HTTP/1.1 200 OK\r\n")
        while True:
            self.send("X-More: " + "x" * 1000 + "\r\n")

    def endless(self, status):
        self.send(f"HTTP/1.1 {status} OK\r\nConnection: close\r\n\r\n")
        while True:
            self.send(content(1 << 16))

    def then_close(self, _):
        """Answers as if the connection stayed open, and closes it."""
        self.body()
        self.answer(200, b"first")
        raise Ended

    def once(self, count):
        """The second request of a connection gets no answer, after this much of its body."""
        if self.answers:
            while len(self.buffer) < int(count):
                self.fill()
            raise Ended
        self.body()
        self.answer(200, b"once")

    def gather(self, count):
        """Answers when this many requests are there at once, or when the request asks for none."""
        with self.server.gathered:
            self.server.present += 1
            self.server.most = max(self.server.most, self.server.present)
            self.server.gathered.notify_all()
            self.server.gathered.wait_for(lambda: self.server.most >= int(count), 10)
        time.sleep(0.05)
        with self.server.gathered:
            self.server.present -= 1
        self.answer(200, str(self.server.most).encode())

    # As a proxy

    def forward(self):
        if self.server.proxy:
            return self.answer(self.server.proxy, b"proxy says no")
        if self.method == "CONNECT":
            host, port = self.target.rsplit(":", 1)
            peer = socket.create_connection((host, int(port)))
            self.send("HTTP/1.1 200 Connected\r\nX-Proxy: 1\r\n\r\n")
            threading.Thread(target=pump, args=(peer, self.stream), daemon=True).start()
            pump(self.stream, peer)
            raise Ended
        credentials = self.header("proxy-authorization")
        self.answer(200, f"{self.target} {credentials}".encode())


def pump(source, target):
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


class Server:
    def __init__(self, folder, options):
        self.proxy = None
        if "--proxy" in options:
            after = options[options.index("--proxy") + 1 :]
            self.proxy = int(after[0]) if after else 0
        self.present = self.most = 0
        self.gathered = threading.Condition()
        self.context = None
        if "--tls" in options:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(f"{folder}/{options[options.index('--tls') + 1]}.pem")
            if "--tls-max" in options:
                self.context.set_ciphers("ALL:@SECLEVEL=0")
                self.context.minimum_version = ssl.TLSVersion.TLSv1
                self.context.maximum_version = ssl.TLSVersion.TLSv1_1

    def accept(self, stream, number):
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if self.context:
                stream = self.context.wrap_socket(stream, server_side=True)
        except OSError:
            return stream.close()
        Connection(self, stream, number).run()

    def run(self):
        listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        print(f"port {listener.getsockname()[1]}\nready", flush=True)
        threading.Thread(target=end_with_parent, daemon=True).start()
        number = 0
        while True:
            stream, _ = listener.accept()
            number += 1
            threading.Thread(target=self.accept, args=(stream, number), daemon=True).start()


def end_with_parent():
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)


def write_certificates(folder):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    pem = serialization.Encoding.PEM

    def make(name, issuer=None, names=(), ends=now + day):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer[1].subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 2 * day)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return key, builder.sign(issuer[0] if issuer else key, hashes.SHA256())

    def write(name, made):
        key, certificate = made
        form = serialization.PrivateFormat.PKCS8
        with open(f"{folder}/{name}.pem", "wb") as file:
            file.write(key.private_bytes(pem, form, serialization.NoEncryption()) + certificate.public_bytes(pem))

    here = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    authority, stranger = make("test authority"), make("another authority")
    with open(f"{folder}/ca.pem", "wb") as file:
        file.write(authority[1].public_bytes(pem))
    write("good", make("good", authority, here))
    write("expired", make("expired", authority, here, now - day))
    write("other", make("other", authority, [x509.DNSName("other.example")]))
    write("stranger", make("stranger", stranger, here))


if __name__ == "__main__":
    if "--certificates" in sys.argv:
        write_certificates(sys.argv[1])
    else:
        Server(sys.argv[1], sys.argv[2:]).run()
