"""A signer of one's own: set up in a folder, spawned with socketpairs.

The codec is written again here, from ipc/msg.h, so that a mistake in the
program's own does not hide itself.
"""
import json
import os
import pathlib
import socket
import struct
import subprocess

KINDS = ["none", "hello", "issue", "possess", "token_mint", "token_psk",
         "token_check", "crl_begin", "crl_add", "crl_sign", "crl_read",
         "ledger_add", "ledger_sign", "outstanding", "status",
         "ledger_check", "order_sign", "duty_status", "duty_find",
         "line_make", "line_open", "duty_extend", "ocsp_start", "ocsp_sign",
         "config_sign", "duty_adopt", "duty_nonce", "duty_scrap"]
NUMBER = {name: n for n, name in enumerate(KINDS)}
for _first in ("ledger_check", "duty_nonce"):
    for _name in KINDS[KINDS.index(_first):]:
        NUMBER[_name] += 1  # deliver, forward are no requests to a signer
LINKS = {  # link: the kinds it carries
    "issue": {"hello", "issue", "possess", "duty_status", "duty_find",
              "duty_extend", "duty_adopt", "duty_nonce", "duty_scrap"},
    "ledger": {"hello", "ledger_add", "ledger_sign", "ledger_check",
               "outstanding", "status"},
    "ops": {"hello", "token_mint", "crl_begin", "crl_add", "crl_sign",
            "crl_read", "status", "order_sign", "line_make", "line_open"},
    "psk": {"hello", "token_psk"},
    "check": {"hello", "token_check"},
    "ocsp": {"ocsp_start", "ocsp_sign", "config_sign"},
}
# name: request, answer; a letter a field: b u8, i u32, q u64, t text,
# d bytes, or a number of fixed bytes.
FIELDS = {
    "hello": (["i"], ["t", 32, 32, "q", "q", "b", "b", 32, "t", 32, "d"]),
    "issue": (["t", "i", "t", "t", "t", "q", "b", "d"],
              ["q", 16, "q", "q", "i", "t", 32, "d", "d"]),
    "possess": (["d"], [32]),
    "token_mint": (["t"], [12, 20, 10]),
    "token_psk": ([12, "b"], [32]),
    "token_check": ([12, 20], ["b"]),
    "crl_begin": (["t", "q", "q", "q", "b", "d"], ["q"]),
    "crl_add": (["d"], ["q"]),
    "crl_sign": (["b"], ["q", 32]),
    "crl_read": (["q", "i"], ["d"]),
    "ledger_add": (["q", "d"], ["q"]),
    "ledger_sign": (["q"], ["q", 32, "d"]),
    "ledger_check": (["d"], ["q"]),
    "outstanding": (["q", "i"], ["i", "d"]),
    "order_sign": (["b", "d"], ["d"]),
    "duty_status": (["b"], ["t", "t", "q", "q", "q", "q", "q", "t", "b",
                            "t", "b", "q", "b"]),
    "duty_find": (["t", "t", 32], ["q", "t", "t", "d", "d"]),
    "duty_adopt": (["t", "d", "d", 32, "d", "d"], ["b"]),
    "duty_nonce": (["t"], [32]),
    "duty_scrap": (["t", 32], ["q", "q"]),
    "line_make": (["t", "t", "d", "d"], ["d", "d", "d"]),
    "line_open": (["t", "d", "d"], ["b"]),
    "duty_extend": (["t"], ["q", "q"]),
    "ocsp_start": (["t", "d", "d", "b"], ["q", 16, "q", "q", 32, 32]),
    "ocsp_sign": ([16, "d", "b", "b", "q", "q", "q", "d"], ["d"]),
    "config_sign": ([16, "t", 32, "q", 16, "d"], ["d"]),
    "status": (["b"], ["q", "q", "q", "q", "q", "b", "t", "q",
                       "q", "i", "t", "t", "i", "i", "b", "t", "t"]),
}
(OK, EINPUT, EAUTH, EPOLICY, ENOTFOUND, ECONFLICT, ELIMIT, ERATE,
 EAGAIN) = range(9)
ESTALE = 13
NONCES = 1 << 16  # in hello's version: who asks knows of duty_nonce


def encode(fields, values):
    out = b""
    for f, v in zip(fields, values, strict=True):
        if isinstance(f, int):
            assert len(v) == f
            out += v
        elif f == "t":
            v = v.encode() if isinstance(v, str) else v
            out += struct.pack(">H", len(v)) + v
        elif f == "d":
            out += struct.pack(">I", len(v)) + v
        else:
            out += struct.pack({"b": ">B", "i": ">I", "q": ">Q"}[f], v)
    return out


def decode(fields, data):
    out, at = [], 0
    for f in fields:
        if f == "t":
            n = struct.unpack_from(">H", data, at)[0]
            out.append(data[at + 2:at + 2 + n].decode())
            at += 2 + n
        elif f == "d":
            n = struct.unpack_from(">I", data, at)[0]
            out.append(data[at + 4:at + 4 + n])
            at += 4 + n
        elif isinstance(f, int):
            out.append(data[at:at + f])
            at += f
        else:
            form = {"b": ">B", "i": ">I", "q": ">Q"}[f]
            out.append(struct.unpack_from(form, data, at)[0])
            at += struct.calcsize(form)
    assert at == len(data), "answer has bytes left"
    return out


def body(kind, *values):
    return encode(FIELDS[kind][0], values)


def frame(kind, bodies, tags=None):
    number = NUMBER.get(kind, kind)
    out = struct.pack(">BBH", 1, number, len(bodies))
    for n, b in enumerate(bodies):
        tag = tags[n] if tags else n
        out += struct.pack(">II", tag, len(b)) + b
    return out


class Gone(Exception):
    pass


class Refused(Exception):
    def __init__(self, code, text):
        super().__init__(f"{code}: {text}")
        self.code, self.text = code, text


class Link:
    heard = bytearray()  # all that any signer ever said

    def __init__(self, role, sock):
        self.role, self.sock = role, sock
        sock.settimeout(20)

    def send(self, data):
        try:
            self.sock.send(data)
        except (BrokenPipeError, ConnectionResetError) as e:
            raise Gone from e

    def recv(self):
        """(kind, [(tag, body)]) of one answer frame."""
        try:
            data = self.sock.recv(200000)
        except ConnectionResetError as e:
            raise Gone from e
        if not data:
            raise Gone
        Link.heard += data
        version, kind, count = struct.unpack_from(">BBH", data)
        assert version == 1 and kind & 0x80 and len(data) <= 128 * 1024
        items, at = [], 4
        for _ in range(count):
            tag, n = struct.unpack_from(">II", data, at)
            items.append((tag, data[at + 8:at + 8 + n]))
            at += 8 + n
        assert at == len(data)
        return kind & 0x7f, items

    def raw(self, kind, bodies):
        """Bodies of all answers, in order, from as many frames as come."""
        self.send(frame(kind, bodies))
        out = []
        while len(out) < len(bodies):
            got, items = self.recv()
            assert got == NUMBER[kind]
            assert [t for t, _ in items] == list(
                range(len(out), len(out) + len(items)))
            out += [b for _, b in items]
        return out

    def many(self, kind, requests):
        return [self.parse(kind, b) for b in self.raw(
            kind, [body(kind, *r) for r in requests])]

    @staticmethod
    def parse(kind, b):
        if b[0] != OK:
            n = struct.unpack_from(">H", b, 1)[0]
            assert len(b) == 3 + n, "a refusal says nothing else"
            return Refused(b[0], b[3:].decode())
        return decode(FIELDS[kind][1], b[1:])

    def call(self, kind, *values):
        got = self.many(kind, [values])[0]
        if isinstance(got, Refused):
            raise got
        return got


CONF = """
name = "Acme"
production = false
server_dir = "{dir}/server"
signer_dir = "{dir}/signer"
database = "sqlite:{dir}/server/mm.db"
passphrase_file = "{dir}/pass"
tls_certificate = "{dir}/server/tls.crt"
tls_key = "{dir}/server/tls.key"
trust_anchor = "{dir}/server/root.crt"
ledger_origin = "localhost/ledger"
log_level = "debug"
issuer "issuing" {{
  certificate = "{dir}/server/issuing.crt"
  key = "{dir}/signer/keys/issuing.key"
}}
profile "plain" {{
  version = 1
  issuer = "issuing"
  lifetime = "30d"
}}
profile "few" {{
  version = 3
  issuer = "issuing"
  per_minute = 3
  per_day = 5
}}
profile "given" {{
  version = 1
  issuer = "issuing"
  serverkeygen = true
}}
"""


class Signer:
    def __init__(self, program, dir, edit=lambda conf: conf):
        self.program, self.dir = program, pathlib.Path(dir)
        self.conf = self.dir / "mintmark.conf"
        self.conf.write_text(edit(CONF.format(dir=dir)))
        (self.dir / "pass").write_text("a long enough passphrase\n")
        (self.dir / "pass").chmod(0o600)
        self.process, self.links = None, {}

    def command(self, *args, check=True):
        done = subprocess.run(
            [self.program, args[0], "--config", self.conf, *args[1:]],
            capture_output=True, text=True)
        if check:
            assert done.returncode == 0, done.stderr
        return done

    def init(self, *args):
        return json.loads(self.command("init", *args).stdout)

    def start(self, roles=("issue", "issue", "ledger", "ops", "psk", "check",
                           "ocsp"), before=()):
        """Runs it; before: a command in front (faketime)."""
        self.links, ends = {}, []
        for role in roles:
            ours, theirs = socket.socketpair(socket.AF_UNIX,
                                             socket.SOCK_SEQPACKET)
            self.links.setdefault(role, []).append(Link(role, ours))
            ends.append((role, theirs))
        text = ",".join(f"{r}:{s.fileno()}" for r, s in ends)
        self.log = open(self.dir / "log", "ab")
        self.process = subprocess.Popen(
            [*before, self.program, "run", "--config", self.conf, "--links",
             text], pass_fds=[s.fileno() for _, s in ends], stderr=self.log)
        for _, s in ends:
            s.close()
        return self

    def __getitem__(self, role):
        return self.links[role][0]

    def wait(self):
        return self.process.wait(timeout=30)

    def stop(self):
        """Closes the links: the signer must end well."""
        for links in self.links.values():
            for link in links:
                link.sock.close()
        self.links = {}
        rc = self.wait()
        self.log.close()
        return rc

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.links = {}

    def journal(self):
        path = self.dir / "signer/journal.jsonl"
        return [json.loads(x) for x in path.read_text().splitlines()]


class Requests:
    """Certification requests, made by openssl."""

    def __init__(self, dir):
        self.dir, self.n = pathlib.Path(dir), 0

    def make(self, algorithm="EC", option="ec_paramgen_curve:P-256"):
        self.n += 1
        key, out = self.dir / f"k{self.n}.pem", self.dir / f"r{self.n}.der"
        how = ["-pkeyopt", option] if option else []
        subprocess.run(["openssl", "req", "-new", "-newkey", algorithm, *how,
                        "-nodes", "-subj", "/CN=whoever", "-keyout", key,
                        "-outform", "DER", "-out", out], check=True,
                       capture_output=True)
        return out.read_bytes()


def entry(kind, device, serial=None, spki=None, profile="plain@1",
          node=None, issuer="issuing"):
    """A ledger entry as core writes it, keys in their order."""
    e = {"v": 1, "type": kind, "at": "2026-11-23T05:00:00.123Z",
         "time_source": "system", "actor": "token", "authority": "token:x",
         **({"device": device} if device else {}),
         **({"issuer": issuer} if issuer else {})}
    if serial:
        e["serial"] = serial.hex()
        e["cert_sha256"] = "00" * 32
    if spki:
        e["spki_sha256"] = spki.hex()
    if profile:
        e["profile"] = profile
    e["result"] = "ok"
    if node:
        e["node"] = node
    return json.dumps(e, separators=(",", ":")).encode()


def program():
    return os.environ["MM_SIGNER"]
