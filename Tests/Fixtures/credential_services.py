"""Small stand-ins for STS, the container service and the instance metadata service of AWS.

Prints its URL and "ready", then one line a request: method, path and what matters of its headers. Ends with the
process that started it. Each credential that it gives out has a number in its key, so that tests see a new one.
"""

import datetime
import http.server
import itertools
import json
import os
import threading
import time
import urllib.parse

numbers = itertools.count(1)


def expiration(seconds):
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def keys(kind):
    number = next(numbers)
    return {
        "AccessKeyId": "%s-key-%d" % (kind, number),
        "SecretAccessKey": "%s-secret" % kind,
        "Token": "%s-token" % kind,
        "Expiration": expiration(3600),
        "Code": "Success",
    }


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, status, body=b"", kind="text/plain"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def say(self, *words):
        # In one piece: the lines of two threads would become one.
        print(" ".join([self.command, self.path, *words]) + "\n", end="", flush=True)

    def do_PUT(self):
        ttl = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds")
        self.say("ttl", ttl)
        self.answer(200 if ttl else 400, b"imds-token")

    def do_GET(self):
        if self.path.startswith("/latest/meta-data/iam/security-credentials/"):
            self.metadata()
        elif self.path == "/container":
            self.say(self.headers.get("Authorization"))
            good = self.headers.get("Authorization") == "pod-token"
            self.answer(200 if good else 401, json.dumps(keys("container")).encode() if good else b"secret words")
        else:
            self.answer(404)

    def metadata(self):
        self.say(self.headers.get("X-aws-ec2-metadata-token"))
        role = self.path.rsplit("/", 1)[1]
        if self.headers.get("X-aws-ec2-metadata-token") != "imds-token":
            self.answer(401)
        elif not role:
            self.answer(200, b"my-role")
        else:
            self.answer(200 if role == "my-role" else 404, json.dumps(keys("instance")).encode())

    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        form = {name: values[0] for name, values in form.items()}
        self.say(form["Action"], form["RoleArn"], form["WebIdentityToken"])
        if form["WebIdentityToken"] == "old":
            body = "<ErrorResponse><Error><Code>ExpiredTokenException</Code><Message>token old</Message></Error></ErrorResponse>"
            self.answer(400, body.encode())
            return
        values = keys("sts")
        values["SessionToken"] = values.pop("Token")
        inner = "".join("<%s>%s</%s>" % (name, value, name) for name, value in values.items())
        body = (
            '<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
            "<AssumeRoleWithWebIdentityResult><Credentials>%s</Credentials></AssumeRoleWithWebIdentityResult>"
            "</AssumeRoleWithWebIdentityResponse>" % inner
        )
        self.answer(200, body.encode(), "text/xml")


def end_with_parent(parent):
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)


threading.Thread(target=end_with_parent, args=(os.getppid(),), daemon=True).start()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("http://127.0.0.1:%d" % server.server_address[1])
print("ready", flush=True)
server.serve_forever()
