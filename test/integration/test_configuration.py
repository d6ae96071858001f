"""Initial configuration: rendered for each device, given over the link, its
hash in ledger and record, its secrets nowhere."""
import base64
import hashlib
import hmac
import itertools
import json
import re

import pytest

from forger import Forger, opened
from offline import Offline, stopped_centre
from records import records
from station import SIM, SIM_1, Station
from test_offline_order import Line
from test_sync import new
from world import BUILD, World, run

PROVISION = BUILD / "examples/linux-sim/provision"

NUMBERS = itertools.count(1)
TEMPLATE = '{"name": "{{device}}", "host": "{{host}}", "psk": "{{psk:secret}}"}'
SECRET = "hush-hush-"


def document(serial, host="a.example", secret=SECRET):
    return (TEMPLATE.replace("{{device}}", serial).replace("{{host}}", host)
            .replace("{{psk:secret}}", secret + serial))


def table(serials, host="a.example", secret=SECRET):
    return {"columns": ["host", "device", "psk"],
            "rows": [[host, s, secret + s] for s in serials]}


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def mark(text, salt):
    """What is on record of a document, as docs/line.md says it."""
    return hashlib.sha256(b"mintmark-configuration" + bytes.fromhex(salt) +
                          hashlib.sha256(text.encode()).digest()).hexdigest()


def mark_before(text, salt):
    """As it was when it had no words of its own in front."""
    return hashlib.sha256(bytes.fromhex(salt) + hashlib.sha256(
        text.encode()).digest()).hexdigest()


def salt_of(table, serial):
    """A device's salt, of its table's."""
    return hmac.digest(bytes.fromhex(table), b"mintmark-initial " +
                       serial.encode(), "sha256")[:16].hex()


def given(station, i=1):
    """What a board holds, read by the device library: version, document."""
    out = run(SIM, "-p", station.boards / f"SIM-{i:04}.flash").stdout
    version, _, text = out.partition("\n")
    return int(version), text


def tells(station, salt, i=1):
    """What the board says of its bundle over the console is nothing that
    passwords could be tried by: it is salted, and the salt is not in it."""
    flash = (station.boards / f"SIM-{i:04}.flash").read_bytes()
    heads = [m.start() for m in re.finditer(rb"MMDS\x01\x01\0", flash)]
    assert heads
    own = hashlib.sha256(b"mintmark-bundle" + bytes.fromhex(salt)).digest()[:16]
    assert own not in flash and bytes.fromhex(salt) not in flash
    for at in heads:
        parts = [int.from_bytes(flash[at + k:at + k + 4]) for k in (12, 16, 20)]
        bundle = flash[at + 128:at + 128 + sum(parts)]
        assert flash[at + 64:at + 96] == hashlib.sha256(
            hashlib.sha256(bundle).digest() + own).digest()


def holds(station, serial, version, text, i=1, salt=None, mark=mark):
    """Board, record and ledger say the same; salt: the device's, if any."""
    assert given(station, i) == (version, text)
    want = mark(text, salt) if salt else sha256(text)
    if salt:
        tells(station, salt, i)
    facts = station.record(serial)["facts"]
    assert facts["configuration_version"] == {
        "grade": "observed", "value": str(version)}
    assert facts["configuration_sha256"]["value"] == want
    assert "configuration_salt" not in facts
    entry = json.loads(json.loads(station.record(serial)["receipt"])["entry"])
    assert entry["config_version"] == version
    assert entry["config_sha256"] == want


def salt(world, batch, serial):
    """From where the configuration is kept, for who may see it."""
    return world.rest("GET", f"/batches/{batch}/configurations/{serial}"
                      ).json["salt"]


def no_secret(*folders):
    """In no file, but for boards and what carries a batch to a station."""
    looked = 0
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and path.suffix != ".flash" and \
                    path.parent.name != "orders" and \
                    path.name != "order.json":
                looked += 1
                assert SECRET.encode() not in path.read_bytes(), path
    assert looked > 3


@pytest.fixture(scope="module")
def world():
    with World() as w:
        yield w.start().product()


@pytest.fixture
def line(world, tmp_path):
    """A station, and a batch that only it makes; more is the batch's."""
    stations = []

    def make(n=2, batch=None, secret=SECRET, **more):
        k = next(NUMBERS)
        s = Station(world, tmp_path / f"s{k}", f"conf-{k}", n=n)
        stations.append(s)
        key, = [x["id"] for x in world.rest("GET", "/keys").json["items"]
                if x["name"] == s.name]
        a = world.rest("POST", "/stations", {"id": s.name, "key": key})
        assert a.status == 201, a
        s.batch = batch or f"conf-{k}"
        s.serials = [f"C{k}-{i}" for i in range(1, 6)]
        a = world.rest("POST", "/batches", {
            "id": s.batch, "product": "thermo", "quantity": 5,
            "serials": f"C{k}-{{1..5}}", "until": "2030-01-01T00:00:00Z",
            "shares": [{"station": s.name, "share": 5}],
            "configuration": {"version": 3, "template": TEMPLATE,
                              **table(s.serials, secret=secret)}, **more})
        assert a.status == 201, a
        s.conf.write_text(f"batch = {s.batch}\n" + s.conf.read_text())
        return s

    yield make
    for s in stations:
        s.close()


def test_online(world, line):
    s = line().plug()
    serial = s.serials[0]
    answer = s.passes(serial)
    holds(s, serial, 3, document(serial), salt=salt(world, s.batch, serial))
    again = s.passes(serial)
    assert again["again"] and again["serial"] == answer["serial"]
    s.passes(s.serials[1], "f2")
    holds(s, s.serials[1], 3, document(s.serials[1]), 2,
          salt(world, s.batch, s.serials[1]))
    s.once(serial)
    key = s.dir / "ledger.pub"
    key.write_text(world.cli("ledger", "key").stdout)
    world.cli("device", "birth-record", "--verify", s.dir /
              f"state/records/{serial.lower()}.json", "--key", key, "--root",
              world.anchor)
    s.unplug()
    no_secret(s.dir, world.etc)
    assert SECRET not in world.log()
    assert sha256(document(serial)) not in json.dumps(
        world.entries("certificate.issued"))


def test_the_batch_names_a_recipe(world, line):
    """Online the centre says which; it must be installed."""
    s = line(n=1, recipe="plain").plug()
    assert world.rest("GET", f"/batches/{s.batch}/people").json[
        "recipe"] == "plain"
    code, a = s.provision(s.serials[0])
    assert (code, a["reason"]) == (1, "no-recipe"), a
    assert not s.certificates(s.serials[0])
    # a file of before there were recipes: the centre is asked anew
    kept = s.dir / f"state/people-{s.batch}"
    told = json.loads(kept.read_text())
    assert told.pop("recipe") == "plain"
    assert told.pop("locks") is False and told.pop("replaces") is False
    kept.write_text(json.dumps(told))
    code, a = s.provision(s.serials[0])
    assert (code, a["reason"]) == (1, "no-recipe"), a
    assert json.loads(kept.read_text())["recipe"] == "plain"
    # and for one that does not say which boards are locked
    told = json.loads(kept.read_text())
    locks = told.pop("locks")
    kept.write_text(json.dumps(told))
    s.provision(s.serials[0])
    assert json.loads(kept.read_text())["locks"] is locks
    # run says so before the first unit
    p = s.begin("run", "--once")
    _, log = p.communicate(timeout=60)
    assert "recipe.missing recipe=plain" in log, log
    with open(s.conf, "a") as f:
        f.write('recipe "plain" {\n}\n')
    s.passes(s.serials[0])


def test_who_has_the_salt_can_tell(world, line):
    """A record with the salt proves the document offline, one without does
    not let it be guessed; and who may not see the one gets none of the
    other."""
    s = line(n=1).plug()
    serial = s.serials[0]
    s.passes(serial)
    s.unplug()
    key, good, bad = (s.dir / n for n in ("key", "good.json", "bad.json"))
    key.write_text(world.cli("ledger", "key").stdout)
    good.write_text(document(serial))
    bad.write_text(document(serial).replace(SECRET, "guess-"))
    bare, salted = s.dir / "bare", s.dir / "salted"
    world.cli("device", "birth-record", serial, "--out", bare)
    world.cli("device", "birth-record", serial, "--with-salt", "--out",
              salted)
    assert salted.stat().st_mode & 0o777 == 0o600
    fact = json.loads(salted.read_text())["facts"]["configuration_salt"]
    assert fact == {"grade": "observed",
                    "value": salt(world, s.batch, serial)}
    assert fact["value"] not in bare.read_text()

    def verify(record, document):
        return world.cli(
            "device", "birth-record", "--verify", record, "--key", key,
            "--root", world.anchor, "--configuration", document, check=False)

    p = verify(salted, good)
    assert p.returncode == 0 and "is the one that it was given" in p.stdout, p
    p = verify(salted, bad)
    assert p.returncode == 9 and "another configuration" in p.stderr, p
    for one in (good, bad):
        p = verify(bare, one)
        assert p.returncode == 4 and "--with-salt" in p.stderr, p
    # a record whose salt was changed says of no document that it is the one
    salted.write_text(salted.read_text().replace(fact["value"], "0" * 31 +
                                                 "1"))
    assert verify(salted, good).returncode == 9
    auditor = world.rest("POST", "/keys", {"name": "aud", "roles": [
        "auditor"]}).json["key"]
    (s.dir / "aud").write_text(auditor)
    p = world.cli("--key-file", s.dir / "aud", "device", "birth-record",
                  serial, "--with-salt", check=False)
    assert p.returncode == 3, p
    assert fact["value"] not in p.stdout


def test_a_station_of_before_there_were_salts(world, line):
    """It says the document's own hash, or a mark as it was before: both are
    right, and what is entered is the mark all the same; any other is
    refused."""
    s = line(n=1)
    serial = s.serials[0]
    _, csr = world.key_and_csr(serial)
    conn = world.https(world.operators, s.dir / "station.crt",
                       s.dir / "station.key")

    def enrol(sha):
        return world.ask(
            conn, "POST", f"/api/v1/devices/{serial}/enrol", json.dumps({
                "csr": base64.b64encode(csr.read_bytes()).decode(), "batch": s.batch, "config_version": 3,
                "config_sha256": sha}), {"Content-Type": "application/json"})

    try:
        a = world.rest("POST", "/devices", {"id": serial,
                                            "product": "thermo"})
        assert a.status == 201, a
        assert enrol(sha256(document(serial, "b.example"))).status == 409
        own = salt(world, s.batch, serial)
        for said in (sha256(document(serial)),
                     mark_before(document(serial), own)):
            a = enrol(said)
            assert a.status in (200, 201), a
    finally:
        conn.close()
    entry, = [e["entry"] for e in world.rest(
        "GET", f"/devices/{serial}/history").json["items"]
        if e["entry"]["type"] == "certificate.issued"]
    assert entry["config_sha256"] == mark(document(serial),
                                          salt(world, s.batch, serial))


def test_only_its_station_gets_it(world, line):
    one, two = line(n=1), line(n=1)

    def ask(station, whose, serial):
        conn = world.https(world.operators, station.dir / "station.crt",
                           station.dir / "station.key")
        try:
            return world.ask(conn, "GET", f"/api/v1/batches/{whose.batch}"
                             f"/configurations/{serial}")
        finally:
            conn.close()

    a = ask(one, one, one.serials[0])
    assert a.status == 200 and a.json == {
        "batch": one.batch, "device": one.serials[0], "version": 3,
        "sha256": sha256(document(one.serials[0])), "salt": a.json["salt"],
        "mark": mark(document(one.serials[0]), a.json["salt"]),
        "guessable": True,
        "document": document(one.serials[0])}
    assert ask(two, one, one.serials[0]).status == 403
    assert ask(one, one, two.serials[0]).status == 404


def test_the_board_loses_power(line):
    """In the midst of what it writes (test_power.c: at each byte of it): it
    gets all of the configuration, or none yet."""
    s = line(n=1)
    s.plug(1, "-c", "9000", "-o", "60", "-s", "3")
    s.passes(s.serials[0])
    s.unplug()
    holds(s, s.serials[0], 3, document(s.serials[0]),
          salt=salt(s.world, s.batch, s.serials[0]))
    s.once(s.serials[0])


def test_into_a_bundle(line):
    """The driver files: for whoever flashes it later, and nobody else."""
    s = line(n=1)
    folder = s.dir / "bundles"
    folder.mkdir()
    s.conf.write_text(s.conf.read_text().partition("fixture")[0] +
                      f'fixture "f1" {{\n\tdriver = files\n\tfolder = '
                      f'"{folder}"\n}}\n')
    serial = s.serials[0]
    s.passes(serial)
    config = folder / serial / "configuration.json"
    assert config.read_text() == document(serial)
    assert config.stat().st_mode & 0o777 == 0o600
    bundle = folder / serial / "bundle.json"
    assert bundle.stat().st_mode & 0o777 == 0o600  # it has its hash
    made = json.loads(bundle.read_text())
    assert made["config_version"] == 3
    assert s.fact(serial, "configuration_sha256") == mark(
        document(serial), salt(s.world, s.batch, serial))
    assert s.passes(serial)["again"]
    config.write_text(document(serial, "b.example"))
    assert s.provision(serial)[0] != 0


def provision(station, version, text, *more):
    """The example's own station gives a board a configuration."""
    file = station.dir / f"given-{version}"
    file.write_bytes(version.to_bytes(4, "big") + text.encode())
    ca = station.dir / "sim-ca"
    ca.mkdir(exist_ok=True)
    p = run(PROVISION, *more, "-g", file, ca, f"{station.port(1)}=SIM",
            check=False)
    return json.loads(p.stdout)


LONG = "a-secret-that-is-long-enough-"


def bare(station, i=1):
    """What a board with a library of before tells at its console: SHA-256 of
    all that it was given, by which a short secret could be tried."""
    flash = (station.boards / f"SIM-{i:04}.flash").read_bytes()
    heads = [m.start() for m in re.finditer(rb"MMDS\x01\x01\0", flash)]
    assert heads
    for at in heads:
        parts = [int.from_bytes(flash[at + k:at + k + 4]) for k in (12, 16, 20)]
        assert flash[at + 64:at + 96] == hashlib.sha256(
            flash[at + 128:at + 128 + sum(parts)]).digest()


def too_old(station, serial):
    code, a = station.provision(serial)
    assert (code, a["reason"]) == (20, "old-library"), a
    assert "firmware" in a["what"] and "newer firmware" in a["to_do"], a
    assert not re.search(rb"MMDS\x01\x01\0", (
        station.boards / "SIM-0001.flash").read_bytes())


def test_a_board_with_a_library_of_before(world, line):
    """It takes no salt.  What has a short secret is not given to it, before
    anything is made; what cannot be guessed by its hash is."""
    s = line(n=1).plug(sim=SIM_1)
    short = s.serials[0]
    too_old(s, short)
    assert not s.certificates(short)
    s.conf.write_text("short_secrets = true\n" + s.conf.read_text())
    made = s.passes(short)
    bare(s)
    assert given(s) == (3, document(short))
    s.conf.write_text(s.conf.read_text().partition("\n")[2])
    assert s.passes(short)["again"]  # nothing is written any more
    s.unplug()
    s.plug()  # and with newer firmware
    again = s.passes(short)
    assert again["again"] and again["serial"] == made["serial"]
    bare(s)
    s.unplug()
    s.close()
    s = line(n=1, secret=LONG).plug(sim=SIM_1)
    s.passes(s.serials[0])
    bare(s)
    assert given(s) == (3, document(s.serials[0], secret=LONG))


def test_a_version_never_goes_down(line):
    """By the board itself, and the station sees it first."""
    s = line(n=1).plug()
    assert provision(s, 7, '{"a":7}', "-u")["result"] == "done"
    assert provision(s, 6, '{"a":6}', "-u")["why"] == \
        "has a newer configuration"
    assert provision(s, 8, '{"a":8}', "-u")["result"] == "done"
    assert given(s) == (8, '{"a":8}')
    code, a = s.provision(s.serials[0])
    assert (code, a["reason"]) == (20, "configuration-older"), a
    assert given(s) == (8, '{"a":8}')


def test_a_board_that_was_given_another(world, tmp_path):
    """Same certificate, locked, another configuration than the batch's: made
    before there was a batch, by a line that has one now."""
    k = next(NUMBERS)
    s = Station(world, tmp_path / "s", f"conf-{k}", n=1)
    serial = f"D{k}-1"
    try:
        s.plug()
        first = s.passes(serial)
        flash = s.boards / "SIM-0001.flash"
        was = flash.read_bytes()
        key, = [x["id"] for x in world.rest("GET", "/keys").json["items"]
                if x["name"] == s.name]
        assert world.rest("POST", "/stations", {
            "id": s.name, "key": key}).status == 201
        a = world.rest("POST", "/batches", {
            "id": f"conf-{k}", "product": "thermo", "quantity": 5,
            "serials": f"D{k}-{{1..5}}", "until": "2030-01-01T00:00:00Z",
            "shares": [{"station": s.name, "share": 5}],
            "configuration": {"version": 4, "template": TEMPLATE, **table(
                [f"D{k}-{i}" for i in range(1, 6)])}})
        assert a.status == 201, a
        s.conf.write_text(f"batch = conf-{k}\n" + s.conf.read_text())
        code, a = s.provision(serial)
        assert (code, a["reason"]) == (22, "other-configuration"), a
        assert flash.read_bytes() == was
        assert s.once(serial)["serial"] == first["serial"]
    finally:
        s.close()


# ---- without a network ----

@pytest.fixture(scope="module")
def centre():
    with stopped_centre() as c:
        yield c


@pytest.fixture
def away(centre, tmp_path):
    s = Offline(centre, tmp_path / "station", f"own-{next(NUMBERS)}")
    try:
        yield s
    finally:
        s.close()


def papers(serials, host="a.example", **more):
    return TEMPLATE, json.dumps(table(serials, host) | more,
                                separators=(",", ":"))


def order(version, template, rows):
    return {"config_version": version, "config_sha256": sha256(template),
            "fields_sha256": sha256(rows)}


def test_offline(away):
    """By an older centre's papers: with one salt for all of a station's rows,
    and marks as that centre takes them."""
    serials = [f"SN-{i:02}" for i in range(1, 25)]
    table_salt = "00112233445566778899aabbccddeeff"
    text = papers(serials, salt=table_salt)
    own = salt_of(table_salt, "SN-01")
    away.takes(text, share=3, **order(5, *text))
    away.plug()
    away.passes("SN-01")
    holds(away, "SN-01", 5, document("SN-01"), salt=own, mark=mark_before)
    away.once("SN-01")
    assert away.passes("SN-01")["again"]
    # The order has 25 serial numbers, and rows for 24 of them.
    away.unplug()
    away.blank(1)
    away.plug()
    code, a = away.provision("SN-25")
    assert (code, a["reason"]) == (1, "no-configuration"), a
    assert away.counted() == 1
    # The centre takes the entry as it is.
    entry, = away.entries("certificate.issued")
    assert entry["config_sha256"] == mark_before(document("SN-01"), own)
    away.unplug()
    no_secret(away.dir)
    kept = away.dir / "state/orders/b7.json"
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_board_with_a_library_of_before_offline(away):
    """By the order's papers alone; nothing is counted for it."""
    serials = [f"SN-{i:02}" for i in range(1, 26)]
    text = papers(serials, salt="00112233445566778899aabbccddeeff")
    away.takes(text, share=3, **order(5, *text))
    away.plug(sim=SIM_1)
    too_old(away, "SN-01")
    assert away.counted() == 0
    away.unplug()
    away.plug()
    away.passes("SN-01")


def test_a_paper_that_was_changed(away):
    """On its way, or on the station's disk: nothing is made of it.  (The
    table is one of before there were salts: it is made as it was then.)"""
    text = papers(["SN-01"])
    good = away.centre.order(away, text, share=3, **order(5, *text))
    bad = json.loads(good)
    bad["papers"][1] = text[1].replace("a.example", "b.example")
    p = away.give(json.dumps(bad))
    assert p.returncode != 0 and "fields' table" in p.stdout, p
    assert away.give(good).returncode == 0
    away.plug()
    kept = away.dir / "state/orders/b7.json"
    kept.write_text(json.dumps(bad))
    code, a = away.provision("SN-01")
    assert (code, a["reason"]) == (1, "signer"), a
    kept.write_text(good)
    away.passes("SN-01")
    holds(away, "SN-01", 5, document("SN-01"))


def test_the_centre_takes_it_with_the_entry(tmp_path):
    """Batch, order, station and sync by the commands alone."""
    (tmp_path / "template.json").write_text(TEMPLATE)
    (tmp_path / "rows.csv").write_text("device,host,psk\n" + "".join(
        f"CF-0{i},a.example,{SECRET}CF-0{i}\n" for i in range(1, 10)))
    with World() as world:
        line = Line(world)
        s = new(line, tmp_path, "st-cf")
        _, ca = line.line_ca(s, "cf")
        line.again()
        line.batch("cf", f"{s.name}=3", "--mode", "offline", "--template",
                   tmp_path / "template.json", "--rows",
                   tmp_path / "rows.csv", "--config-version", "4")
        order = line.order("cf", s, "--line-ca", ca)
        s.imports(order)
        papers = json.loads(order.read_text())["papers"]
        # each row's salt, and none that another's could be made of
        rows, = [json.loads(x) for x in papers if "columns" in x]
        assert "salt" not in rows and len(rows["salts"]) == len(rows["rows"])
        own = rows["salts"][0]
        assert own == salt(world, "cf", "CF-01")
        try:
            s.plug().passes("CF-01")
        finally:
            s.close()
        holds(s, "CF-01", 4, document("CF-01"), salt=own)
        export = s.dir / "export.jsonl"
        run(*s.argv("export", "--out", export))
        world.cli("station", "trust", s.name, s.made["ledger_key"])
        world.cli("station", "sync", s.name, export)
        entry, = line.entries("certificate.synced")
        assert (entry["config_version"], entry["config_sha256"]) == (
            4, mark(document("CF-01"), own))
        an_older_station(world, line, s, export)
        no_secret(s.dir)
        its_end(world, line, s)


def its_end(world, line, s):
    """An order that closes its batch has nothing of what devices were given.
    What was signed before and never entered is entered with it all the same,
    and its board gets the whole of it or no PASS."""
    board = s.boards / "SIM-0001.flash"
    made = board.read_bytes()
    board.unlink()
    s.plug()
    code, a = s.provision("CF-03", env={"MINTMARK_DIE_AT": "journalled:1"})
    s.unplug()
    world.cli("batch", "close", "cf")
    last = line.order("cf", s)
    papers = json.loads(last.read_text())["papers"]
    assert SECRET not in last.read_text() and not any(
        "columns" in p or "{{" in p for p in papers)
    assert "config" not in json.loads(last.read_text())["order"]
    assert s.imports(last)["state"] == "closed"
    assert SECRET not in (s.dir / "state/orders/cf.json").read_text()
    run(*s.argv("export", "--out", s.dir / "last.jsonl"))
    entry, = [e for e in map(lambda x: json.loads(json.loads(x)["entry"]), (
        s.dir / "last.jsonl").read_text().splitlines()[1:-1])
        if e["type"] == "certificate.issued" and e["device"] == "CF-03"]
    assert entry["config_sha256"] == mark(document("CF-03"),
                                          salt(world, "cf", "CF-03"))
    s.plug()
    if a.get("reason") == "signer":  # a build in which the signer was killed
        code, a = s.provision("CF-03")
        assert (code, a["reason"]) == (1, "no-configuration"), a
    s.unplug()
    board.write_bytes(made)
    s.plug()
    assert s.passes("CF-01")["again"]
    s.unplug()
    no_secret(s.dir)


def an_older_station(world, line, s, export):
    """Which enters the document's own hash: here it becomes a mark, too."""
    lines = world.dir / "lines"
    f = Forger(export, (lines / "line-cf.crt").read_bytes(),
               opened(lines / "line-cf.key", world.passphrase), s.name,
               f"localhost/ledger/{s.name}/older")
    f.unit("CF-02", config_sha256=sha256(document("CF-02")))
    world.cli("station", "trust", s.name, f.key)
    world.cli("station", "sync", s.name, f.write(export))
    entry, = [e for e in line.entries("certificate.synced")
              if e["device"] == "CF-02"]
    assert entry["config_sha256"] == mark(document("CF-02"),
                                          salt(world, "cf", "CF-02"))
    record = export.with_name("cf-02.json")
    world.cli("device", "birth-record", "CF-02", "--with-salt", "--out",
              record)
    facts = json.loads(record.read_text())["facts"]
    assert facts["configuration_sha256"]["value"] == entry["config_sha256"]
    document_file = world.dir / "cf-02.document"
    document_file.write_text(document("CF-02"))
    key = world.cli("ledger", "key").stdout.strip()
    world.cli("device", "birth-record", "--verify", record, "--key", key,
              "--root", world.anchor, "--configuration", document_file)


def unsalted(world):
    return [f for f in world.rest("GET", "/doctor").json["findings"]
            if "before configurations were salted" in f["what"]]


def before_salts(world, batch):
    """Its table, as an older centre had it."""
    db = records(world)
    papers = db.sql("SELECT kind, id, " + db.text("body") + " FROM doc WHERE "
                    "id LIKE '%.00000'")
    (kind, name, text), = [p for p in papers if "columns" in p[2]]
    rows = json.loads(json.loads(text))
    assert rows.pop("salt")
    text = json.dumps(rows)
    old, new = name.partition(".")[0], sha256(text)
    db.sql(f"INSERT INTO doc VALUES ({kind}, '{new}.00000', 1, "
           f"{db.blob(json.dumps(text).encode())})")
    db.sql("UPDATE doc SET body = " + db.bytes(
        f"replace({db.text('body')}, '{old}', '{new}')") +
        f" WHERE id = '{batch}'")
