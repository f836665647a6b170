#!/usr/bin/env python3
"""A store that speaks just enough S3 for the benchmarks, and is quicker than what it measures.

usage: plain_store.py PORT [--discard] [--digests] [--delay MS] [--rate MIB]

One thread for each connection. Objects are in memory. Nothing is authenticated or checked, except `If-None-Match: *`.
With --discard, bodies beyond 4 MiB are read and forgotten. With --digests it computes what a store cannot avoid: MD5
of each body for the ETag, and SHA-256 if the request announces one. Each answer waits for MS milliseconds: the
distance of the store. MIB is the bandwidth of all bodies together, in MiB a second. Each request is a line on standard
output, in the form of moto's log, before its answer.
"""
import argparse, hashlib, itertools, socket, sys, threading, time, urllib.parse
from xml.sax.saxutils import escape

NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
DISCARDED = 4 << 20
PIECE = 1 << 20


class Store:
    def __init__(self, given):
        self.given, self.lock = given, threading.Lock()
        self.objects, self.uploads, self.numbers = {}, {}, itertools.count()
        self.pacing, self.free_at = threading.Lock(), 0.0

    # One method for each kind of request: (status, headers, body).

    def put(self, key, query, headers, body):
        if "uploadId" in query:
            parts = self.uploads.get(query["uploadId"])
            if parts is None:
                return error(404, "NoSuchUpload")
            parts[int(query["partNumber"])] = body
            return 200, {"ETag": body.tag}, b""
        with self.lock:
            if headers.get("if-none-match") == "*" and key in self.objects:
                return error(412, "PreconditionFailed")
            self.objects[key] = body
        return 200, {"ETag": body.tag}, b""

    def post(self, key, query, headers, body):
        if "uploads" in query:
            name = f"upload-{next(self.numbers)}"
            self.uploads[name] = {}
            return document("InitiateMultipartUploadResult", f"<Key>{escape(key)}</Key><UploadId>{name}</UploadId>")
        if "uploadId" in query:
            parts = self.uploads.pop(query["uploadId"], None)
            if parts is None:
                return error(404, "NoSuchUpload")
            self.objects[key] = Body.joined([parts[number] for number in sorted(parts)])
            return document("CompleteMultipartUploadResult", f"<ETag>&quot;{len(parts)}&quot;</ETag>")
        if "delete" in query:
            names = [piece.split("</Key>")[0] for piece in body.bytes().decode().split("<Key>")[1:]]
            for name in names:
                self.objects.pop(f"{key}/{name}", None)
            return document("DeleteResult", "".join(f"<Deleted><Key>{name}</Key></Deleted>" for name in names))
        return error(400, "InvalidRequest")

    def get(self, key, query, headers, body):
        if "/" not in key:
            return self.list(key, query)
        found = self.objects.get(key)
        if found is None:
            return error(404, "NoSuchUpload" if "uploadId" in query else "NoSuchKey")
        first, last = 0, found.length - 1
        fields = {"ETag": found.tag, "Last-Modified": http_date()}
        if "range" not in headers:
            return 200, fields, found.bytes()
        low, _, high = headers["range"].removeprefix("bytes=").partition("-")
        first, last = int(low), min(int(high or last), last)
        if first > last:
            return error(416, "InvalidRange")
        fields["Content-Range"] = f"bytes {first}-{last}/{found.length}"
        return 206, fields, found.bytes()[first:last + 1]

    def delete(self, key, query, headers, body):
        self.objects.pop(key, None)
        self.uploads.pop(query.get("uploadId"), None)
        return 204, {}, b""

    def list(self, bucket, query):
        """A page of ListObjectsV2, whatever else of the bucket is asked for."""
        prefix, delimiter, limit = query.get("prefix", ""), query.get("delimiter"), int(query.get("max-keys", 1000))
        behind = query.get("continuation-token") or query.get("start-after", "")
        entries, groups, last = [], [], ""
        with self.lock:
            names = sorted(name[len(bucket) + 1:] for name in self.objects if name.startswith(f"{bucket}/{prefix}"))
        for name in (name for name in names if name > behind):
            rest = name[len(prefix):]
            group = prefix + rest.split(delimiter)[0] + delimiter if delimiter and delimiter in rest else None
            if group and (group in groups or behind.startswith(group)):
                continue
            if len(entries) + len(groups) == limit:
                more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{escape(last)}</NextContinuationToken>"
                break
            groups.append(group) if group else entries.append(name)
            last = name
        else:
            more = "<IsTruncated>false</IsTruncated>"
        listed = "".join(f"<Contents><Key>{escape(name)}</Key><Size>{self.objects[f'{bucket}/{name}'].length}</Size>"
                         f"<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>" for name in entries)
        folders = "".join(f"<CommonPrefixes><Prefix>{escape(group)}</Prefix></CommonPrefixes>" for group in groups)
        return document("ListBucketResult", f"<Name>{bucket}</Name>{more}{listed}{folders}")

    def pace(self, count):
        """Waits until the line of the given bandwidth has carried so many bytes more."""
        if not self.given.rate:
            return
        with self.pacing:
            self.free_at = max(self.free_at, time.monotonic() - 0.01) + count / self.given.rate / 2**20
            pause = self.free_at - time.monotonic()
        if pause > 0:
            time.sleep(pause)

    def answer(self, method, target, headers, body):
        path, _, text = target.partition("?")
        query = dict(urllib.parse.parse_qsl(text, keep_blank_values=True))
        key = urllib.parse.unquote(path).strip("/")
        handler = getattr(self, {"HEAD": "get"}.get(method, method.lower()), None)
        status, fields, content = handler(key, query, headers, body) if handler else error(405, "MethodNotAllowed")
        print(f'"{method} {target} HTTP/1.1" {status} -', flush=True)
        if self.given.delay:
            time.sleep(self.given.delay / 1000)
        fields = {"Date": http_date(), "Content-Length": len(content)} | fields
        head = f"HTTP/1.1 {status} -\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n"
        return head.encode() + (b"" if method == "HEAD" else content)


class Body:
    """A body of a request, or of several parts; its bytes may be forgotten."""

    def __init__(self, length, pieces, tag):
        self.length, self.pieces, self.tag = length, pieces, f'"{tag}"'

    def bytes(self):
        if len(self.pieces) != 1:
            self.pieces = [b"".join(self.pieces)]
        return self.pieces[0] if self.pieces[0] or not self.length else bytes(self.length)

    @staticmethod
    def joined(parts):
        return Body(sum(part.length for part in parts), [piece for part in parts for piece in part.pieces], len(parts))


def document(name, content):
    return 200, {"Content-Type": "application/xml"}, f"<{name} {NAMESPACE}>{content}</{name}>".encode()


def error(status, code):
    return status, {"Content-Type": "application/xml"}, f"<Error><Code>{code}</Code></Error>".encode()


def http_date():
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())


class Connection(threading.Thread):
    def __init__(self, store, peer):
        super().__init__(daemon=True)
        self.store, self.socket, self.buffer = store, peer, b""
        self.piece = memoryview(bytearray(PIECE))

    def run(self):
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while head := self.head():
                method, target, headers = head
                if headers.get("expect"):
                    self.socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                self.socket.sendall(self.store.answer(method, target, headers, self.body(headers)))
        except (ConnectionError, ValueError):
            pass
        self.socket.close()

    def head(self):
        while b"\r\n\r\n" not in self.buffer:
            received = self.socket.recv(65536)
            if not received:
                return None
            self.buffer += received
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        fields = (line.partition(":") for line in lines)
        return method, target, {name.lower(): value.strip() for name, _, value in fields}

    def body(self, headers):
        length, given = int(headers.get("content-length", 0)), self.store.given
        digests = [hashlib.md5()] if given.digests else []
        if given.digests and len(headers.get("x-amz-content-sha256", "")) == 64:
            digests.append(hashlib.sha256())
        forgotten, pieces, done = given.discard and length > DISCARDED, [], 0
        while done < length:
            if self.buffer:
                count = min(len(self.buffer), length, PIECE)
                piece, self.buffer = memoryview(self.buffer)[:count], self.buffer[count:]
            else:
                count = self.socket.recv_into(self.piece, min(PIECE, length - done))
                piece = self.piece[:count]
            if not count:
                raise ConnectionError
            done += count
            self.store.pace(count)
            for digest in digests:
                digest.update(piece)
            if not forgotten:
                pieces.append(bytes(piece))
        return Body(length, [b""] if forgotten else [b"".join(pieces)], digests[0].hexdigest() if digests else length)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("--discard", action="store_true")
    parser.add_argument("--digests", action="store_true")
    parser.add_argument("--delay", type=float, default=0)
    parser.add_argument("--rate", type=float, default=0)
    store = Store(parser.parse_args())
    listener = socket.create_server(("127.0.0.1", store.given.port), backlog=128)
    print("ready", flush=True)
    while True:
        Connection(store, listener.accept()[0]).start()


if __name__ == "__main__":
    sys.exit(main())
