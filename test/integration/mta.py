"""A mail server that keeps what it is given, with faults: RFC 5321 as far as
a client that sends goes, with STARTTLS (RFC 3207) or TLS from the first byte.
"""
import email
import email.policy
import socketserver
import ssl
import threading
import time


class Mail:
    def __init__(self, sender, to, data):
        self.sender, self.to, self.data = sender, to, data
        self.at = time.monotonic()
        self.message = email.message_from_bytes(
            data, policy=email.policy.default)

    def __getitem__(self, name):
        return self.message[name]

    @property
    def text(self):
        return self.message.get_content()


class Session(socketserver.StreamRequestHandler):
    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")
        self.wfile.flush()

    def setup(self):
        self.encrypted = False
        if self.server.mta.smtps:
            self.request = self.server.mta.context.wrap_socket(
                self.request, server_side=True)
            self.encrypted = True
        super().setup()

    def handle(self):
        mta = self.server.mta
        self.sender, self.to = None, []
        if mta.mute:
            return mta.done.wait(60)
        self.say("220 mail.test ESMTP")
        while line := self.rfile.readline():
            verb = line.split(b" ")[0].strip().upper().decode()
            mta.heard.append(line.decode().strip())
            if verb == "QUIT":
                return self.say("221 bye")
            if not self.do(mta, verb, line.decode().strip()):
                return None
        return None

    def do(self, mta, verb, line):
        if verb == "EHLO":
            self.say("250-mail.test")
            if mta.context and not self.encrypted:
                self.say("250-STARTTLS")
            self.say("250 SIZE 10000000")
        elif verb == "STARTTLS":
            self.say("220 go on")
            self.request = mta.context.wrap_socket(self.request,
                                                   server_side=True)
            self.encrypted = True
            socketserver.StreamRequestHandler.setup(self)
        elif verb in ("MAIL", "RCPT"):
            self.address(mta, verb, line)
        elif verb == "DATA":
            return self.data(mta)
        else:
            self.say("500 what?")
        return True

    def address(self, mta, verb, line):
        who = line[line.index("<") + 1:line.index(">")]
        if who in mta.refuse:
            return self.say("550 5.1.1 no such user\tor so")
        if verb == "MAIL":
            self.sender = who
        else:
            self.to.append(who)
        return self.say("250 ok")

    def data(self, mta):
        self.say("354 go on")
        body = b""
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                return False
            body += line[1:] if line.startswith(b".") else line
        mta.mails.append(Mail(self.sender, self.to, body))
        mta.encrypted.append(self.encrypted)
        if mta.hang.is_set():  # it has the mail, and says nothing
            mta.hung.set()
            mta.done.wait(60)
            return False
        self.say("451 later" if mta.later else "250 taken")
        return True


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


class Mta:
    """As a context manager; mails: what it was given."""

    def __init__(self, cert=None, key=None, smtps=False):
        self.mails, self.heard, self.encrypted = [], [], []
        self.refuse, self.later, self.smtps = set(), False, smtps
        self.hang, self.hung, self.done = (threading.Event()
                                           for _ in range(3))
        self.mute = False  # does not even greet
        self.context = None
        if cert:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(cert, key)
        self.server = Server(("127.0.0.1", 0), Session)
        self.server.mta = self
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()

    def about(self, word):
        return [m for m in self.mails if word in m["Subject"]]

    def close(self):
        self.done.set()
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
