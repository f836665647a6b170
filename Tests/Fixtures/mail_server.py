"""A mail server for the tests of notifications: aiosmtpd, with TLS and a user.

usage: mail_server.py FOLDER [--tls starttls|implicit|none] [--user NAME PASSWORD] [--refuse ADDRESS] [--slow SECONDS]

FOLDER has good.pem, as transfer_server.py --certificates writes it. It prints `port N`, `ready`, and then for each
message one line of JSON: the envelope, whether it came encrypted, the user, the headers, and the two texts as Python's
own reader of mail understands them.
"""

import argparse, asyncio, email, email.policy, json, ssl, sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class Handler:
    def __init__(self, options):
        self.options = options

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address == self.options.refuse:
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        await asyncio.sleep(self.options.slow)
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        text, html = message.get_body(("plain",)), message.get_body(("html",))
        longest = max(len(line) for line in envelope.content.split(b"\r\n"))
        print(json.dumps({
            "from": envelope.mail_from, "to": envelope.rcpt_tos, "encrypted": session.ssl is not None or self.options.tls == "implicit",
            "user": session.auth_data.login.decode() if session.auth_data else None,
            "headers": [[name, str(value)] for name, value in message.items()],
            "defects": [str(defect) for part in message.walk() for defect in part.defects],
            "encodings": [part["Content-Transfer-Encoding"] for part in message.iter_parts()],
            "bare_line_ends": envelope.content.replace(b"\r\n", b"").count(b"\n"), "longest_line": longest,
            "text": text.get_content().replace("\r\n", "\n"), "html": html.get_content(),
        }), flush=True)
        return "250 Message accepted as 42"


async def main(options):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    if options.tls != "none":
        context.load_cert_chain(f"{options.folder}/good.pem")

    def authenticate(server, session, envelope, mechanism, data):
        wanted = LoginPassword(*(text.encode() for text in options.user))
        return AuthResult(success=isinstance(data, LoginPassword) and data == wanted, handled=False, auth_data=data)

    def make():
        return SMTP(
            Handler(options), hostname="mail.test", tls_context=context if options.tls == "starttls" else None,
            require_starttls=options.tls == "starttls", authenticator=authenticate if options.user else None,
            auth_required=bool(options.user), auth_require_tls=options.tls == "starttls")

    server = await asyncio.get_running_loop().create_server(
        make, "127.0.0.1", 0, ssl=context if options.tls == "implicit" else None)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    print("ready", flush=True)
    await server.serve_forever()


parser = argparse.ArgumentParser()
parser.add_argument("folder")
parser.add_argument("--tls", default="starttls")
parser.add_argument("--user", nargs=2)
parser.add_argument("--refuse")
parser.add_argument("--slow", type=float, default=0)
asyncio.run(main(parser.parse_args()))
