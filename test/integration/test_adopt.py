"""A station's disk dies after PASS: its boards are taken over by another
station of the batch, or by the same one put up from an older copy; each only
if it is of the batch, proves it and has its place in the share, and each
waits for a supervisor, at the station and at the centre."""
import contextlib
import hashlib
import json
import pathlib
import shutil
import sys

import pytest

from screen import DOORS, Running
from station import Station
from test_line_cas import add_lines
from test_offline_order import Line, Lone
from world import ROOT, SIGNER, World, run, until

sys.path.append(str(ROOT / "test/interop"))
import smpline  # noqa: E402

LEAKS = True


@pytest.fixture(scope="module")
def centre():
    with World() as world:
        add_lines(world)
        yield Line(world)


class Pair:
    """Two stations of one batch, each with a line CA of its own."""

    def __init__(self, centre, folder, batch, shares=(3, 2), *more):
        self.centre, self.w, self.batch = centre, centre.w, batch
        names = [f"{batch}-a", f"{batch}-b"]
        self.a, self.b = (Lone(centre.w, folder / n, n) for n in names)
        self.w.cli("batch", "create", "--id", batch, "--product", "thermo",
                   "--quantity", sum(shares), "--until", "30d", "--serials",
                   f"{batch.upper()}-{{01..09}}", "--mode", "offline",
                   "--shares", ",".join(
                       f"{n}={k}" for n, k in zip(names, shares)), *more)
        self.orders = [self.order(s) for s in (self.a, self.b)]
        for s, order in zip((self.a, self.b), self.orders):
            s.imports(order)
            self.w.cli("station", "trust", s.name, s.made["ledger_key"])

    def order(self, s, *more):
        out = s.dir / "order.json"
        self.w.cli("batch", "order", self.batch, "--station", s.name,
                   "--recipient", s.transport, "--out", out, *more)
        return out

    def serial(self, n):
        return f"{self.batch.upper()}-{n:02}"

    def made_at(self, s, n, to):
        """A unit, whose board then is in the other one's fixture."""
        s.unplug()
        (s.boards / "SIM-0001.flash").unlink(missing_ok=True)
        s.plug().passes(self.serial(n))
        lock(s)
        move(s, to)

    def export(self, s, name="out.jsonl"):
        run(*s.argv("export", "--out", s.dir / name))
        return s.dir / name

    def sync(self, s, path):
        p = self.w.cli("--json", "station", "sync", s.name, path, check=False)
        return p.returncode, json.loads(p.stdout)

    def close(self):
        self.a.close()
        self.b.close()


def move(s, to):
    for x in (s, to):
        x.unplug()
    shutil.move(s.boards / "SIM-0001.flash", to.boards / "SIM-0001.flash")
    to.plug()


def lock(s):
    """As a production order has it; a test order leaves boards open."""
    with contextlib.closing(smpline.Line(s.port(1))) as line:
        cert, _ = smpline.read_back(line)
        assert line.tell("lock", cert=hashlib.sha256(cert).digest()) == {}
    # a terminal that was closed is a line that was pulled
    s.unplug()
    s.plug()


def die(s):
    """Its disk, with all that was its own."""
    for name in ("state", "own"):
        shutil.rmtree(s.dir / name)


def adopt(s, serial, fixture="f1"):
    p = run(*s.argv("adopt", "--serial", serial, "--fixture", fixture,
                    "--json"), check=False)
    return p.returncode, json.loads(p.stdout)


def release(s, serial):
    run(*s.argv("release", "--serial", serial))


def counted(s):
    return json.loads(run(*s.argv("status", "--json")).stdout)[
        "order"]["counted"]


def entries(path, kind):
    lines = [json.loads(x) for x in path.read_text().splitlines()[1:-1]]
    return [e for e in (json.loads(x["entry"]) for x in lines)
            if e["type"] == kind]


def test_a_disk_died_after_pass(centre, tmp_path):
    w, x = centre.w, Pair(centre, tmp_path, "ada")
    try:
        x.made_at(x.a, 1, x.b)
        late = x.export(x.a)
        text = late.read_bytes()
        die(x.a)
        # a scan makes nothing of it, and counts nothing
        code, a = x.b.provision("ADA-01")
        assert (code, a["reason"]) == (3, "unknown-certificate"), a
        assert counted(x.b) == 0 and x.b.signed() == []
        # what is taken over is counted and waits
        code, a = adopt(x.b, "ADA-01")
        assert (code, a["reason"]) == (22, "adopted"), a
        assert counted(x.b) == 1
        (line,) = x.b.signed()
        assert line["issuer"].startswith("ada-a-"), line
        assert not (x.b.dir / "state/records/ada-01.json").exists()
        for what in (adopt, lambda s, n: s.provision(n)):
            code, a = what(x.b, "ADA-01")
            assert (code, a["reason"]) == (22, "held"), a
        assert counted(x.b) == 1
        # a supervisor lets this very board go on
        release(x.b, "ADA-01")
        x.b.passes("ADA-01")
        assert x.b.fact("ADA-01", "adopted") == x.b.name
        assert x.b.fact("ADA-01", "lock_state") == "locked"
        assert "ada-a-" in x.b.fact("ADA-01", "issuer")
        assert counted(x.b) == 1
        w.cli("device", "birth-record", "--verify",
              x.b.dir / "state/records/ada-01.json", "--key",
              x.b.made["ledger_key"], "--root", w.anchor)
        for what in (lambda: x.b.provision("ADA-01"),
                     lambda: adopt(x.b, "ADA-01")):
            code, a = what()
            assert code == 0 and a["result"] == "passed", a
        # the ledger says what it is, once
        path = x.export(x.b)
        (e,) = entries(path, "certificate.adopted")
        assert e["action"] == "signer-nonce", e
        assert (e["device"], e["station"], e["issuer"]) == (
            "ADA-01", x.b.name, line["issuer"]), e
        assert entries(path, "certificate.issued") == []
        assert len(entries(path, "certificate.confirmed")) == 1
        p = w.cli("line", "check", path, *x.orders, "--key",
                  x.b.made["ledger_key"], check=False)
        assert p.returncode == 3 and "taken over" in p.stdout, p
        # at the centre it waits for another one
        code, out = x.sync(x.b, path)
        (q,) = out["quarantined"]
        assert code == 3 and (q["fault"], q["acceptable"]) == (
            "adopted", "yes"), q
        assert w.rest("GET", "/devices/ADA-01").status == 404
        p = w.cli("--json", "station", "quarantine", x.b.name, "--accept",
                  q["serial"], "--reason", "its disk died")
        assert '"confirmed": true' in p.stdout, p
        (cert,) = w.rest("GET", "/certificates?device=ADA-01").json["items"]
        assert (cert["serial"], cert["state"]) == (q["serial"], "confirmed")
        record = json.loads(w.cli("--json", "device", "birth-record",
                                  "ADA-01").stdout)
        assert record["facts"]["adopted"]["value"] == x.b.name, record
        agree(w)
        # a copy of the dead disk turns up: the same again is nothing new
        late.parent.mkdir(exist_ok=True)
        late.write_bytes(text)
        code, out = x.sync(x.a, late)
        assert (code, out["unchanged"], out["issued"]) == (0, 2, 0), out
        assert out["quarantined"] == [], out
        assert len(w.rest("GET", "/certificates?device=ADA-01").json[
            "items"]) == 1
        agree(w)
    finally:
        x.close()


def agree(w):
    out = json.loads(w.cli("--json", "ledger", "reconcile", "--config",
                           w.conf).stdout)
    assert out["agree"], out


def test_the_copy_comes_first(centre, tmp_path):
    """What was put aside is settled when the dead station's own ledger has
    brought it meanwhile."""
    w, x = centre.w, Pair(centre, tmp_path, "adb")
    try:
        x.made_at(x.a, 1, x.b)
        late = x.export(x.a)
        code, a = adopt(x.b, "ADB-01")
        assert (code, a["reason"]) == (22, "adopted"), a
        code, out = x.sync(x.b, x.export(x.b))
        (q,) = out["quarantined"]
        code, out = x.sync(x.a, late)
        assert (code, out["issued"], out["confirmed"]) == (0, 1, 1), out
        p = w.cli("station", "quarantine", x.b.name, "--accept", q["serial"],
                  "--reason", "the copy was found", check=False)
        assert p.returncode == 5 and "is in force" in p.stderr, p
        w.cli("station", "quarantine", x.b.name, "--reject", q["serial"],
              "--reason", "the copy was found")
        (cert,) = w.rest("GET", "/certificates?device=ADB-01").json["items"]
        assert cert["state"] == "confirmed", cert
        assert w.rest("GET", f"/stations/{x.b.name}").json["quarantined"] == 0
        agree(w)
    finally:
        x.close()


def test_what_is_not_of_the_batch(centre, tmp_path):
    x = Pair(centre, tmp_path, "adc")
    y = Pair(centre, tmp_path, "add")
    try:
        # another batch's, whatever label it is under
        y.made_at(y.a, 1, x.b)
        code, a = adopt(x.b, "ADC-01")
        assert (code, a["reason"]) == (3, "foreign-certificate"), a
        assert "none of batch adc" in a["note"], a
        code, a = adopt(x.b, "ADD-01")
        assert (code, a["reason"]) == (3, "bad-serial"), a
        # the batch's, and another label's
        x.made_at(x.a, 1, x.b)
        code, a = adopt(x.b, "ADC-02")
        assert (code, a["reason"]) == (3, "foreign-certificate"), a
        # nothing on it
        x.b.unplug()
        x.b.blank(1)
        x.b.plug()
        code, a = adopt(x.b, "ADC-03")
        assert (code, a["reason"]) == (3, "no-certificate"), a
        assert counted(x.b) == 0 and x.b.signed() == []
        # and its label is not used up
        x.b.passes("ADC-03")
    finally:
        x.close()
        y.close()


def test_share_and_window(centre, tmp_path):
    w, x = centre.w, Pair(centre, tmp_path, "ade", (3, 1))
    try:
        x.made_at(x.a, 1, x.b)
        move(x.b, x.a)
        x.a.unplug()
        shutil.move(x.a.boards / "SIM-0001.flash", tmp_path / "one")
        x.b.plug().passes("ADE-02")
        x.b.unplug()
        shutil.copy(tmp_path / "one", x.b.boards / "SIM-0001.flash")
        x.b.plug()
        code, a = adopt(x.b, "ADE-01")
        assert (code, a["reason"]) == (1, "quota-gone"), a
        # more of it, and no time for it
        for what, body in (("extend", {"reason": "more", "quantity": 5}),
                           ("shares", {"shares": [
                               {"station": "ade-a", "share": 3},
                               {"station": "ade-b", "share": 2}]})):
            assert w.rest("POST", f"/batches/ade/{what}", body).status == 200
        w.cli("batch", "pause", "ade", "--reason", "audit")
        x.b.imports(x.order(x.b))
        code, a = adopt(x.b, "ADE-01")
        assert (code, a["reason"]) == (3, "order"), a
        assert "paused" in a["note"], a
        w.cli("batch", "open", "ade", "--reason", "audited")
        x.b.imports(x.order(x.b))
        code, a = adopt(x.b, "ADE-01")
        assert (code, a["reason"]) == (22, "adopted"), a
        assert counted(x.b) == 2
    finally:
        x.close()


def test_a_board_that_does_not_prove_it(centre, tmp_path, hostile_input):
    """A maker's own program speaks to it, at both stations."""
    x = Pair(centre, tmp_path, "adg")
    board = tmp_path / "board"
    board.mkdir()
    here = pathlib.Path(__file__).with_name("exec_board.py")
    for s in (x.a, x.b):
        with open(s.conf, "a") as f:
            f.write(f'fixture "x" {{\n\tdriver = exec\n\tport = "{board}"\n'
                    f'\tprogram = {{"/usr/bin/python3", "{here}"}}\n}}\n')
    try:
        x.a.passes("ADG-01", "x")
        was = (board / "key").read_bytes()
        for mood, want in (
                ("prove lie", (20, "bad-proof")),
                ("get garbage", (20, "driver-failed")),
                ("get fail", (20, "no-room")),
                # what it proves itself over is gone with the signer
                ("prove renew", (7, "proof-late"))):
            (board / "mood").write_text(mood)
            code, a = adopt(x.b, "ADG-01", "x")
            assert (code, a["reason"]) == want, a
        (board / "mood").unlink()
        # another key than the certificate's: it says another hash, too
        run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-out", board / "key")
        code, a = adopt(x.b, "ADG-01", "x")
        assert (code, a["reason"]) == (20, "bad-proof"), a
        assert counted(x.b) == 0
        (board / "key").write_bytes(was)
        with older_signer(x.b):
            p = run(*x.b.argv("adopt", "--serial", "ADG-01", "--fixture", "x",
                              "--json"), check=False)
            a = json.loads(p.stdout)
            assert (p.returncode, a["reason"]) == (1, "signer"), a
            assert "signer is older than its program" in p.stdout + p.stderr, p
        code, a = adopt(x.b, "ADG-01", "x")
        assert (code, a["reason"]) == (22, "adopted"), a
        release(x.b, "ADG-01")
        x.b.passes("ADG-01", "x")
    finally:
        x.close()


@contextlib.contextmanager
def older_signer(station):
    """Of before there were nonces; the program is of today."""
    program = station.dir / "older-signer"
    program.write_text(pathlib.Path(__file__).with_name(
        "older_signer.py").read_text().replace("@SIGNER@", str(SIGNER)))
    program.chmod(0o755)
    was = station.conf.read_text()
    station.conf.write_text(was.replace(str(SIGNER), str(program)))
    yield
    station.conf.write_text(was)


def test_by_the_screen_and_the_api(centre, tmp_path):
    """What is typed, and what a test program asks."""
    x = Pair(centre, tmp_path, "adh")
    try:
        x.made_at(x.a, 1, x.b)
        with open(x.b.conf, "a") as f:
            f.write(DOORS)
        key = json.loads(run(*x.b.argv("api-key", "--name", "mes",
                                       "--json")).stdout)["key"]
        with Running(x.b) as r:
            a = r.call("POST", "/api/v1/units/ADH-02/adopt?wait=60",
                       {"fixture": "f1"}, key)
            assert a.status == 200, a
            assert a.json["reason"] == "foreign-certificate", a.json
            a = r.call("POST", "/api/v1/units/ADH-01/adopt",
                       {"fixture": "none"}, key)
            assert a.status == 404, a
            assert r.call("POST", "/api/v1/units/ADH-01/adopt",
                          {}, key).status == 400
            assert r.call("POST", "/api/v1/scan", {
                "text": "adopt f1 ADH-01"}, key).status == 202
            got = until(lambda: (a := r.call(
                "GET", "/api/v1/units/ADH-01?wait=60", key=key)).status == 200
                and a.json)
            assert (got["result"], got["reason"]) == (
                "quarantined", "adopted"), got
            a = r.call("POST", "/api/v1/units/ADH-01/adopt?wait=60",
                       {"fixture": "f1"}, key)
            assert (a.status, a.json["reason"]) == (409, "held"), a
    finally:
        x.close()


def test_a_station_put_up_from_an_older_copy(centre, tmp_path):
    """The same name, signer and CA, of before the unit: it knows nothing of
    it, and the centre had not heard of it."""
    w, x = centre.w, Pair(centre, tmp_path, "adf")
    try:
        x.b.plug().passes("ADF-01")
        for name in ("state", "own"):
            shutil.copytree(x.b.dir / name, tmp_path / "copy" / name)
        x.b.unplug()
        x.b.blank(1)
        x.b.plug().passes("ADF-02")
        *_, lost = x.b.signed()
        lock(x.b)
        die(x.b)
        shutil.copytree(tmp_path / "copy", x.b.dir, dirs_exist_ok=True)
        code, a = x.b.provision("ADF-02")
        assert (code, a["reason"]) == (3, "unknown-certificate"), a
        # what the last sync said is revoked is not taken over
        news = x.b.dir / "state/revocations" / lost["issuer"]
        news.parent.mkdir()
        news.write_text(lost["serial"] + "\n")
        code, a = adopt(x.b, "ADF-02")
        assert (code, a["reason"]) == (22, "revoked"), a
        assert counted(x.b) == 1
        news.unlink()
        release(x.b, "ADF-02")
        code, a = adopt(x.b, "ADF-02")
        assert (code, a["reason"]) == (22, "adopted"), a
        release(x.b, "ADF-02")
        x.b.passes("ADF-02")
        assert counted(x.b) == 2
        code, out = x.sync(x.b, x.export(x.b))
        assert (out["issued"], [q["fault"] for q in out["quarantined"]]) == (
            1, ["adopted"]), out
        w.cli("station", "quarantine", x.b.name, "--accept",
              out["quarantined"][0]["serial"], "--reason", "seen")
        agree(w)
    finally:
        x.close()


def test_the_centre_knows_it(centre, tmp_path):
    """A station that works online: what the centre has is made a record of
    again, and nothing else is taken for it."""
    s = Station(centre.w, tmp_path / "on", "ad-on", 1)
    try:
        s.plug().passes("ADX-01")
        was = s.record("ADX-01")["facts"]["certificate_sha256"]
        shutil.rmtree(s.dir / "state")
        code, a = adopt(s, "ADX-02")
        assert (code, a["reason"]) == (3, "foreign-certificate"), a
        code, a = adopt(s, "ADX-01")
        assert code == 0 and a["result"] == "passed", a
        assert s.record("ADX-01")["facts"]["certificate_sha256"] == was
        s.once("ADX-01")
    finally:
        s.close()
