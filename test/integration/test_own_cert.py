"""docs/operators.md, "A certificate renews itself": the same credential with
another key, in the operator's own files."""
import datetime
import fcntl
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from test_operators import by_cert, pages, register
from world import MINT, World, run


@pytest.fixture
def ada(world, request):
    """A certificate that is in the last third of its life, with a context."""
    return holder(world, f"ada-{request.node.name}"[:60])


def spki(crt):
    pub = run("openssl", "x509", "-in", crt, "-noout", "-pubkey").stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"],
                         input=pub.encode(), capture_output=True,
                         check=True).stdout
    return subprocess.run(["sha256sum"], input=der, capture_output=True,
                          check=True).stdout.decode().split()[0]


def days(n):
    at = datetime.datetime.now(datetime.timezone.utc) + \
        datetime.timedelta(days=n)
    return at.strftime("%Y%m%d%H%M%SZ")


def made(w, name, before=20, after=10):
    """Self-signed, begun and ending so many days from now."""
    folder = w.dir / name
    folder.mkdir()
    crt, pem, csr = (folder / f"me.{e}" for e in ("crt", "key", "csr"))
    run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-keyout", pem, "-out", csr,
        "-subj", f"/O=Acme/CN={name}")
    (folder / "ca").mkdir()
    (folder / "ca/index").touch()
    (folder / "ca.cnf").write_text(
        f"[ca]\ndefault_ca=d\n[d]\ndatabase={folder}/ca/index\n"
        f"new_certs_dir={folder}/ca\nrand_serial=yes\ndefault_md=sha256\n"
        "policy=p\n[p]\nO=optional\nCN=supplied\n")
    run("openssl", "ca", "-batch", "-selfsign", "-config", folder / "ca.cnf",
        "-keyfile", pem, "-in", csr, "-out", crt, "-notext", "-startdate",
        days(-before), "-enddate", days(after))
    pem.chmod(0o600)
    csr.unlink()
    return folder, crt, pem


class Holder:
    def __init__(self, w, folder, crt, pem, key_id):
        self.w, self.folder, self.crt, self.pem = w, folder, crt, pem
        self.id = key_id

    def cli(self, *args, check=True):
        return run(MINT, "--context", self.folder / "context.json", *args,
                   check=check)

    def context(self, **more):
        (self.folder / "context.json").write_text(json.dumps(
            {"server": f"https://localhost:{self.w.operators}",
             "ca": str(self.w.anchor), "cert": "me.crt", "cert_key": "me.key"}
            | more))

    def record(self):
        return [k for k in self.w.rest("GET", "/keys?limit=1000")
                .json["items"] if k["id"] == self.id][0]

    def files(self):
        return {p.name for p in self.folder.iterdir()} - {"ca", "ca.cnf"}


def holder(w, name, before=20, after=10, roles=("admin",), **more):
    folder, crt, pem = made(w, name, before, after)
    a = register(w, name, crt, roles, **more)
    assert a.status == 201, a
    h = Holder(w, folder, crt, pem, a.json["id"])
    h.context()
    return h


def entries(w, kind, of):
    return [e["entry"] for e in pages(w, None, f"/ledger/entries?type={kind}",
                                      1000) if e["entry"].get("key") == of]


def next_of(w, name, end=365):
    """Another certificate as a thief would make it: its PEM and its files."""
    folder, crt, pem = made(w, name, 0, end)
    return folder, crt, pem


def renew(h, crt, by=None):
    return by_cert(h.w, *(by or (h.crt, h.pem)), "POST", "/whoami/renew",
                   {"certificate": crt.read_text()})


def test_a_command_renews_it(ada):
    before = ada.record()
    old = spki(ada.crt)
    kept = [(ada.folder / f"kept.{e}", p)
            for e, p in (("crt", ada.crt), ("key", ada.pem))]
    for copy, p in kept:
        copy.write_bytes(p.read_bytes())
        copy.chmod(0o600)
    p = ada.cli("status")
    assert p.stderr.count("renewed") == 1 and len(p.stderr.splitlines()) == 1
    after = ada.record()
    assert spki(ada.crt) != old and after["spki_sha256"] == spki(ada.crt)
    assert ada.pem.stat().st_mode & 0o777 == 0o600
    for same in ("id", "name", "roles", "created", "products", "sources"):
        assert after[same] == before[same]
    assert after["expires"] > before["expires"]
    assert "next_spki_sha256" not in after
    assert ada.files() == {"me.crt", "me.key", "me.crt.lock", "context.json",
                           "kept.crt", "kept.key"}
    subject = run("openssl", "x509", "-in", ada.crt, "-noout", "-subject",
                  "-ext", "extendedKeyUsage").stdout
    assert "Acme" in subject and "Client Auth" in subject
    # the one before is over, and nobody's any more
    crt, pem = kept[0][0], kept[1][0]
    assert by_cert(ada.w, crt, pem).status == 401
    assert register(ada.w, "again", crt).status == 409
    for kind in ("operator.renewed", "operator.confirmed"):
        told, = entries(ada.w, kind, ada.id)
        assert told["actor"] == ada.id and told["role"] == "admin"
        assert told["spki_sha256"] == after["spki_sha256"]
    assert ada.cli("status").stderr == ""
    ada.w.cli("ledger", "verify")


def test_the_record_says_what_it_is(world):
    """Neither name nor roles nor scope nor end are the request's."""
    h = holder(world, "renew-line", roles=["line"], products=["thermo"],
               sources=["127.0.0.1"])
    before = h.record()
    _, crt, pem = next_of(world, "Root of all", 36000)
    assert renew(h, crt).status == 200
    row = h.record()
    assert row["next_spki_sha256"] == spki(crt)
    assert row["expires"] == before["expires"]
    # both are good until the next one is used
    assert by_cert(world, h.crt, h.pem).status == 200
    a = by_cert(world, crt, pem)
    assert a.json["id"] == h.id and a.json["roles"] == ["line"]
    assert a.json["products"] == ["thermo"]
    assert a.json["name"] == "renew-line"
    life = datetime.timedelta(days=30)
    end = datetime.datetime.fromisoformat(a.json["expires"][:19])
    now = datetime.datetime.utcnow()
    assert abs(end - now - life) < datetime.timedelta(minutes=10)
    assert by_cert(world, h.crt, h.pem).status == 401


def test_too_soon(ada):
    _, one, _ = next_of(ada.w, "soon-1")
    _, two, _ = next_of(ada.w, "soon-2")
    assert renew(ada, one).status == 200
    assert renew(ada, one).status == 200  # the answer was lost
    a = renew(ada, two)
    assert a.status == 429 and "hour" in a.text
    assert ada.record()["next_spki_sha256"] == spki(one)
    assert len(entries(ada.w, "operator.renewed", ada.id)) == 1


def test_withdrawn_with_all_its_keys(ada):
    """Who stole the key renews it: the administrator ends both."""
    _, crt, pem = next_of(ada.w, "thief")
    assert renew(ada, crt).status == 200
    assert ada.w.rest("POST", f"/keys/{ada.id}/revoke", {}).status == 200
    for pair in ((ada.crt, ada.pem), (crt, pem)):
        assert by_cert(ada.w, *pair).status == 401
        assert renew(ada, crt, pair).status == 401
    p = ada.cli("key", "renew", check=False)
    assert p.returncode != 0 and spki(ada.crt) != spki(crt)
    assert register(ada.w, "thief", crt).status == 409


def test_it_is_the_same_person(ada):
    """Four eyes: a renewal makes nobody a second administrator."""
    _, crt, pem = next_of(ada.w, "second")
    assert renew(ada, crt).status == 200
    assert by_cert(ada.w, crt, pem).json["id"] == ada.id
    assert len([k for k in ada.w.rest("GET", "/keys?limit=1000").json["items"]
                if k["name"] == ada.record()["name"]]) == 1


def test_what_is_not_renewed(world):
    _, crt, _ = next_of(world, "refused")
    body = {"certificate": crt.read_text()}
    a = world.rest("POST", "/whoami/renew", body)
    assert a.status == 403 and "API key" in a.text
    p = world.cli("key", "renew", check=False)
    assert p.returncode != 0 and "API key is not renewed" in p.stderr
    fixed = holder(world, "renew-fixed", ttl="5d")
    a = renew(fixed, crt)
    assert a.status == 403 and "gave it an end" in a.text
    assert "renewable_until" not in by_cert(world, fixed.crt, fixed.pem).json
    p = fixed.cli("status")
    assert p.returncode == 0 and "does not renew it" in p.stderr
    assert fixed.files() == {"me.crt", "me.key", "me.crt.lock",
                             "context.json"}
    # a key that is not the caller's
    h = holder(world, "renew-proof")
    _, other, other_pem = next_of(world, "renew-issuer")
    csr = world.dir / "foreign.csr"
    run("openssl", "req", "-new", "-key", h.pem, "-subj", "/CN=x", "-out", csr)
    foreign = world.dir / "foreign.crt"
    run("openssl", "x509", "-req", "-in", csr, "-CA", other, "-CAkey",
        other_pem, "-days", "9", "-out", foreign)
    a = renew(h, foreign)
    assert a.status == 400 and "signed by its own key" in a.text
    assert renew(h, h.crt).status == 409
    assert "next_spki_sha256" not in h.record()


def test_not_for_ever():
    """operator_renew_days: however often somebody renews."""
    with World() as w:
        w.set_conf("operator_renew_days", 31)
        w.start()
        h = holder(w, "days", 60, 29)
        h.cli("key", "renew")
        end = datetime.datetime.fromisoformat(h.record()["expires"][:19])
        now = datetime.datetime.utcnow()
        assert datetime.timedelta(days=30) < end - now < \
            datetime.timedelta(days=32)
        p = h.cli("key", "renew", check=False)
        assert p.returncode != 0 and "does not renew it" in p.stderr
        w.cli("ledger", "verify")
        w.cli("ledger", "reconcile", "--config", w.conf)
        assert w.stop() == 0


def test_not_yet_and_not_wanted(world):
    early = holder(world, "renew-early", 9, 21)
    was = spki(early.crt)
    assert early.cli("status").stderr == "" and spki(early.crt) == was
    off = holder(world, "renew-off")
    off.context(renew=False)
    was = spki(off.crt)
    assert off.cli("status").stderr == "" and spki(off.crt) == was
    off.cli("key", "renew")
    assert spki(off.crt) == off.record()["spki_sha256"] != was
    assert off.cli("--quiet", "status").stderr == ""


def test_a_folder_that_cannot_be_written(ada):
    was = spki(ada.crt)
    (ada.folder / "me.crt.lock").mkdir()  # root may write everywhere
    p = ada.cli("status")
    assert "cannot be written" in p.stderr and spki(ada.crt) == was
    p = ada.cli("key", "renew", check=False)
    assert p.returncode != 0 and "cannot be written" in p.stderr


def test_others_use_it_meanwhile(ada):
    """A command that holds the lock is not cut off from the server."""
    was = spki(ada.crt)
    with open(ada.folder / "me.crt.lock", "w") as f:
        fcntl.flock(f, fcntl.LOCK_SH)
        assert ada.cli("status").stderr == "" and spki(ada.crt) == was
        p = ada.cli("key", "renew", check=False)
        assert p.returncode != 0 and "another command uses it" in p.stderr
    assert "renewed" in ada.cli("status").stderr


def test_many_at_once(ada):
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda _: ada.cli("status"), range(24)))
    assert sum("was renewed" in p.stderr for p in done) <= 1
    ada.cli("status")
    assert ada.record()["spki_sha256"] == spki(ada.crt)
    assert len(entries(ada.w, "operator.confirmed", ada.id)) == 1


def test_one_file(world):
    h = holder(world, "renew-one")
    h.crt.write_text(h.pem.read_text() + h.crt.read_text())
    h.crt.chmod(0o600)
    h.pem.unlink()
    h.context()
    text = json.loads((h.folder / "context.json").read_text())
    del text["cert_key"]
    (h.folder / "context.json").write_text(json.dumps(text))
    assert "renewed" in h.cli("status").stderr
    assert h.crt.stat().st_mode & 0o777 == 0o600
    assert h.files() == {"me.crt", "me.crt.lock", "context.json"}
    assert h.record()["spki_sha256"] == spki(h.crt)
    assert h.cli("status").stderr == ""


@pytest.mark.parametrize("at", ["offered", "half"])
def test_cut_off(ada, at):
    """Killed after the server knew, or between two renames."""
    folder, crt, pem = next_of(ada.w, f"cut-{at}")
    pem.rename(ada.folder / "me.key.next")
    if at == "half":
        assert renew(ada, crt).status == 200
        crt.rename(ada.crt)
        ada.cli("status")
        assert ada.record()["spki_sha256"] == spki(ada.crt)
    else:
        assert renew(ada, crt).status == 200
        p = ada.cli("status")
        assert "was renewed" in p.stderr, p.stderr
        assert ada.record()["spki_sha256"] == spki(crt) == spki(ada.crt)
    assert not (ada.folder / "me.key.next").exists()
