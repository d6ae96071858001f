"""A station's signer: it takes orders of its centre alone, and signs within
them whatever it is asked.  Centre and station are real signers."""
import base64
import contextlib
import hashlib
import json
import pathlib
import re
import resource
import subprocess
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from harness import EAGAIN, EAUTH, ECONFLICT, EINPUT, ENOTFOUND, EPOLICY
from harness import ESTALE, Gone, NONCES, Refused, Signer, program
from orders import ISSUER, Line, block, fields, stamp, station_signer, text
from orders import stream, work_file

LINKS = ("issue", "ledger")


class Centre:
    def __init__(self, folder):
        folder.mkdir()
        self.signer = Signer(program(), folder,
                             lambda conf: conf + ISSUER.format(dir=folder))
        self.signer.init("--issuer", "issuing", "--tls-dns", "localhost")
        self.signer.command("issuer", "--issuer", "line-b7")
        self.orders_key = self.signer.command("orders-key").stdout
        self.signer.start(("issue", "ledger", "ops"))
        csr = Line(folder).csr()
        self.signer["issue"].call("issue", "plain", 1, "SN-0", "thermo", "op:x:y",
                                  0, 0, csr)
        label, sha = (folder / "signer/profiles").read_text().split()
        self.profile = ("plain", 1, sha)
        self.profiles = block(self.signer.conf.read_text(), "profile",
                              "plain")

    def line(self, recipient):
        # One line CA for all stations here: a signer gives it to one alone.
        (self.signer.dir / "signer/issuers/line-b7.given").unlink(True)
        return json.loads(self.signer.command(
            "export-line", "--issuer", "line-b7", "--recipient",
            recipient).stdout)

    def note(self, line, **changed):
        return self.signer["ops"].call(
            "order_sign", 0, text(fields(line, self.profile, **changed)))[0]


@pytest.fixture(scope="module")
def centre(tmp_path_factory):
    c = Centre(tmp_path_factory.mktemp("duty") / "centre")
    yield c
    c.signer.stop()


class Station:
    def __init__(self, centre, folder, **more):
        self.centre, self.dir = centre, folder
        self.signer, self.made = station_signer(
            program(), folder, centre.orders_key, **more)
        self.line = centre.line(self.made["station_key"]["certificate"])
        self.devices = Line(folder)

    def order(self, papers=(), **changed):
        note = self.centre.note(self.line, **changed)
        return work_file(note, self.centre.profiles, papers)

    def take(self, order):
        (self.dir / "order.json").write_text(order)
        return self.hand(stream(order))

    def hand(self, data):
        s = self.signer
        p = subprocess.run([s.program, "take-order", "--config", s.conf],
                           input=data, capture_output=True)
        p.stdout, p.stderr = p.stdout.decode(), p.stderr.decode()
        return p

    def takes(self, **changed):
        done = self.take(self.order(**changed))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def start(self, batch="b7", before=(), knows=NONCES):
        """knows: what the station program says in its hello."""
        s = self.signer
        command = s.program
        s.program = self.dir / "run.sh"
        s.program.write_text(
            f'#!/bin/sh\nexec {command} "$@" --batch {batch}\n')
        s.program.chmod(0o755)
        s.start(LINKS, before)
        s.program = command
        with contextlib.suppress(Gone):  # it may not start
            s["issue"].call("hello", 1 | knows)
        return self

    def issue(self, serial, csr, product="thermo", batch="b7"):
        return self.signer["issue"].call(
            "issue", "plain", 1, serial, product, f"batch:{batch}", 0, 0, csr)

    def counted(self):
        return self.signer["issue"].call("duty_status", 0)[4]

    def certificates(self):
        return [x for x in self.signer.journal()
                if x["kind"] == "certificate"]


@pytest.fixture
def station(centre, tmp_path):
    s = Station(centre, tmp_path / "station")
    yield s
    if s.signer.links:
        s.signer.kill()


def refused(code, what, *args, **more):
    with pytest.raises(Refused) as e:
        what(*args, **more)
    assert e.value.code == code, e.value.text
    return e.value.text


def test_it_signs_within_its_order(station, tmp_path):
    assert station.takes()["again"] is False
    station.start()
    csr = station.devices.csr()
    rep = station.issue("SN-01", csr)
    assert rep[0] > 0 and rep[5] == "line-b7"
    der = tmp_path / "one.der"
    der.write_bytes(rep[7])
    ca = station.centre.signer.dir / "server/line-b7.crt"
    root = station.centre.signer.dir / "server/root.crt"
    shown = subprocess.run(
        ["openssl", "verify", "-CAfile", root, "-untrusted", ca, "-purpose",
         "sslclient", der], capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    (line,) = station.certificates()
    assert (line["device"], line["authority"], line["issuer"]) == \
        ("SN-01", "batch:b7", "line-b7")
    status = station.signer["issue"].call("duty_status", 0)
    assert status[:5] == ["b7", "l3", 1, 3, 1]
    assert status[7:9] == ["software", 1]


def test_the_same_pair_is_free_and_has_the_same_bytes(station):
    station.takes(share=1)
    station.start()
    csr = station.devices.csr()
    first = station.issue("SN-01", csr)
    again = station.issue("SN-01", csr)
    assert again[0] == 0 and again[7] == first[7]
    found = station.signer["issue"].call("duty_find", "", "SN-01", first[6])
    assert found == [1, "plain@1", "line-b7", first[7], b""]
    assert station.counted() == 1 and len(station.certificates()) == 1
    # with another process, and when all is made, too
    station.signer.stop()
    station.start()
    assert station.issue("SN-01", csr)[7] == first[7]
    assert "share" in refused(EPOLICY, station.issue, "SN-01",
                              station.devices.csr())
    refused(ENOTFOUND, station.signer["issue"].call, "duty_find", "", "SN-02",
            first[6])


def test_the_share_is_all_there_is(station):
    station.takes(share=3)
    station.start()
    for n in range(3):
        station.issue(f"SN-0{n + 1}", station.devices.csr())
    refused(EPOLICY, station.issue, "SN-04", station.devices.csr())
    assert station.counted() == 3 == len(station.certificates())
    # an extension: the next order has more
    station.signer.stop()
    station.takes(number=2, share=4, previous=hash_of(station))
    station.start()
    station.issue("SN-04", station.devices.csr())
    refused(EPOLICY, station.issue, "SN-05", station.devices.csr())


def scraps(station, serial, spki):
    return station.signer["issue"].call("duty_scrap", serial, spki)


def test_what_is_scrapped_gives_its_place_back(station):
    """Within the allowance, each once, and no more ever."""
    station.takes(share=2, scrap=1)
    station.start()
    csr, fourth = (station.devices.csr() for _ in range(2))
    one, two = station.issue("SN-01", csr), station.issue(
        "SN-02", station.devices.csr())
    refused(EPOLICY, station.issue, "SN-03", fourth)
    refused(ENOTFOUND, scraps, station, "SN-02", one[6])
    refused(EINPUT, scraps, station, "SN 02", one[6])
    assert scraps(station, "SN-01", one[6]) == [1, 1]
    for _ in range(2):  # and with another process
        assert "before" in refused(ECONFLICT, scraps, station, "SN-01",
                                   one[6])
        assert "scrapped" in refused(EPOLICY, scraps, station, "SN-02",
                                     two[6])
        # what is thrown away gets no certificate, known as it is
        assert "scrapped" in refused(EPOLICY, station.issue, "SN-01", csr)
        station.issue("SN-03", fourth)
        assert "all 3" in refused(EPOLICY, station.issue, "SN-04",
                                  station.devices.csr())
        status = station.signer["issue"].call("duty_status", 0)
        assert status[3:5] == [3, 3]
        station.signer.stop()
        station.start()
    lines = [x for x in station.signer.journal() if x["kind"] == "scrapped"]
    assert [(x["device"], x["spki_sha256"], x["authority"], x["number"])
            for x in lines] == [("SN-01", one[6].hex(), "batch:b7", 1)]
    assert len(station.certificates()) == 3


@pytest.mark.parametrize("forged", ["again", "other"])
def test_a_scrap_that_was_put_there(station, forged):
    """The same once more, or of a unit that was never made."""
    station.takes(share=2, scrap=2)
    station.start()
    one = station.issue("SN-01", station.devices.csr())
    counter = station.dir / "signer/orders/b7.issued"
    was = counter.read_bytes()
    scraps(station, "SN-01", one[6])
    station.signer.stop()
    record = counter.read_bytes()[len(was):]
    counter.write_bytes(was + record + record if forged == "again"
                        else record + was)
    station.start()
    with pytest.raises(Gone):
        station.counted()
    station.signer.links = {}


@pytest.mark.parametrize("place", ["scrap:1", "scrapped:1"])
def test_killed_while_it_scraps(station, place, monkeypatch):
    if b"MINTMARK_DIE_AT" not in open(program(), "rb").read():
        pytest.skip("needs a build with -Dfaults=true")
    station.takes(share=1, scrap=1)
    monkeypatch.setenv("MINTMARK_DIE_AT", place)
    station.start()
    one = station.issue("SN-01", station.devices.csr())
    with pytest.raises(Gone):
        scraps(station, "SN-01", one[6])
    station.signer.wait()
    monkeypatch.delenv("MINTMARK_DIE_AT")
    station.signer.kill()
    station.start()
    if place == "scrap:1":  # nothing came back before it was on the disk
        refused(EPOLICY, station.issue, "SN-02", station.devices.csr())
        scraps(station, "SN-01", one[6])
    refused(ECONFLICT, scraps, station, "SN-01", one[6])
    station.issue("SN-02", station.devices.csr())
    refused(EPOLICY, station.issue, "SN-03", station.devices.csr())


def hash_of(station):
    return (station.dir / "signer/orders/last").read_text().split()[1]


@pytest.mark.parametrize("serial, product, batch", [
    ("SN-26", "thermo", "b7"), ("SN-00", "thermo", "b7"),
    ("SN-1", "thermo", "b7"), ("sn-01", "thermo", "b7"),
    ("SN-01", "other", "b7"), ("SN-01", "thermo", "b8"),
])
def test_what_the_order_does_not_name_is_refused(station, serial, product,
                                                 batch):
    station.takes()
    station.start()
    refused(EPOLICY, station.issue, serial, station.devices.csr(), product,
            batch)
    assert station.counted() == 0 and not station.certificates()


def test_a_list_of_serial_numbers(station):
    paper = "A-1\nA-22\nB-3\n"
    station.takes(papers=[paper], serials=None, serials_count=3,
                  serials_sha256=hashlib.sha256(paper.encode()).hexdigest())
    station.start()
    for bad in ("A", "A-2", "B", "B-33", "-1"):
        refused(EPOLICY, station.issue, bad, station.devices.csr())
    for good in ("A-1", "A-22", "B-3"):
        station.issue(good, station.devices.csr())


def test_a_request_without_its_key_gets_nothing(station):
    station.takes()
    station.start()
    csr = bytearray(station.devices.csr())
    csr[-1] ^= 1
    refused(EINPUT, station.issue, "SN-01", bytes(csr))
    assert station.counted() == 0


def test_a_request_of_a_known_key_must_prove_it_too(station):
    station.takes()
    station.start()
    csr = bytearray(station.devices.csr())
    station.issue("SN-01", bytes(csr))
    csr[-1] ^= 1
    refused(EINPUT, station.issue, "SN-01", bytes(csr))


# ---- which orders it takes ----

def bad(station, order, status=3):
    done = station.take(order)
    assert done.returncode == status, (done.returncode, done.stderr)
    assert not (station.dir / "signer/orders/b7.order").exists()
    return done.stderr


def test_an_order_edited_by_one_byte(station):
    order = station.order()
    assert "does not hold" in bad(station, order.replace(
        r'\"share\":3', r'\"share\":4'))
    data = stream(order)
    for n in range(0, len(data), 331):
        done = station.hand(data[:n] + bytes([data[n] ^ 1]) + data[n + 1:])
        if done.returncode == 0:  # a comment of the profiles
            raise AssertionError((n, data[n - 20:n + 20]))
        assert done.returncode in (2, 3), (n, done)
        assert not (station.dir / "signer/orders/b7.order").exists()


def test_half_an_order(station):
    data = stream(station.order())
    for n in (0, 1, 4, len(data) // 2, len(data) - 1):
        assert station.hand(data[:n]).returncode == 2
    assert station.hand(data + b"x").returncode == 2
    assert not (station.dir / "signer/orders/b7.order").exists()


def test_an_order_of_another_centre(station, tmp_path):
    other = Centre(tmp_path / "other")
    try:
        s = Station(other, tmp_path / "theirs")
        assert "not signed" in bad(station, s.order())
    finally:
        other.signer.stop()


@pytest.mark.parametrize("changed, why", [
    ({"station": "l4"}, "is for station l4"),
    ({"mode": "online", "ca_chain": None, "ca_key": None, "ca_name": None,
      "ca_url": None}, "online"),
    ({"level": "rollback-proof"}, "rollback-proof"),
    ({"take": "next", "scan": None}, "from labels"),
    ({"key_origin": "station"}, "makes no keys"),
])
def test_an_order_that_it_cannot_work_to(station, changed, why):
    assert why in bad(station, station.order(**changed))


@pytest.mark.parametrize("changed", [
    {"ca_name": "issuing"}, {"ca_name": "nosuch"},
    {"ca_url": "http://elsewhere.example"}, {"ca_name": None, "ca_url": None},
])
def test_the_centre_signs_no_order_with_another_ca(station, changed):
    """Whatever its server asks for: that may have been taken over."""
    with pytest.raises(Refused) as e:
        station.centre.note(station.line, **changed)
    assert e.value.code == EPOLICY and "no line CA" in str(e.value)


def test_a_ca_that_is_no_line_ca_does_not_leave(station, centre):
    """Nor one that another station has."""
    give = lambda issuer: subprocess.run(
        [program(), "export-line", "--config", centre.signer.conf, "--issuer",
         issuer, "--recipient", station.made["station_key"]["certificate"]],
        text=True, capture_output=True)
    p = give("issuing")
    assert p.returncode == 3 and "not a line CA" in p.stderr and not p.stdout
    given = centre.signer.dir / "signer/issuers/line-b7.given"
    mine = given.read_text()
    given.chmod(0o600)
    given.write_text("00" * 32)
    p = give("line-b7")
    assert p.returncode == 3 and "another" in p.stderr and not p.stdout
    given.write_text(mine)
    assert json.loads(give("line-b7").stdout)["ca_name"] == "line-b7"
    last = [x for x in centre.signer.journal() if x["kind"] == "export"][-1]
    assert (last["issuer"], last["spki_sha256"]) == ("line-b7", mine)


def test_a_line_ca_for_another_station(station, centre, tmp_path):
    other = Station(centre, tmp_path / "other", name="l4")
    order = work_file(centre.note(other.line), centre.profiles)
    assert "another machine" in bad(station, order, 8)


def test_an_older_order(station):
    station.takes(number=1)
    first = (station.dir / "order.json").read_text()
    assert station.takes(number=3)["number"] == 3  # one may be lost
    done = station.take(first)
    assert done.returncode == 3 and "older than 3" in done.stderr
    done = station.take(station.order(number=3, share=99))
    assert done.returncode == 3 and "older than 3" in done.stderr
    done = station.take(station.order(number=4, previous="11" * 32))
    assert done.returncode == 3 and "does not follow" in done.stderr
    again = station.takes(number=4, previous=hash_of(station))
    assert again["again"] is False
    order = (station.dir / "order.json").read_text()
    assert json.loads(station.take(order).stdout)["again"] is True


def test_an_order_that_is_over_or_not_yet(station):
    now = time.time()
    station.takes(not_before=stamp(now - 90), until=stamp(now - 30))
    station.start()
    csr = station.devices.csr()
    assert "ended at" in refused(EPOLICY, station.issue, "SN-01", csr)
    station.signer.stop()
    station.takes(number=2, previous=hash_of(station),
                  not_before=stamp(now + 900))
    station.start()
    assert "begins at" in refused(EPOLICY, station.issue, "SN-01", csr)
    station.signer.stop()
    station.takes(number=3, previous=hash_of(station), state="paused")
    station.start()
    assert "paused" in refused(EPOLICY, station.issue, "SN-01", csr)
    assert station.counted() == 0


def extension(station, number=1, share=2, until=86400, name="l3",
              batch="b7"):
    """A line as the centre signs it; until: seconds from now."""
    end = stamp(time.time() + until)[:19] + "Z"
    words = f"MMX1 {batch} {name} {number} {share} {end}"
    return station.centre.signer["ops"].call(
        "order_sign", 1, words.encode())[0].decode()


def extend(station, line):
    return station.signer["issue"].call("duty_extend", line)


def test_more_units_by_a_line(station):
    until = time.time() + 3600
    station.takes(share=1, until=stamp(until))
    station.start()
    csr = station.devices.csr
    station.issue("SN-01", csr())
    assert "share" in refused(EPOLICY, station.issue, "SN-02", csr())
    good = extension(station, until=7200)
    last = good[-2]
    for line, code in (
            (good[:-2] + ("A" if last != "A" else "B") + good[-1], EPOLICY),
            (good.replace(" 1 2 ", " 1 9 "), EPOLICY),
            (extension(station, batch="b8", until=7200), EPOLICY),
            (extension(station, name="l4", until=7200), EPOLICY),
            (extension(station, number=2, until=7200), EPOLICY),
            (extension(station, until=60), EPOLICY),  # less than it has
            (good[:40], EINPUT), (good + " ", EINPUT), ("", EINPUT)):
        refused(code, extend, station, line)
    assert "share" in refused(EPOLICY, station.issue, "SN-02", csr())
    share, end = extend(station, good)
    assert share == 2 and end > until * 1000
    assert extend(station, good)[0] == 2  # the same again
    station.issue("SN-02", csr())
    assert "share" in refused(EPOLICY, station.issue, "SN-03", csr())
    # it is kept
    station.signer.stop()
    station.start()
    status = station.signer["issue"].call("duty_status", 0)
    assert (status[3], status[4], status[6]) == (2, 2, end)
    # of an order that another one has replaced it says nothing
    station.signer.stop()
    station.takes(share=1, number=2, previous=hash_of(station))
    station.start()
    assert station.signer["issue"].call("duty_status", 0)[3] == 1


def test_more_time_by_a_line(station):
    now = time.time()
    station.takes(not_before=stamp(now - 90), until=stamp(now - 30))
    station.start()
    csr = station.devices.csr
    refused(EPOLICY, station.issue, "SN-01", csr())
    extend(station, extension(station, share=3, until=3600))
    station.issue("SN-01", csr())
    station.signer.stop()
    station.start()
    station.issue("SN-02", csr())


def test_what_was_signed_is_given_when_the_order_is_over(station):
    station.takes()
    station.start()
    csr = station.devices.csr()
    first = station.issue("SN-01", csr)
    station.signer.stop()
    station.takes(number=2, previous=hash_of(station), state="closed")
    station.start()
    assert station.issue("SN-01", csr)[7] == first[7]


# ---- accidents ----

def test_a_counter_that_was_put_back(station):
    station.takes()
    counter = station.dir / "signer/orders/b7.issued"
    station.start()
    station.issue("SN-01", station.devices.csr())
    old = counter.read_bytes()
    station.issue("SN-02", station.devices.csr())
    station.signer.stop()
    for was in (old, b""):
        counter.write_bytes(was)
        station.start()
        assert station.signer.wait() == 3
        assert "put back" in (station.dir / "log").read_text()
        station.signer.kill()


def test_a_counter_that_was_changed(station):
    station.takes()
    counter = station.dir / "signer/orders/b7.issued"
    station.start()
    for n in (1, 2, 3):
        station.issue(f"SN-0{n}", station.devices.csr())
    station.signer.stop()
    data = bytearray(counter.read_bytes())
    data[60] ^= 1
    counter.write_bytes(data)
    station.start()
    assert station.signer.wait() == 3
    assert "damaged" in (station.dir / "log").read_text()
    station.signer.kill()


def test_a_torn_record_is_cut_and_was_never_given(station):
    station.takes()
    counter = station.dir / "signer/orders/b7.issued"
    station.start()
    csr = station.devices.csr()
    first = station.issue("SN-01", csr)
    station.signer.stop()
    with open(counter, "ab") as f:
        f.write(b"\x00\x00\x02\x00half")
    station.start()
    assert station.counted() == 1
    assert station.issue("SN-01", csr)[7] == first[7]
    station.issue("SN-02", station.devices.csr())


@pytest.mark.parametrize("place", ["count:1", "counted:1", "journal:1",
                                   "journalled:1", "answer:1"])
def test_killed_while_it_counts(station, place, monkeypatch):
    if b"MINTMARK_DIE_AT" not in open(program(), "rb").read():
        pytest.skip("needs a build with -Dfaults=true")
    station.takes(share=1)
    csr = station.devices.csr()
    monkeypatch.setenv("MINTMARK_DIE_AT", place)
    station.start()
    with pytest.raises(Gone):
        station.issue("SN-01", csr)
    station.signer.wait()
    monkeypatch.delenv("MINTMARK_DIE_AT")
    station.signer.kill()
    station.start()
    rep = station.issue("SN-01", csr)
    assert station.counted() == 1
    (line,) = station.certificates()
    assert line["serial"] == rep[1].hex()
    refused(EPOLICY, station.issue, "SN-01", station.devices.csr())


@pytest.mark.parametrize("place", ["taken", "wiped", "destroyed"])
def test_killed_while_a_key_is_destroyed(station, place, monkeypatch):
    """What the journal calls destroyed is gone, and no stick brings it back."""
    if b"MINTMARK_DIE_AT" not in open(program(), "rb").read():
        pytest.skip("needs a build with -Dfaults=true")
    station.takes()
    first = (station.dir / "order.json").read_text()
    last = station.order(number=2, previous=hash_of(station), state="closed",
                         ca_key=None)
    key, here = station.line["ca_key"], station.dir / "signer/orders/b7.order"
    assert key in here.read_text()

    def destroyed():
        return [x for x in station.signer.journal()
                if x["kind"] == "destroyed"]

    monkeypatch.setenv("MINTMARK_DIE_AT", f"{place}:1")
    assert station.take(last).returncode == -9
    monkeypatch.delenv("MINTMARK_DIE_AT")
    assert bool(destroyed()) <= (not here.exists())
    assert here.exists() == (place == "taken")
    done = station.take(first)
    assert done.returncode == 3 and "older than 2" in done.stderr
    done = station.take(last)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["again"] is True
    assert not any(key in p.read_text(errors="replace") for p in
                   (station.dir / "signer").rglob("*") if p.is_file())
    n = len(destroyed())
    assert n == (2 if place == "destroyed" else 1)
    assert station.take(last).returncode == 0 and len(destroyed()) == n


def test_an_older_copy_of_a_key_is_overwritten(station):
    """Each order brings the key, sealed: the one before is not only replaced."""
    station.takes()
    here, blocks = (station.dir / x for x in ("signer/orders/b7.order", "was"))
    for n in (2, 3):
        blocks.hardlink_to(here)
        assert station.line["ca_key"] in blocks.read_text()
        station.takes(number=n, share=3 + n, previous=hash_of(station))
        assert not any(blocks.read_bytes())
        blocks.unlink()
    assert station.line["ca_key"] in here.read_text()
    station.start()
    station.issue("SN-01", station.devices.csr())


@pytest.mark.parametrize("by", ["start", "order", "end"])
def test_killed_before_an_older_copy_is_overwritten(station, by, monkeypatch):
    if b"MINTMARK_DIE_AT" not in open(program(), "rb").read():
        pytest.skip("needs a build with -Dfaults=true")
    station.takes()
    here, blocks = (station.dir / x for x in ("signer/orders/b7.order", "was"))
    blocks.hardlink_to(here)
    monkeypatch.setenv("MINTMARK_DIE_AT", "exchanged:1")
    first = station.order(number=2, share=5, previous=hash_of(station))
    assert station.take(first).returncode == -9
    monkeypatch.delenv("MINTMARK_DIE_AT")
    left = here.with_name("b7.order.new")
    assert station.line["ca_key"] in left.read_text()
    if by == "start":
        station.start()
        station.issue("SN-01", station.devices.csr())
    elif by == "order":
        assert station.take(first).returncode == 0
    else:
        station.takes(number=3, previous=hash_of(station), state="closed",
                      ca_key=None)
    assert not left.exists() and not any(blocks.read_bytes())
    assert (station.line["ca_key"] in here.read_text()) == (by != "end")


def test_a_key_whose_wiping_was_cut_off(station):
    """Half of it is zeros: no order, and no reason to stop."""
    station.takes()
    last = station.order(number=2, previous=hash_of(station), state="closed",
                         ca_key=None)
    here = station.dir / "signer/orders/b7.order"
    here.write_bytes(bytes(4096) + here.read_bytes()[4096:])
    done = station.take(last)
    assert done.returncode == 0, done.stderr
    assert station.line["ca_key"] not in here.read_text()
    assert [x["number"] for x in station.signer.journal()
            if x["kind"] == "destroyed"] == [2]


def test_a_full_disk_counts_nothing_and_signs_nothing(station):
    station.takes()
    station.start()
    csr = station.devices.csr()
    station.issue("SN-01", csr)
    pid = station.signer.process.pid
    size = (station.dir / "signer/orders/b7.issued").stat().st_size
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size + 100, size + 100))
    other = station.devices.csr()
    refused(EAGAIN, station.issue, "SN-02", other)
    assert station.counted() == 1
    assert station.issue("SN-01", csr)[0] == 0
    station.signer.kill()
    station.start()
    assert station.counted() == 1
    station.issue("SN-02", other)
    assert station.counted() == 2 == len(station.certificates())


def test_only_its_links_are_served(station):
    station.takes()
    s = station.signer
    done = subprocess.run(
        [s.program, "run", "--config", s.conf, "--batch", "b7", "--links",
         "ops:0"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 2 and "issue and ledger" in done.stderr


def test_it_is_set_up_once(station):
    done = station.signer.command("station-init", "--station", "l3",
                                  "--orders-key",
                                  station.dir / "orders.key.pub", check=False)
    assert done.returncode == 5 and "set up before" in done.stderr, done


def test_the_pages_own_configuration(tmp_path):
    """docs/line.md's, for production, and not a word more."""
    page = (pathlib.Path(__file__).parents[3] / "docs/line.md").read_text()
    conf = re.search(r"signer's own, `/etc/mintmark/signer.conf`.*?\n\n"
                     r"(.*?)\n\n   Where", page, re.S).group(1)
    conf = conf.replace("/var/lib/mintmark-station", str(tmp_path)).replace(
        "/etc/mintmark/signer.passphrase", str(tmp_path / "pass"))
    assert "production = true" in conf
    s = Signer(program(), tmp_path, lambda _: conf)
    raw = b"\1" + ec.generate_private_key(ec.SECP256R1()).public_key(
        ).public_bytes(serialization.Encoding.X962,
                       serialization.PublicFormat.CompressedPoint)[1:]
    name = "mint.example.com/ledger/orders"
    pin = tmp_path / "orders.pub"
    pin.write_text("+".join([name, hashlib.sha256(
        name.encode() + b"\n" + raw).hexdigest()[:8],
        base64.b64encode(raw).decode()]) + "\n")
    made = json.loads(s.command("station-init", "--station", "line-1",
                                "--orders-key", pin).stdout)
    assert made["level"] == "software"


# ---- boards that are taken over ----

class Found:
    """A board that another station made: its certificate, chain and key."""

    def __init__(self, made_by, serial):
        rep = made_by.issue(serial, made_by.devices.csr())
        self.serial, self.der = serial, rep[7]
        key = made_by.dir / f"key{made_by.devices.n}.pem"
        self.key = serialization.load_pem_private_key(key.read_bytes(), None)
        self.chain = base64.b64decode(made_by.line["ca_chain"])

    def proof(self, nonce, hw=b"HW-1"):
        text = b"mintmark-prove" + nonce + hw + hashlib.sha256(
            self.der).digest()
        return [nonce, hw, self.key.sign(text, ec.ECDSA(hashes.SHA256()))]

    def adopt(self, station, serial=None, der=None, chain=None,
              change=lambda nonce, hw, sig: [nonce, hw, sig]):
        """Over a nonce of the station's signer; change: what it gets."""
        nonce = ask_nonce(station, self.serial)
        return self.show(station, change(*self.proof(nonce)), serial, der,
                         chain)

    def show(self, station, proof, serial=None, der=None, chain=None):
        return station.signer["issue"].call(
            "duty_adopt", serial or self.serial, der or self.der,
            chain or self.chain, *proof)[0]


def ask_nonce(station, serial):
    return station.signer["issue"].call("duty_nonce", serial)[0]


@pytest.fixture
def found(centre, tmp_path):
    s = Station(centre, tmp_path / "lost", name="l2")
    s.takes(station="l2")
    s.start()
    yield Found(s, "SN-01")
    s.signer.kill()


def test_a_board_is_taken_over(station, found):
    station.takes(share=2)
    station.start()
    for again in (0, 1):
        assert found.adopt(station) == again
        assert station.counted() == 1
    (line,) = station.certificates()
    assert (line["device"], line["authority"]) == (
        "SN-01", "adopted:batch:b7")
    spki = hashlib.sha256(found.key.public_key().public_bytes(
        serialization.Encoding.DER,
        serialization.PublicFormat.SubjectPublicKeyInfo)).digest()
    rep = station.signer["issue"].call("duty_find", "", "SN-01", spki)
    assert rep[3:] == [found.der, found.chain]
    # what it makes itself has no chain of its own, and the share is one
    station.issue("SN-02", station.devices.csr())
    text = refused(EPOLICY, station.issue, "SN-03", station.devices.csr())
    assert "all 2 of this station's share" in text
    # all of it is there after a power cut, and the pair is still free
    station.signer.kill()
    station.start()
    assert station.counted() == 2 and found.adopt(station) == 1


def test_what_was_scrapped_is_not_taken_over(station, found):
    """Its place may be another's by now."""
    station.takes(share=1, scrap=1)
    station.start()
    assert found.adopt(station) == 0
    scraps(station, "SN-01", hashlib.sha256(found.key.public_key()
           .public_bytes(serialization.Encoding.DER, serialization.
                         PublicFormat.SubjectPublicKeyInfo)).digest())
    for _ in range(2):  # and with another process
        assert "was scrapped" in refused(EPOLICY, found.adopt, station)
        station.signer.stop()
        station.start()
    station.issue("SN-02", station.devices.csr())
    refused(EPOLICY, station.issue, "SN-03", station.devices.csr())


def test_what_is_not_taken_over(station, found, centre):
    station.takes(share=1)
    station.start()
    bad = [
        (EAUTH, {"change": lambda n, hw, sig: [n, hw, b"no signature"]}),
        (EAUTH, {"change": lambda n, hw, sig: [n, b"HW-2", sig]}),
        # over another nonce than it says, or none that was asked for
        (EAUTH, {"change": lambda n, hw, sig: [n, *found.proof(bytes(32))[
            1:]]}),
        (ESTALE, {"change": lambda n, hw, sig: found.proof(bytes(32))}),
        (ESTALE, {"serial": "SN-02"}),  # another's label
        (EPOLICY, {"serial": "SN-26"}),  # none of the order's
        (EINPUT, {"serial": "no label"}),
        (EINPUT, {"chain": b"\x30\x03abc"}),
        (EINPUT, {"der": found.der[:-1]}),
        # a CA that is none of a station's for this batch
        (EAUTH, {"chain": ssl_der(
            centre.signer.dir / "server/issuing.crt")}),
    ]
    for code, changed in bad:
        refused(code, found.adopt, station, **changed)
    # another's label, with a nonce for that
    refused(EAUTH, found.show, station, found.proof(ask_nonce(
        station, "SN-02")), serial="SN-02")
    # signed by somebody else, with all that is right beside it
    refused(EAUTH, found.adopt, station, der=resigned(found.der))
    assert station.counted() == 0 and station.certificates() == []
    station.issue("SN-05", station.devices.csr())
    text = refused(EPOLICY, found.adopt, station)
    assert "all 1 of this station's share" in text


def test_a_station_program_of_before_there_were_nonces(station, found):
    """It is told what is the matter, and asks for certificates as ever."""
    station.takes()
    station.start(knows=0)
    text = refused(EAGAIN, found.show, station, found.proof(bytes(32)))
    assert "this station program is older than its signer" in text
    station.issue("SN-05", station.devices.csr())
    refused(EPOLICY, station.signer["issue"].call, "hello", 2 | NONCES)


def test_a_proof_is_good_once(station, found):
    """What a board signed once is kept in ledgers and exports: none of it
    takes the board over again, or under another label, or at a signer that
    began anew."""
    station.takes(share=3)
    station.start()
    station.issue("SN-05", station.devices.csr())
    nonce = ask_nonce(station, "SN-01")
    proof = found.proof(nonce)
    assert found.show(station, proof) == 0
    text = refused(ESTALE, found.show, station, proof)
    assert "no nonce of this signer's" in text
    # a refused one is spent, too
    nonce = ask_nonce(station, "SN-01")
    proof = found.proof(nonce)
    refused(EAUTH, found.show, station, [nonce, b"HW-2", proof[2]])
    refused(ESTALE, found.show, station, proof)
    # another's is not: whoever asks with it spends nothing of its own
    mine, other = (ask_nonce(station, s) for s in ("SN-01", "SN-02"))
    assert mine != other
    refused(ESTALE, found.show, station, found.proof(other))
    assert found.show(station, found.proof(mine)) == 1
    # the signer's life is the nonce's
    proof = found.proof(ask_nonce(station, "SN-01"))
    station.signer.kill()
    station.start()
    refused(ESTALE, found.show, station, proof)
    assert station.counted() == 2


def test_nonces_are_bounded(station, found):
    """64 of them: who asks for more loses the oldest, and no memory."""
    station.takes()
    station.start()
    first = ask_nonce(station, "SN-01")
    second = ask_nonce(station, "SN-01")
    for _ in range(63):
        ask_nonce(station, "SN-02")
    refused(ESTALE, found.show, station, found.proof(first))
    assert found.show(station, found.proof(second)) == 0
    refused(EINPUT, ask_nonce, station, "no label")
    refused(EPOLICY, ask_nonce, station, "SN-26")


@pytest.mark.parametrize("changed, words", [
    ({"state": "paused"}, "paused"),
    ({"not_before": stamp(time.time() - 99),
      "until": stamp(time.time() - 9)}, "ended"),
    ({"not_before": stamp(time.time() + 3600)}, "begin")])
def test_nor_out_of_the_orders_time(station, found, changed, words):
    station.takes(**changed)
    station.start()
    assert words in refused(EPOLICY, found.adopt, station)
    assert station.counted() == 0


def test_the_pair_has_one_certificate(station, found):
    station.takes()
    station.start()
    csr = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([])).sign(found.key, hashes.SHA256()).public_bytes(
        serialization.Encoding.DER)
    mine = station.issue("SN-01", csr)[7]
    assert mine != found.der
    refused(ECONFLICT, found.adopt, station)
    assert station.counted() == 1


def ssl_der(path):
    return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(
        serialization.Encoding.DER)


def resigned(der):
    """The same, but for the last bytes of its signature."""
    return der[:-4] + bytes(b ^ 1 for b in der[-4:])
