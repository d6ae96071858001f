"""docs/existing-ca.md: the registrar, asked by a server that is in wrong hands:
here this test, over the link that the server would have."""
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import struct
import subprocess
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import keys
from test_existing_ca import Corporate, make_ca
from world import DAEMON, ROOT, alive, run, until

MADE, REFUSED, WRONG, AWAY, LOST, PENDING, OURS = range(7)
KINDS = re.findall(r"X\((MM_IPC_\w+),",
                   (ROOT / "src/ipc/msg.h").read_text())
FORWARD = KINDS.index("MM_IPC_FORWARD") + 1


def text(s):
    s = s.encode()
    return struct.pack(">H", len(s)) + s


def block(b):
    return struct.pack(">I", len(b)) + b


class Registrar:
    """The real one, and the server's end of its link."""
    command = "registrar"

    def __init__(self, corp):
        self.corp, self.tag = corp, 0
        self.dir = corp.w.state / "registrar"
        self.sock, theirs = socket.socketpair(socket.AF_UNIX,
                                              socket.SOCK_SEQPACKET)
        self.sock.settimeout(60)
        self.log = open(corp.w.dir / "registrar.log", "ab")
        with theirs:
            self.p = subprocess.Popen(
                [DAEMON, self.command, "--config", corp.w.conf, "--control",
                 str(theirs.fileno())], pass_fds=[theirs.fileno()],
                stderr=self.log)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.sock.close()
        self.log.close()
        self.p.wait(30)

    def send(self, device, csr=None, profile="thermo", version=2,
             issuer="corporate", within=3):
        if csr is None:
            csr = keys.request(device)[1]
        self.tag += 1
        body = (text(issuer) + text(profile) + struct.pack(">I", version) +
                text(device) + text("thermo") + text("token:x") + b"\0" +
                os.urandom(16) + struct.pack(
                    ">Q", int((time.monotonic() + within) * 1000)) +
                block(csr))
        self.sock.send(struct.pack(">BBHI", 1, FORWARD, 1, self.tag) +
                       block(body))
        return self.tag

    def hear(self):
        got = self.sock.recv(1 << 17)
        assert got, self.said()
        version, kind, n, tag, size, rc, how, why_n = struct.unpack_from(
            ">BBHIIBBH", got)
        assert (version, kind, n, rc) == (1, FORWARD | 0x80, 1, 0)
        at = struct.calcsize(">BBHIIBBH")
        why = got[at:at + why_n].decode()
        (der_n,) = struct.unpack_from(">I", got, at + why_n)
        (self.retry_after,) = struct.unpack(">Q", got[-8:])
        return tag, how, why, got[at + why_n + 4:][:der_n]

    def ask(self, *args, **kw):
        tag = self.send(*args, **kw)
        got = self.hear()
        assert got[0] == tag
        return got[1:]

    def said(self):
        return pathlib.Path(self.log.name).read_text()

    def worker(self):
        pid = self.p.pid
        return int(until(pathlib.Path(
            f"/proc/{pid}/task/{pid}/children").read_text).split()[0])


@pytest.fixture(scope="module")
def corp():
    c = Corporate()
    try:
        yield c
    finally:
        c.w.close()


def request(cn="dev-1", extensions=(), attributes=()):
    b = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, cn)]))
    for e, critical in extensions:
        b = b.add_extension(e, critical)
    for oid, value in attributes:
        b = b.add_attribute(x509.ObjectIdentifier(oid), value)
    return b.sign(ec.generate_private_key(ec.SECP256R1()),
                  hashes.SHA256()).public_bytes(keys.DER)


def altered():
    csr = bytearray(keys.request("dev-1")[1])
    csr[-1] ^= 1
    return bytes(csr)


NO_CA = x509.BasicConstraints(ca=False, path_length=None)
REFUSALS = {
    "another device's name": {"csr": keys.request("dev-2")[1]},
    "a profile that is not": {"profile": "nosuch"},
    "another version of the profile": {"version": 1},
    "another issuer": {"issuer": "issuing"},
    "no request": {"csr": b"\x30\x00"},
    "no possession": {"csr": altered()},
    "no device's name": {"device": "../x"},
    "a server's purpose": {"csr": request(extensions=[(x509.ExtendedKeyUsage(
        [ExtendedKeyUsageOID.SERVER_AUTH]), False)])},
    "a CA's right": {"csr": request(extensions=[(x509.BasicConstraints(
        ca=True, path_length=None), True)])},
    "another's extension": {"csr": request(extensions=[
        (x509.UnrecognizedExtension(x509.ObjectIdentifier(
            "1.3.6.1.4.1.311.20.2"), b"\x1e\x02\x00A"), False)])},
    "another vendor's attribute": {"csr": request(attributes=[
        ("1.3.6.1.4.1.311.2.1.14", b"admin")])},
    "a challenge password": {"csr": request(attributes=[
        ("1.2.840.113549.1.9.7", b"secret")])},
}


def test_it_does_not_believe_the_server(corp):
    corp.mode("good")
    n = corp.asked()
    with Registrar(corp) as r:
        for what, kw in REFUSALS.items():
            how, why, _ = r.ask(**{"device": "dev-1", **kw})
            assert how == OURS and why, what
        assert corp.asked() == n
        how, why, der = r.ask("dev-1", request(extensions=[
            (NO_CA, True), (x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.CLIENT_AUTH]), False)]))
        assert how == MADE, why
        assert x509.load_der_x509_certificate(der).subject == x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, "dev-1")])
        # what is no question at all ends it, and nothing else
        r.sock.send(b"\x01\x01\x00\x00")
        assert r.p.wait(30) != 0
    with Registrar(corp) as r:
        assert r.ask("dev-1")[0] == MADE


@pytest.mark.parametrize("mode", ["zero", "der", "text"])
def test_text_and_der_are_told_apart(corp, mode):
    corp.mode(mode)
    with Registrar(corp) as r:
        how, why, _ = r.ask(f"form-{mode}")
        assert how == MADE, why


def test_what_is_wrong_stays_with_the_registrar(corp):
    """The key is the server's for all it knows: it gets a hash."""
    with Registrar(corp) as r:
        for mode in "purpose", "ca-true", "other-name":
            corp.mode(mode)
            how, why, der = r.ask(f"wrong-{mode}")
            assert how == WRONG and why and len(der) == 32, (mode, why)


def test_who_could_not_judge_the_answer_does_not_ask(corp):
    """Without the issuer's certificate; and nothing is spent."""
    corp.mode("good")
    n = corp.asked()
    crt = corp.d / "ca.crt"
    cnf = (corp.d / "ca.cnf").read_text()
    away = corp.d / "ca-moved.crt"  # the CA itself goes on
    away.write_bytes(crt.read_bytes())
    (corp.d / "ca.cnf").write_text(cnf.replace(str(crt), str(away)))
    with Registrar(corp) as r:
        crt.rename(corp.d / "gone.crt")
        try:
            for text in None, "none":
                if text:
                    crt.write_text(text)
                how, why, _ = r.ask("fault")
                assert how == AWAY and "the issuer's certificate" in why
            assert corp.asked() == n
        finally:
            (corp.d / "gone.crt").rename(crt)
            (corp.d / "ca.cnf").write_text(cnf)
        assert r.ask("fault")[0] == MADE
        assert corp.asked() == n + 1


def test_no_more_at_once_than_configured(corp):
    corp.mode("slow")
    n = corp.asked()
    with Registrar(corp) as r:
        sent = [r.send(f"once-{i}") for i in range(7)]
        got = [r.hear() for _ in range(3)]
        assert {g[1] for g in got} == {OURS}
        assert all("at_once" in g[2] for g in got)
        assert {g[0] for g in got} == set(sent[4:])
        until(lambda: corp.asked() - n == 4)


def test_who_comes_too_late_is_not_asked_for(corp):
    """Its server has given up by then: nothing is spent, and the next one
    is asked for as ever."""
    corp.mode("good")
    n = corp.asked()
    with Registrar(corp) as r:
        assert r.ask("early")[0] == MADE
        how, why, der = r.ask("late", within=-1)
        assert how == OURS and "too long" in why and not der
        assert r.retry_after > 0, "of no rule"
        # what lay in the link while the registrar was stopped
        os.kill(r.worker(), signal.SIGSTOP)
        tag = r.send("later", within=0.1)
        time.sleep(0.15)  # it is of a time that passes
        os.kill(r.worker(), signal.SIGCONT)
        assert r.hear()[:2] == (tag, OURS)
        assert r.ask("in-time")[0] == MADE
    assert corp.asked() == n + 2


def test_one_that_hangs_is_ended(corp):
    """With all that it had started; 0s: never."""
    corp.w.set_conf("watchdog", '"5s"')
    (corp.d / "escaped").unlink(missing_ok=True)
    corp.mode("escapes")
    with Registrar(corp) as r:
        r.send("hangs")
        program, worker = pid_in(corp.d / "escaped"), r.worker()
        os.kill(worker, signal.SIGSTOP)
        assert r.sock.recv(1 << 17) == b"", "the link ends"
        assert r.p.wait(30) == 128 + signal.SIGKILL
        assert not alive(worker) and not alive(program)
        assert re.search("event=child-hung child=registrar silent_ms=[5-9]",
                         r.said()), r.said()
    # and one that is asked to end and does not, sooner
    with Registrar(corp) as r:
        worker, before = r.worker(), len(r.said())
        until(lambda: r.ask("gone", version=1)[0] == OURS)
        os.kill(worker, signal.SIGSTOP)
        r.p.terminate()
        assert r.p.wait(4.9) != 0 and not alive(worker)
        said = r.said()[before:]
        assert said.count("event=child-late") == 1, said
        assert "child-hung" not in said, said


def left_over(corp):
    return list((corp.w.state / "registrar").glob("*.csr"))


def pid_in(path):
    until(lambda: path.exists() and path.read_text().strip())
    return int(path.read_text())


ENDS = {
    "asked to": lambda r: r.p.send_signal(signal.SIGTERM),
    "interrupted": lambda r: r.p.send_signal(signal.SIGINT),
    "killed": lambda r: os.kill(r.worker(), signal.SIGKILL),
    "its warden killed": lambda r: r.p.kill(),
    "its warden told of another end": lambda r: os.kill(r.worker(),
                                                        signal.SIGTERM),
    "the server gone": lambda r: r.sock.close(),
}


@pytest.mark.parametrize("end", ENDS)
def test_nothing_outlives_it(corp, end):
    for name in ("slow", "escaped"):
        (corp.d / name).unlink(missing_ok=True)
    # who has left the group is the warden's: without it nobody's
    corp.mode("slow" if end == "its warden killed" else "escapes")
    with Registrar(corp) as r:
        worker = r.worker()
        r.send(f"ends-{list(ENDS).index(end)}")
        pids = [worker, pid_in(corp.d / "slow")]
        if end != "its warden killed":
            pids.append(pid_in(corp.d / "escaped"))
        assert left_over(corp)
        ENDS[end](r)
        r.p.wait(30)
        until(lambda: not any(alive(p) for p in pids))
        until(lambda: not left_over(corp))


def test_what_a_switched_off_machine_left_is_removed(corp):
    corp.mode("good")
    folder = corp.w.state / "registrar"
    folder.mkdir(0o700, exist_ok=True)
    (folder / "7.csr").write_text("of one that ended")
    with Registrar(corp) as r:
        assert r.ask("swept")[0] == MADE
        assert not left_over(corp)
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_read_is_none(corp):
    folder = corp.w.state / "registrar"
    folder.mkdir(0o700, exist_ok=True)
    folder.chmod(0o755)
    try:
        with Registrar(corp) as r:
            assert r.p.wait(30) != 0
            assert "chmod 0700" in r.said()
    finally:
        folder.chmod(0o700)


def test_two_have_not_one_folder(corp):
    corp.mode("good")
    with Registrar(corp) as r:
        assert r.ask("first")[0] == MADE
        with Registrar(corp) as other:
            assert other.p.wait(60) != 0
            assert "another registrar" in other.said()


# ---- ceilings ----

@pytest.fixture(scope="module")
def few():
    c = Corporate()
    c.w.edit("\tper_day = 3\n\tversion = 2", "")
    try:
        yield c
    finally:
        c.w.close()


def test_a_ceiling_is_of_what_was_made_and_outlives_it(few):
    with Registrar(few) as r:
        for mode, want in (("later", AWAY), ("refuses", REFUSED)):
            few.mode(mode)
            for i in range(4):
                assert r.ask(f"{mode}-{i}")[0] == want
        few.mode("good")
        assert r.ask("c-1")[0] == MADE
        few.mode("falls")
        assert r.ask("c-2")[0] == LOST  # it may have been made
        os.kill(r.worker(), signal.SIGKILL)
    few.mode("good")
    n = few.asked()
    with Registrar(few) as r:
        assert r.ask("c-3")[0] == MADE
        how, why, _ = r.ask("c-4")
        assert how == OURS and "ceiling of 3 a day" in why
        r.p.kill()
    with Registrar(few) as r:
        assert r.ask("c-5")[0] == OURS
    assert few.asked() == n + 1
    # a count that cannot be read is not none
    used = few.w.state / "registrar/used.json"
    used.write_text("{")
    with Registrar(few) as r:
        assert r.p.wait(30) != 0
        assert "used.json cannot be read" in r.said()


# ---- a user of its own ----

USERS = ("nobody", "games")  # as test_two_users.py has them
REGISTRAR = "daemon"


@pytest.fixture(scope="module")
def third():
    if os.geteuid() != 0:
        pytest.skip("needs root")
    c = Corporate(users=USERS)
    c.w.set_conf("registrar_user", f'"{REGISTRAR}"')
    shutil.chown(c.d, REGISTRAR)
    for path in c.d.iterdir():
        shutil.chown(path, REGISTRAR)
    shutil.chown(c.program, "root")
    try:
        yield c.start()
    finally:
        c.w.close()


def as_user(user, *argv):
    return subprocess.run(["setpriv", "--reuid", user, "--clear-groups",
                           *map(str, argv)], capture_output=True)


def status_of(pid, name):
    return re.search(rf"(?m)^{name}:\s+(\S+)", pathlib.Path(
        f"/proc/{pid}/status").read_text())[1]


def test_what_the_program_has_is_out_of_the_servers_reach(third):
    w, uid = third.w, pwd.getpwnam(REGISTRAR).pw_uid
    until(lambda: "registrar" in w.children())
    assert third.enrol("third-1").status == 200
    warden = w.children()["registrar"]
    (worker,) = pathlib.Path(
        f"/proc/{warden}/task/{warden}/children").read_text().split()
    for pid in (warden, worker):
        assert status_of(pid, "Uid") == str(uid)
        assert status_of(pid, "NoNewPrivs") == "1"
        assert as_user(USERS[0], "kill", "-TERM", pid).returncode != 0
    folder = w.state / "registrar"
    assert folder.stat().st_uid == uid
    assert as_user(USERS[0], "ls", folder).returncode != 0
    assert as_user(USERS[0], "sh", "-c", f"echo >> {third.program}"
                   ).returncode != 0
    doctor = w.rest("GET", "/doctor").text
    assert "runs as the server's user" not in doctor


def test_who_can_run_the_program_is_the_registrar(third):
    conf = third.w.conf

    def check():
        return run(DAEMON, "check", "--config", conf, check=False).stderr
    assert "registrar" not in check()
    try:
        third.program.chmod(0o700)  # root's alone
        assert f"cannot be run by {REGISTRAR}" in check()
        third.program.chmod(0o755)
        shutil.chown(third.program, USERS[0])
        assert "others may change" in check()
        shutil.chown(third.program, "root")
        shutil.chown(third.d / "ca.crt", "root")
        (third.d / "ca.crt").chmod(0o600)
        assert "the issuer's certificate" in check()
    finally:
        third.program.chmod(0o755)
        shutil.chown(third.program, "root")
        shutil.chown(third.d / "ca.crt", REGISTRAR)
        (third.d / "ca.crt").chmod(0o644)


def test_one_user_for_both_is_said(third):
    w, before = third.w, third.w.conf.read_text()
    w.stop()
    w.conf.write_text(re.sub("(?m)^registrar_user.*$", 'registrar_user = ""',
                             before))
    shutil.rmtree(w.state / "registrar")
    for path in (third.d, *third.d.iterdir()):
        shutil.chown(path, USERS[0])
    shutil.chown(third.program, "root")
    w.start()
    assert "runs as the server's user" in w.rest("GET", "/doctor").text
    until(lambda: "registrar" in w.children())
    third.until_enrolled(w.token("third-2", door="bearer"),
                         w.key_and_csr("third-2")[1])


# ---- what a start, and "mintmarkd check", refuse ----

@pytest.fixture(scope="module")
def still():
    """Not started; with one's own issuer's name at another CA, too."""
    c = Corporate()
    own = keys.load(c.w.state / "signer/issuers/issuing.crt")
    name = "".join(f"/{k}={v}" for k, v in reversed(keys.subject(own)))
    make_ca(c.d, "namesake", name)
    assert keys.load(c.d / "namesake.crt").subject == own.subject
    try:
        yield c
    finally:
        c.w.close()


def changed(corp, change):
    text = corp.w.conf.read_text()
    conf = corp.w.etc / "changed.conf"
    conf.write_text(change(text))
    assert conf.read_text() != text
    return conf


def replaced(a, b):
    return lambda text: text.replace(a, b, 1)


def program(corp, name, mode):
    path = corp.d / name
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return str(path)


def in_an_open_folder(corp):
    (corp.d / "open-to-all").mkdir(exist_ok=True)
    (corp.d / "open-to-all").chmod(0o777)
    return program(corp, "open-to-all/ask", 0o755)


def executing(corp, path):
    return replaced(f'exec = {{"{corp.program}"', f'exec = {{"{path}"')


def in_production(text):
    """As one for real devices: server and signer are two users."""
    text = re.sub(r"(?m)^(server_user|signer_user|production|public_url|"
                  r"devices_url|ledger_origin|test)\b.*\n", "", text)
    return """production = true
server_user = "nobody"
signer_user = "daemon"
public_url = "http://ca.example.com"
devices_url = "https://est.example.com"
ledger_origin = "ca.example.com/ledger"
""" + text


WORDS = ", ".join(f'"w{i}"' for i in range(29))
WRONG_CONF = {
    "no such user": (lambda c: lambda t: 'registrar_user = "nosuch-user"\n' +
                     re.sub("(?m)^registrar_user.*\n", "", t), "no such user"),
    "no program": (lambda c: executing(c, c.d / "nosuch"), "No such file"),
    "a folder": (lambda c: executing(c, c.d), "is no program"),
    "not to be run": (lambda c: executing(c, program(c, "plain", 0o644)),
                      "cannot be run"),
    "another's to change": (
        lambda c: executing(c, program(c, "open", 0o775)),
        "others may change"),
    "in a folder that is another's to change": (
        lambda c: executing(c, in_an_open_folder(c)), "others may change"),
    "a folder of its own in the server's": (
        lambda c: lambda t: re.sub(
            "(?m)^registrar_dir = .*$", f'registrar_dir = "'
            f'{re.search("server_dir = .(.*).", t)[1]}/reg/"', t),
        "is in server_dir"),
    "set-user-ID": (lambda c: executing(c, program(c, "suid", 0o4755)),
                    "no sudo"),
    "too many words": (lambda c: executing(
        c, f'{c.program}", {WORDS}, "last'), "words"),
    "one name for two": (lambda c: replaced(f"{c.d}/ca.crt",
                                            f"{c.d}/namesake.crt"),
                         "subject of an existing CA"),
    "production without a user for it": (
        lambda c: lambda t: in_production(t), "a user of its own"),
    "production with the signer's user": (
        lambda c: lambda t: 'registrar_user = "daemon"\n' + re.sub(
            "(?m)^registrar_user.*\n", "", in_production(t)),
        "a user of its own"),
    "serverkeygen of who follows": (
        lambda c: lambda t: re.sub("(?m)^\\tserverkeygen.*\n", "", t).replace(
            'issuer "corporate" {', 'issuer "corporate" {\n\tfollows = '
            '"issuing"\n\tfollows_from = "2090-01-01T00:00:00Z"').replace(
            'issuer = "corporate"', 'issuer = "issuing"\n\tserverkeygen = '
            "true"), "keys are made on the device"),
}
AT_START = ["no such user", "too many words", "one name for two",
            "serverkeygen of who follows"]


@pytest.mark.parametrize("what", WRONG_CONF)
def test_check_says_what_cannot_work(still, what):
    change, says = WRONG_CONF[what]
    conf = changed(still, change(still))
    p = run(DAEMON, "check", "--config", conf, check=False)
    assert p.returncode != 0 and says in p.stderr, p.stdout + p.stderr
    if what in AT_START:
        p = run(DAEMON, "run", "--config", conf, check=False)
        assert p.returncode != 0 and says in p.stderr, p.stderr


def test_check_has_nothing_against_a_good_one(still):
    p = run(DAEMON, "check", "--config", still.w.conf, check=False)
    assert re.search(r"(?m)^registrar +ok$", p.stdout), p.stdout + p.stderr


# ---- the next one ----

def test_its_next_certificate_takes_its_place(still):
    w = still.w
    make_ca(still.d, "second", "/O=Corp/CN=Corp Devices 2")
    before = w.conf.read_text()

    def rollover(*more, check=False):
        return w.cli("ca", "rollover", "corporate", "--config", w.conf,
                     "--from", "2090-01-01T00:00:00Z", *more, check=check)
    for more, says in (((), "--certificate FILE"),
                       (("--certificate", "/nosuch.crt"), "whole path"),
                       (("--certificate", still.d / "second.crt", "--key",
                         "/x.key"), "existing CA")):
        p = rollover(*more)
        assert p.returncode != 0 and says in p.stderr, p.stderr
    p = w.cli("ca", "rollover", "issuing", "--config", w.conf, "--from",
              "now", "--certificate", still.d / "second.crt", check=False)
    assert p.returncode != 0 and "existing CA" in p.stderr
    assert w.conf.read_text() == before
    p = rollover("--certificate", still.d / "second.crt", check=True)
    assert "exec" in p.stdout and str(still.program) in p.stdout
    p = run(DAEMON, "check", "--config", w.conf, check=False)
    assert p.returncode == 0, p.stdout + p.stderr
    text = w.conf.read_text()
    assert 'issuer "corporate-2"' in text and 'follows = "corporate"' in text
    w.start()
    got = {i["name"]: i["state"] for i in w.rest("GET", "/issuers")
           .json["items"]}
    assert got["corporate"] == "issuing" and got["corporate-2"] == "next"
