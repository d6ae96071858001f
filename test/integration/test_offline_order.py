"""From the centre's batch to a station without a network and back, by the
commands that docs/line.md has, and no others."""
import base64
import hashlib
import json
import os
import re
import shutil
import subprocess

import pytest

from offline import ISSUER
from station import Station
from world import BUILD, ROOT, SIGNER, World, run, until

LEAKS = True
HOSTILE = True  # see world.py

OWN = """
name = "Acme"
production = false
signer_dir = "{dir}/own"
passphrase_file = "{dir}/own.pass"
ledger_origin = "localhost/ledger/{name}"
journal_sync = true
"""


class Lone(Station):
    """A station with a signer of its own, known at the centre."""

    def __init__(self, world, folder, name, mode="always", batch="",
                 init=True):
        self.own = folder / "own.conf"
        folder.mkdir()
        (folder / "own.pass").write_text("a station's passphrase\n")
        (folder / "own.pass").chmod(0o600)
        self.own.write_text(OWN.format(dir=folder, name=name))
        self.init = init
        super().__init__(world, folder, name, 1, more=(
            f'offline = {mode}\nsigner = "{self.own}"\n'
            f'signer_program = "{SIGNER}"\n' +
            (f"batch = {batch}\n" if batch else "")))

    def enrol(self):
        if self.init:
            self.set_up_signer()
            self.register()

    def set_up_signer(self):
        pin = self.dir / "orders.pub"
        pin.write_text(self.world.cli("station", "pin").stdout)
        self.made = json.loads(run(
            SIGNER, "station-init", "--config", self.own, "--station",
            self.name, "--orders-key", pin).stdout)

    def register(self):
        """Its key is pinned at the centre; asking whether it is known there
        is not what a station that is never online does."""
        p = run(*self.argv("enrol", "--json"), check=False)
        made = json.loads(p.stdout.splitlines()[0])
        key = json.loads(self.world.cli(
            "--json", "key", "create", self.name, "--role", "line",
            "--product", "thermo", "--certificate",
            made["certificate"]).stdout)["id"]
        self.world.cli("station", "create", self.name, "--key", key)

    @property
    def transport(self):
        return self.made["station_key"]["certificate"]

    def set_batch(self, batch):
        text = self.conf.read_text()
        lines = [x for x in text.splitlines() if not x.startswith("batch =")]
        self.conf.write_text(f"batch = {batch}\n" + "\n".join(lines) + "\n")

    def imports(self, order):
        return json.loads(run(*self.argv("import", "--order", order,
                                         "--json")).stdout)

    def journal(self):
        text = (self.dir / "own/journal.jsonl").read_text()
        return [json.loads(x) for x in text.splitlines()]

    def signed(self):
        return [x for x in self.journal() if x["kind"] == "certificate"]


class Line:
    """A centre whose line CAs are made by its commands."""

    def __init__(self, world):
        self.w = world
        world.start().product()

    def line_ca(self, station, batch):
        """(its name, what export-line printed, as a file)"""
        name = f"line-{batch}"
        folder = self.w.dir / "lines"
        folder.mkdir(exist_ok=True)
        with open(self.w.conf, "a") as f:
            f.write(ISSUER.format(dir=folder, batch=batch))
        self.signer("issuer", "--issuer", name)
        return name, self.export(name, station)

    def export(self, name, station):
        out = self.w.dir / f"{name}.json"
        out.write_text(self.signer("export-line", "--issuer", name,
                                   "--recipient", station.transport))
        return out

    def signer(self, *argv, check=True):
        p = run(SIGNER, argv[0], "--config", self.w.conf, *argv[1:],
                check=check)
        return p.stdout if check else p

    def again(self):
        self.w.stop()
        self.w.start()

    def batch(self, name, shares, *more):
        self.w.cli("batch", "create", "--id", name, "--product", "thermo",
                   "--quantity", "3", "--until", "30d", "--serials",
                   f"{name.upper()}-{{01..09}}", "--shares", shares, *more)

    def order(self, batch, station, *more, check=True):
        out = self.w.dir / f"{batch}-{station.name}.json"
        p = self.w.cli("batch", "order", batch, "--station", station.name,
                       "--out", out, *more, check=check)
        self.said = p.stdout
        return out if check else p

    def entries(self, kind):
        entries, after = [], ""
        while after is not None:  # a page that took too long ends early
            a = self.w.rest("GET", f"/ledger/entries?limit=1000&type={kind}"
                            f"{after}").json
            entries += [i.get("entry", i) for i in a["items"]]
            after = f"&after={a['next']}" if "next" in a else None
        return entries


@pytest.fixture(scope="module")
def centre():
    with World() as world:
        yield Line(world)


def new(centre, folder, name, **more):
    return Lone(centre.w, folder / name, name, **more)


def test_from_the_centre_to_the_station_and_back(centre, tmp_path):
    w = centre.w
    s = new(centre, tmp_path, "lone-1")
    try:
        name, file = centre.line_ca(s, "far")
        centre.again()
        centre.batch("far", "lone-1=2", "--mode", "offline")
        # none without its line CA
        p = centre.order("far", s, check=False)
        assert p.returncode != 0 and "wants a line CA" in p.stderr
        order = centre.order("far", s, "--line-ca", file)
        assert hashlib.sha256(order.read_bytes()).hexdigest() in centre.said
        # the ledger had the CA and whose it is before the order left
        (made,) = [e for e in centre.entries("issuer.made")
                   if e["issuer"] == name]
        (whose,) = centre.entries("line.assigned")
        assert (whose["batch"], whose["station"], whose["issuer"]) == (
            "far", "lone-1", name)
        assert whose["cert_sha256"] == made["cert_sha256"]
        # line CAs are counted together: what ends of one is not known
        a = until(lambda: (a := w.rest("GET", f"/expiry?issuer={name}")) and
                  a.status != 503 and a)
        assert a.status == 400 and "line CA" in a.text, a
        # without it, from now on; with it, the same
        assert centre.order("far", s).read_text() == order.read_text()
        centre.order("far", s, "--line-ca", file)
        assert len(centre.entries("line.assigned")) == 1
        w.stop()

        assert s.imports(order)["share"] == 2
        s.plug()
        s.passes("FAR-01")
        (line,) = s.signed()
        assert (line["device"], line["issuer"]) == ("FAR-01", name)
        w.cli("device", "birth-record", "--verify",
              s.dir / "state/records/far-01.json", "--key",
              s.made["ledger_key"], "--root", w.anchor)
        run(*s.argv("export", "--out", s.dir / "l.jsonl"))
        p = w.cli("line", "check", s.dir / "l.jsonl", order, "--key",
                  s.made["ledger_key"])
        assert "1 certificates, 1 proved, 0 faults" in p.stdout
        # whoever follows the chain finds a list of revoked ones
        w.start()
        assert w.get_public(f"/issuer/{name}.cer").status == 200
        # more, by the next order, with the same line CA
        w.cli("batch", "extend", "far", "--until", "60d", "--reason", "late")
        assert s.imports(centre.order("far", s))["number"] == 2
    finally:
        s.close()
        if w.daemon is None:
            w.start()


def test_a_batch_keeps_the_profiles_that_it_was_made_for(tmp_path):
    """The configuration goes on: what is made offline by the batch's profile
    is taken in, and its next order brings that one; an online batch's order,
    which cannot be had, is not numbered; what closes it waits for none."""
    with World() as w:
        centre = Line(w)
        s = new(centre, tmp_path, "on-1")
        try:
            _, file = centre.line_ca(s, "went")
            centre.again()
            centre.batch("went", "on-1=2", "--mode", "offline")
            centre.batch("online", "on-1=2")
            first = s.dir / "first.json"
            shutil.copy(centre.order("went", s, "--line-ca", file), first)
            s.imports(first)
            s.plug()
            s.passes("WENT-01")
            w.edit("\tversion = 2\n\tlifetime = 2d", "")
            centre.again()
            p = centre.order("online", s, check=False)
            assert p.returncode == 5 and "is at version 2" in p.stderr, p
            assert [e["number"] for e in centre.entries("order.signed")] == [1]
            w.cli("batch", "extend", "went", "--until", "60d", "--reason", "x")
            second = s.dir / "second.json"
            shutil.copy(centre.order("went", s), second)
            # the line CA's sealed key of before, and what a kill left of it
            was, left = s.dir / "was", s.dir / "left"
            kept = s.dir / "state/orders/went.json"
            was.hardlink_to(kept)
            shutil.copy(kept, left)
            kept.with_name("went.json.new").hardlink_to(left)
            assert s.imports(second)["number"] == 2
            assert not any(was.read_bytes()) and not any(left.read_bytes())
            assert "went.json" == ",".join(
                p.name for p in kept.parent.iterdir())
            s.unplug()
            s.blank(1)
            s.plug()
            s.passes("WENT-02")
            run(*s.argv("export", "--out", s.dir / "l.jsonl"))
            w.cli("station", "trust", "on-1", s.made["ledger_key"])
            out = json.loads(w.cli("--json", "station", "sync", "on-1",
                                   s.dir / "l.jsonl").stdout)
            assert (out["issued"], out["confirmed"]) == (2, 2), out
            w.cli("batch", "close", "went")
            last = centre.order("went", s)
            assert s.imports(last)["number"] == 3
            assert s.journal()[-1]["kind"] == "destroyed"
            run(*s.argv("export", "--out", s.dir / "l.jsonl"))
            w.cli("line", "check", s.dir / "l.jsonl", first, second, last,
                  "--key", s.made["ledger_key"])
            w.cli("ledger", "reconcile", "--config", w.conf)
        finally:
            s.close()


def test_a_closed_batch_leaves_no_key(centre, tmp_path):
    s = new(centre, tmp_path, "end-1")
    try:
        name, file = centre.line_ca(s, "end")
        centre.again()
        centre.batch("end", "end-1=2", "--mode", "offline")
        first = centre.order("end", s, "--line-ca", file).read_text()
        s.imports(centre.w.dir / "end-end-1.json")
        s.plug()
        s.passes("END-01")
        key = json.loads(file.read_text())["ca_key"]
        places = [s.dir / "own/orders/end.order",
                  s.dir / "state/orders/end.json"]
        assert all(key in p.read_text() for p in places)
        centre.w.cli("batch", "close", "end", "--reason", "done")
        last = centre.order("end", s)
        assert key in first and key not in last.read_text()
        for again in (False, True):  # the stick comes twice
            said = s.imports(last)
            assert (said["state"], said["again"]) == ("closed", again)
        assert not any(key in p.read_text(errors="replace")
                       for folder in ("own", "state")
                       for p in (s.dir / folder).rglob("*") if p.is_file())
        # its own signer's journal and its ledger say so, once
        (line,) = [x for x in s.journal() if x["kind"] == "destroyed"]
        assert (line["issuer"], line["authority"], line["number"]) == (
            name, "batch:end", 2)
        run(*s.argv("export", "--out", s.dir / "l.jsonl"))
        entries = [json.loads(json.loads(x)["entry"]) for x in
                   (s.dir / "l.jsonl").read_text().splitlines()[1:-1]]
        (e,) = [e for e in entries if e["type"] == "line.destroyed"]
        assert (e["batch"], e["station"], e["issuer"], e["number"]) == (
            "end", "end-1", name, 2)
        one = s.dir / "one.json"
        one.write_text(first)
        p = centre.w.cli("line", "check", s.dir / "l.jsonl", one, last,
                         "--key", s.made["ledger_key"])
        assert "1 certificates, 1 proved, 0 faults" in p.stdout
        # nothing is made any more, and the board that was made is known
        s.unplug()
        s.blank(1)
        s.plug()
        code, a = s.provision("END-02")
        assert (code, a["reason"]) == (3, "order") and "closed" in a["note"]
        # an old stick brings nothing back
        p = run(*s.argv("import", "--order", one, "--json"), check=False)
        assert p.returncode == 3 and "older" in p.stdout
        assert key not in places[0].read_text()
    finally:
        s.close()


def test_a_line_ca_is_one_orders(centre, tmp_path):
    one, two = (new(centre, tmp_path, n) for n in ("own-1", "own-2"))
    name, file = centre.line_ca(one, "mine")
    # the signer seals it for one station
    p = centre.signer("export-line", "--issuer", name, "--recipient",
                      two.transport, check=False)
    assert p.returncode == 3 and "another station's signer" in p.stderr
    centre.export(name, one)  # again for the same: a stick was lost
    journal = (centre.w.state / "signer/journal.jsonl").read_text()
    lines = [x for x in map(json.loads, journal.splitlines())
             if x["kind"] == "export"]
    assert {x["spki_sha256"] for x in lines if x["issuer"] == name} == {
        one.made["station_key"]["spki_sha256"]}
    p = centre.signer("export-line", "--issuer", "issuing", "--recipient",
                      one.transport, check=False)
    assert p.returncode == 3 and "not a line CA" in p.stderr
    # the server gives it to one batch and station
    centre.again()
    centre.batch("mine", "own-1=1,own-2=1", "--mode", "offline")
    centre.batch("other", "own-1=1", "--mode", "offline")
    centre.order("mine", one, "--line-ca", file)
    for batch, station in (("mine", two), ("other", one)):
        p = centre.order(batch, station, "--line-ca", file, check=False)
        assert p.returncode == 5 and "another" in p.stderr, p
    # and none to a batch that the centre signs
    centre.batch("near", "own-1=1")
    p = centre.order("near", one, "--line-ca", file, check=False)
    assert "is made online" in p.stderr
    # what was changed on its way is none
    ca = json.loads(file.read_text())
    for key, value in (("ca_name", "issuing"), ("ca_url", "http://x"),
                       ("ca_chain", ca["ca_key"]), ("ca_name", "nosuch")):
        file.write_text(json.dumps({**ca, key: value}))
        p = centre.order("other", one, "--line-ca", file, check=False)
        assert p.returncode != 0 and not (
            centre.w.dir / "other-own-1.json").exists(), (key, p)
    # a station has no say in it
    a = centre.w.rest("POST", "/keys", {"name": "x", "roles": ["line"]})
    centre.w.rest("POST", "/stations", {"id": "own-3", "key": a.json["id"]})
    got = centre.w.rest("POST", "/batches/other/order", {
        "station": "own-3", "line": ca}, key=a.json["key"])
    assert got.status == 403, got


def test_an_offline_share_is_not_the_centres_too(centre, tmp_path):
    """when-away, and the centre is there: counted once all the same."""
    w = centre.w
    s = new(centre, tmp_path, "away-1", mode="when-away")
    try:
        name, file = centre.line_ca(s, "share")
        centre.again()
        centre.batch("share", "away-1=1", "--mode", "offline")
        csr = w.key_and_csr("share")[1]
        w.rest("POST", "/devices", {"id": "SHARE-01", "product": "thermo"})
        a = w.rest("POST", "/devices/SHARE-01/enrol", {
            "csr": base64.b64encode(csr.read_bytes()).decode(),
            "batch": "share", "station": "away-1"})
        assert (a.status, a.json["reason"]) == (403, "batch-made-offline"), a
        # a label that was scanned too early: the centre never signs that, so
        # the unit is not the centre's for good
        s.plug()
        for early in (lambda: None, lambda: s.set_batch("share")):
            early()
            code, a = s.provision("SHARE-01")
            assert (code, a["reason"]) == (1, "no-batch"), a
        s.imports(centre.order("share", s, "--line-ca", file))
        s.passes("SHARE-01")
        assert s.rows()[-1]["by"] == "station"
        assert s.certificates("SHARE-01") == []
        s.unplug()
        s.blank(1)
        s.plug()
        code, a = s.provision("SHARE-02")
        assert (code, a["reason"]) == (1, "quota-gone"), a
    finally:
        s.close()


def peak(argv):
    """(what it printed as JSON, the most memory that it had, in KiB): as the
    child of a small process, since a large one's memory would be counted."""
    said, used = run(
        "/usr/bin/python3", "-c",
        "import resource,subprocess,sys;"
        "subprocess.run(sys.argv[1:],check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)",
        *argv).stdout.splitlines()
    return json.loads(said), int(used)


@pytest.mark.alone
def test_a_station_takes_the_longest_table(centre, tmp_path):
    """By file, by network, and what closes it; the last unit is one of it."""
    w = centre.w
    s = new(centre, tmp_path, "wide-1")
    serials = [f"W-{n:05}" for n in range(1, 90001)]
    (tmp_path / "rows.csv").write_text(
        "device,psk\n" + "".join(f"{x},0123456789\n" for x in serials))
    (tmp_path / "template").write_text('{"psk": "{{psk}}"}')
    try:
        name, file = centre.line_ca(s, "wide")
        centre.again()
        w.cli("batch", "create", "--id", "wide", "--product", "thermo",
              "--quantity", "90000", "--until", "30d", "--serials",
              "W-{00001..90000}", "--shares", "wide-1=90000",
              "--mode", "offline", "--template",
              tmp_path / "template", "--rows",
              tmp_path / "rows.csv", "--config-version", "1")
        order = centre.order("wide", s, "--line-ca", file)
        assert order.stat().st_size > 5 << 20
        _, first = peak(s.argv("import", "--order", order, "--json"))
        s.plug()
        said, second = peak(s.argv("provision", "--serial", serials[-1],
                                   "--fixture", "f1", "--json"))
        assert said["result"] == "passed", said
        w.cli("station", "trust", "wide-1", s.made["ledger_key"])
        # the order that it has is not brought again
        said, third = peak(s.argv("sync", "--json"))
        assert said["entries"] > 0 and not said["new_order"]
        w.cli("batch", "extend", "wide", "--until", "60d", "--reason", "x")
        said, fourth = peak(s.argv("sync", "--json"))
        assert said["new_order"]
        w.cli("batch", "close", "wide")
        said, fifth = peak(s.argv("sync", "--json"))
        assert said["new_order"] and s.journal()[-1]["kind"] == "destroyed"
        peaks = first, second, third, fourth, fifth
        assert max(peaks) < 64 << 10, peaks
    finally:
        s.close()


def test_an_offline_batch_is_what_stations_can_do(centre):
    for more in (("--level", "hardware"), ("--next-free",)):
        p = centre.w.cli(
            "batch", "create", "--id", "bad", "--product", "thermo",
            "--quantity", "1", "--until", "30d", "--mode", "offline",
            *(("--serials", "BAD-{1..3}") if more[0] == "--level" else ()),
            *more, check=False)
        assert p.returncode == 2 and "mode: offline" in p.stderr, p


# ---- the page's own commands, in their order ----

def commands(page):
    """Of "Offline in ten minutes", one a line."""
    section = page.partition("### Offline in ten minutes\n")[2].partition(
        "\n| `offline` |")[0]
    return re.findall(r"^ {7}((?:mintmark|systemctl)\S* .*)$", section, re.M)


class Page:
    """Runs them where the page has a centre and a station."""

    def __init__(self, centre, folder):
        self.centre, self.dir = centre, folder
        self.s = new(centre, folder, "line-1", init=False)
        self.key = None
        bin = folder / "bin"
        bin.mkdir()
        for name, where, more in (
                ("mintmark", "cli", f'--context "{centre.w.context}"'),
                ("mintmark-signer", "signer", ""),
                ("mintmark-station", "station", "")):
            script = bin / name
            end = f'--config "{self.s.conf}"' if "station" in name else ""
            script.write_text(f'#!/bin/sh\nexec "{BUILD}/src/{where}/{name}" '
                              f'{more} "$@" {end}\n')
            script.chmod(0o755)
        self.env = {**os.environ, "PATH": f"{bin}:{os.environ['PATH']}"}

    def run(self, line):
        if line.startswith("systemctl"):
            return self.centre.again()
        line = line.replace("/etc/mintmark/mintmark.conf",
                            str(self.centre.w.conf)).replace(
            "/etc/mintmark/signer.conf", str(self.s.own)).replace(
            "left", "f1").replace("ea0de810b71d627d", self.key or "")
        p = subprocess.run(["bash", "-c", line], cwd=self.dir, env=self.env,
                           text=True, capture_output=True, timeout=60)
        # the one that the page says of that the centre does not know it yet
        want = 0 if not line.startswith("mintmark-station enrol") else 7
        assert p.returncode == want, (line, p.stdout, p.stderr)
        self.after(line, p.stdout)

    def after(self, line, said):
        """What the page says a person does with it."""
        if "station-init" in line:
            made = json.loads(said)
            (self.dir / "line-1.key").write_text(made["ledger_key"])
            (self.dir / "line-1-signer.crt").write_bytes(open(
                made["station_key"]["certificate"], "rb").read())
        elif "enrol" in line:
            (self.dir / "line-1.crt").write_bytes(
                (self.s.dir / "station.crt").read_bytes())
        elif "key create" in line:
            self.key = re.search(r"\b[0-9a-f]{16}\b", said).group()
        elif "status" in line:
            assert "1 of 25" in said, said
        elif "line check" in line:
            assert "1 certificates, 1 proved, 0 faults" in said, said


def test_the_pages_commands(centre, tmp_path):
    page = (ROOT / "docs/line.md").read_text()
    lines = commands(page)
    assert len(lines) == 14, lines
    p = Page(centre, tmp_path)
    block = re.search(r"^ {7}issuer \"lines\" \{\n(?:.*\n)*? {7}\}\n", page,
                      re.M).group()
    block = block.replace("/etc/mintmark/", f"{tmp_path}/").replace(
        "/var/lib/mintmark/signer/keys/", f"{tmp_path}/")
    with open(centre.w.conf, "a") as f:
        f.write("\n" + block)
    try:
        p.s.plug()
        for line in lines:
            p.run(line)
    finally:
        p.s.close()
