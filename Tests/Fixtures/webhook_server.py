"""A receiver of webhooks for the tests of notifications, which also misbehaves.

usage: webhook_server.py [SECRET]

The path decides: /ok, /slow (never answers), /dead (closes the connection), /redirect, /error (500), /gone (410),
/flaky (500, then 200), /twice (500, 500, then 200) and /express (404, with the path in the answer). It prints
`port N`, `ready`, and for each request one line of JSON: the path, the headers, the body, and, with a SECRET, whether
the library standardwebhooks verifies it and whether GitHub's signature is right.
"""

import hashlib, hmac, http.server, json, sys, threading, time

SECRET = sys.argv[1] if len(sys.argv) > 1 else None
failures = {}


def verified(headers, body):
    from standardwebhooks import Webhook

    try:
        Webhook(SECRET).verify(body, {name.lower(): value for name, value in headers.items()})
        return True
    except Exception as error:
        return repr(error)


def github(headers, body):
    import base64

    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    return headers.get("X-Hub-Signature-256") == "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def do_GET(self):
        self.do_POST()

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        record = {"path": self.path, "headers": dict(self.headers), "body": body.decode()}
        if SECRET:
            record |= {"verified": verified(self.headers, body), "github": github(self.headers, body)}
        # In one piece: the lines of two threads would become one.
        print(json.dumps(record) + "\n", end="", flush=True)
        kind = self.path.split("?")[0].split("/")[1]
        if kind == "slow":
            time.sleep(3600)
        if kind == "dead":
            self.close_connection = True
            return
        if kind == "redirect":
            return self.answer(302, b"", {"Location": "/ok"})
        if kind == "express":
            page = f"<html>\n<pre>Cannot POST {self.path}</pre>\n</html>"
            return self.answer(404, page.encode())
        if kind == "flaky" and not failures.setdefault(self.path, False):
            failures[self.path] = True
            return self.answer(500, b"later")
        if kind == "twice" and failures.setdefault(kind, 0) < 2:
            failures[kind] += 1
            return self.answer(500, b"later")
        self.answer({"error": 500, "gone": 410}.get(kind, 200), b"thanks" if kind in ("ok", "twice") else b"no\x1b[31m thanks")

    def answer(self, status, body, headers={}):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print("port", server.server_address[1], flush=True)
print("ready", flush=True)
server.serve_forever()
