"""A mail server for tests: takes mail on a free port of this machine and writes down what it took, one JSON object a line.

usage: smtp.py starttls|implicit|plain CERTIFICATE FILE. Prints its port, and runs until it is ended.

What a recipient's name begins with says what becomes of the mail: `bounce` and `grey` are refused when they are named, `never`
and `later` behind the text; behind the text of `cut` the connection ends without an answer, of `hang` there is none.
"""

import asyncio
import email
import email.policy
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

MODE, CERTIFICATE, FILE = sys.argv[1:4]


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("bounce"):
            return "550 5.1.1 no such user"
        if address.startswith("grey"):
            return "451 4.7.1 greylisted, try later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        seen = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "headers": [[name, str(value)] for name, value in mail.items()],
            "text": mail.get_content(),
            "raw": envelope.content.decode("latin-1"),
            "tls": server.transport.get_extra_info("ssl_object") is not None,
            "user": session.auth_data,
            "hello": session.host_name,
        }
        with open(FILE, "a") as file:
            file.write(json.dumps(seen) + "\n")
        names = [address.split("@")[0] for address in envelope.rcpt_tos]
        if "never" in names:
            return "554 5.7.1 not this text"
        if "later" in names:
            return "452 4.3.1 no room"
        if "cut" in names:
            server.transport.abort()
        if "hang" in names:
            await asyncio.sleep(3600)
        return "250 OK"


def authenticator(server, session, envelope, mechanism, data):
    right = data.login == b"provost" and data.password == b"pw-s3cr3t"
    return AuthResult(success=right, handled=False, auth_data=data.login.decode() if right else None)


async def main():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    settings = {"hostname": "mail.example"}
    if MODE == "starttls":
        settings |= {"tls_context": context, "require_starttls": True, "auth_require_tls": True}
    if MODE != "plain":
        settings |= {"authenticator": authenticator, "auth_required": True}
    if MODE == "implicit":
        settings |= {"auth_require_tls": False}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(Handler(), loop=loop, **settings),
        "127.0.0.1",
        0,
        ssl=context if MODE == "implicit" else None,
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
