"""No secret in any log, database or ledger: planted ones are looked for."""
import base64
import os
import pathlib

import pytest

from tokens import parts
from world import World, basic_of, open_files


def everything(w):
    """All bytes that the server side left, but the sealed keys and what
    init gave to the administrator."""
    skip = {"admin.key", "passphrase", "tls.key"}
    for p in w.dir.rglob("*"):
        if p.is_file() and p.name not in skip and "keys" not in p.parts \
                and p.suffix not in (".token", ".key", ".csr"):
            yield p, p.read_bytes()


def test_secrets_are_nowhere():
    with World(profile="\tbearer = true") as w:
        w.start().product()
        bearer = w.token("L-1", door="bearer")
        plain = w.token("L-2")
        w.enrol_basic(bearer, w.key_and_csr("L-1")[1])
        w.enrol_basic(bearer, w.key_and_csr("L-1x")[1])
        w.device_call("GET", "/.well-known/est/cacerts?secret=hunter2hunter2")
        key = w.rest("POST", "/keys", {"name": "x", "roles": ["line"]}
                     ).json["key"]
        w.rest("GET", "/status", key=key)
        for t in (bearer["token"], plain["token"], key):
            w.rest("GET", f"/tokens/{t}")  # all that a person has
            w.rest("POST", f"/tokens/{t.upper()}/cancel")
            w.rest("GET", f"/status?key={t}")
            w.get_public(f"/{t}")
            w.device_call("GET", f"/.well-known/est/{t}/cacerts")
        w.stop()
        planted = {"passphrase": b"correct horse battery staple",
                   "admin key": w.admin_key.split("_", 2)[2].encode(),
                   "api key": key.split("_", 2)[2].encode(),
                   "query": b"hunter2hunter2"}
        for t in (bearer, plain):
            user, secret = basic_of(t["token"])
            raw = parts(t["token"])[2]
            planted[f"{user} text"] = secret.encode()
            planted[f"{user} shown"] = t["token"][-40:].encode()
            planted[f"{user} capitals"] = t["token"][-40:].upper().encode()
            planted[f"{user} raw"] = raw
            planted[f"{user} hex"] = raw.hex().encode()
            planted[f"{user} basic"] = base64.b64encode(
                f"{user}:{secret}".encode())[8:]
        found = [(str(p), what) for p, data in everything(w)
                 for what, secret in planted.items() if secret in data]
        assert not found, found


@pytest.mark.parametrize("number", ["stdin", "other"])
def test_the_passphrase_descriptor_stays_with_the_monitor(number):
    """A file can be read again; so it may not reach the server."""
    with World() as w:
        conf = w.conf.read_text().splitlines()
        w.conf.write_text("\n".join(
            x for x in conf if not x.startswith("passphrase_file")) + "\n")
        with open(w.passphrase) as f:
            fd = f.fileno()
            os.set_inheritable(fd, True)
            if number == "stdin":
                w.start(args=("--passphrase-fd", "0"), stdin=f)
            else:
                w.start(args=("--passphrase-fd", str(fd)), pass_fds=[fd])
        for pid in (w.daemon.pid, *w.children().values()):
            assert str(w.passphrase) not in open_files(pid), pid


def test_a_client_sees_the_request_id_that_the_log_has():
    with World() as w:
        w.start()
        a = w.device_call("GET", "/.well-known/est/cacerts")
        rid = a.headers["x-request-id"]
        w.stop()
        assert rid in w.log()


def test_a_hostile_name_forges_no_line():
    with World() as w:
        w.start().product()
        w.device_call("GET", "/x%0Atime%3Dnow%20level%3Derror%20forged")
        w.stop()
        assert not any(line.startswith("time=now") for line in
                       w.log().splitlines())


def test_the_signer_has_no_environment_of_others():
    with World() as w:
        w.start(env={"PGPASSWORD": "hunter2hunter2", "TZ": "UTC",
                     "LC_MESSAGES": "C"})
        env = pathlib.Path(
            f"/proc/{w.children()['signer']}/environ").read_bytes()
        names = {e.split(b"=")[0].decode() for e in env.split(b"\0") if e}
        assert {"TZ", "LC_MESSAGES"} <= names
        assert not {n for n in names if n in ("PGPASSWORD", "HOME", "PATH",
                                              "USER")}, names
