"""A station's counter in a TPM: an old copy of the signer's files signs
nothing, and no accident lets more be signed than the share."""
import hashlib
import hmac
import os
import pathlib
import shutil
import struct
import subprocess

import pytest

from harness import EAGAIN, EPOLICY, Gone, program
from swtpm import Tpm
from test_duty import Station, centre, hash_of, refused  # noqa: F401

LEASE = 50
FINE, AWAY, BACK = range(3)
faulty = pytest.mark.skipif(
    b"MINTMARK_DIE_AT" not in pathlib.Path(program()).read_bytes(),
    reason="needs a build with -Dfaults=true")
MANY = "SN-{001..400}"


@pytest.fixture
def tpm(tmp_path):
    with Tpm(tmp_path / "tpm") as t:
        yield t


class Bound(Station):
    def __init__(self, centre, folder, tpm):
        super().__init__(centre, folder, more=f'tpm = "{tpm.path}"\n')
        self.tpm, self.number = tpm, 0
        self.csr = self.devices.csr()  # a pair is of device and key

    def signs(self, n):
        for _ in range(n):
            self.number += 1
            rep = self.issue(f"SN-{self.number:03}", self.csr)
        return rep

    def status(self):
        s = self.signer["issue"].call("duty_status", 0)
        return {"counted": s[4], "level": s[7], "may": s[8], "why": s[9],
                "lost": s[11], "counter": s[12]}

    def value(self):
        return int.from_bytes(
            (self.dir / "signer/orders/counter").read_bytes()[42:50], "big")

    def dies_at(self, place, n=1):
        return self.start(before=("env", f"MINTMARK_DIE_AT={place}:{n}"))

    def copy(self, name):
        shutil.copytree(self.dir / "signer", self.dir / name)

    def put_back(self, name):
        shutil.rmtree(self.dir / "signer")
        shutil.copytree(self.dir / name, self.dir / "signer")

    def barred(self, what):
        """It starts, says so, and signs nothing at all."""
        self.start()
        s = self.status()
        assert (s["may"], s["counter"]) == (0, what), s
        assert refused(EAGAIN, self.issue, "SN-400", self.csr) == s["why"]
        refused(EAGAIN, self.signer["ledger"].call, "ledger_sign", 0)
        self.signer.stop()
        return s["why"]


@pytest.fixture
def station(centre, tpm, tmp_path):  # noqa: F811
    s = Bound(centre, tmp_path / "station", tpm)
    assert s.made["level"] == "rollback-proof"
    yield s
    if s.signer.links:
        s.signer.kill()


def test_leases_of_fifty(station):
    """The TPM is advanced once for fifty units, and once in the end."""
    station.takes(share=120, serials=MANY, level="rollback-proof")
    station.start()
    first = station.value()
    assert station.status() == {
        "counted": 0, "level": "rollback-proof", "may": 1, "why": "",
        "lost": 0, "counter": FINE}
    station.signs(LEASE)
    assert station.value() == first + 1
    station.signs(1)
    assert station.value() == first + 2
    assert station.signer.stop() == 0
    assert station.value() == first + 3
    # nothing is lost by an end in order, nor advanced by a look
    station.start()
    assert station.status()["lost"] == 0 and station.value() == first + 3
    station.signs(120 - LEASE - 1)
    assert "are made" in refused(EPOLICY, station.issue, "SN-400",
                                 station.csr)
    assert station.signer.stop() == 0
    assert len(station.certificates()) == 120


def test_a_place_that_came_back_is_used_once(station):
    """A copy of before it was used is refused, one of before it came back
    has less."""
    station.takes(share=2, scrap=1, serials=MANY)
    station.start()
    last = station.signs(2)
    assert station.signer["issue"].call("duty_scrap", "SN-002", last[6]) == [
        1, 1]
    station.signer.stop()
    station.copy("back")
    station.start()
    station.signs(1)
    refused(EPOLICY, station.issue, "SN-400", station.csr)
    station.signer.stop()
    station.put_back("back")
    assert "put back" in station.barred(BACK)


def test_an_old_copy_is_refused(station):
    station.takes(share=120, serials=MANY)
    station.copy("blank")
    station.start()
    station.signs(3)
    station.signer.stop()
    station.copy("three")
    station.start()
    station.signs(1)
    station.signer.stop()
    station.copy("newest")
    for name in ("blank", "three"):
        station.put_back(name)
        assert "put back" in station.barred(BACK)
    # its parts, too
    for part in ("orders/b7.issued", "orders/counter"):
        station.put_back("newest")
        shutil.copy(station.dir / "three" / part,
                    station.dir / "signer" / part)
        if part == "orders/counter":
            assert "put back" in station.barred(BACK)
        else:  # the journal has more: found before the TPM is asked
            station.start()
            with pytest.raises(Gone):
                station.counted()
            station.signer.links = {}
    station.put_back("newest")
    station.start()
    station.signs(1)
    assert station.status()["counted"] == 5


def test_a_copy_of_a_signer_at_work_gains_nothing(station):
    """The state is any number of units old; all of its lease is counted."""
    share = LEASE + 20
    station.takes(share=share, serials=MANY)
    station.start()
    station.signs(2)
    station.copy("two")
    station.signs(LEASE - 2)
    made = LEASE
    station.signer.kill()
    station.put_back("two")
    station.start()
    s = station.status()
    assert (s["counted"], s["lost"]) == (2, LEASE - 2)
    station.signs(share - LEASE)
    made += share - LEASE
    assert "lost (48)" in refused(EPOLICY, station.issue, "SN-400",
                                  station.csr)
    assert made == share


def test_a_file_that_was_changed(station):
    station.takes(share=5, serials=MANY)
    path = station.dir / "signer/orders/counter"
    whole = path.read_bytes()
    for bad in (whole[:-1] + bytes([whole[-1] ^ 1]), whole[:20], b"",
                whole[:49] + bytes([whole[49] + 1]) + whole[50:]):
        path.write_bytes(bad)
        assert "was changed" in station.barred(BACK)
    path.unlink()
    station.start()
    with pytest.raises(Gone):
        station.counted()
    station.signer.links = {}
    path.write_bytes(whole)
    station.start()
    station.signs(1)


def test_the_tpm_is_away(station):
    """Nothing is begun; what a lease lets be made is."""
    station.takes(share=120, serials=MANY)
    station.tpm.stop()
    assert "TPM" in station.barred(AWAY)
    station.tpm.start()
    station.start()
    station.signs(1)
    station.tpm.stop()
    station.signs(LEASE - 1)
    s = station.status()
    assert (s["may"], s["counter"], s["counted"]) == (0, AWAY, LEASE), s
    refused(EAGAIN, station.issue, "SN-400", station.csr)
    assert station.signer.stop() == 0
    # it could not end its lease, of which nothing was left
    station.tpm.start()
    station.start()
    s = station.status()
    assert (s["may"], s["counted"], s["lost"]) == (1, LEASE, 0), s
    station.signs(1)


def test_another_tpm(station, tmp_path):
    station.takes(share=5, serials=MANY)
    station.start()
    station.signs(1)
    station.signer.stop()
    station.tpm.stop()
    # none has such a counter, then one that has a counter of its own there
    shutil.rmtree(station.tpm.dir)
    with Tpm(station.tpm.dir):
        assert "another one" in station.barred(BACK)
    other = Bound(station.centre, tmp_path / "other", tpm := Tpm(
        tmp_path / "tpm2"))
    tpm.stop()
    shutil.rmtree(station.tpm.dir)
    shutil.move(tpm.dir, station.tpm.dir)
    with Tpm(station.tpm.dir):
        assert "secret" in station.barred(BACK)
    assert other.made["level"] == "rollback-proof"


def test_two_batches_and_a_lease_that_was_cut_off(station):
    station.takes(share=100, serials=MANY)
    station.start()
    station.signs(3)
    station.signer.kill()
    line = station.line
    station.takes(batch="b8", number=2, share=60, serials="SM-{001..100}",
                  previous=hash_of(station))
    station.line = line
    station.start(batch="b8")
    assert station.status()["lost"] == 0
    station.issue("SM-001", station.csr, batch="b8")
    station.signer.stop()
    station.takes(number=3, share=100, serials=MANY,
                  previous=hash_of(station))
    station.start()
    s = station.status()
    assert (s["counted"], s["lost"]) == (3, LEASE - 3)


class File:
    """orders/counter, read and written by somebody who has the ledger's
    key."""

    def __init__(self, station):
        self.path = station.dir / "signer/orders/counter"
        key = subprocess.run(
            [os.environ["MM_UNSEAL"], station.dir / "signer/keys/ledger.key",
             station.dir / "pass"], check=True, capture_output=True).stdout
        self.key = hmac.digest(key.split(b"\x04\x20", 1)[1][:32],
                               b"mintmark-counter/1 file", hashlib.sha256)

    def read(self):
        """{batch: what the file has of it}, floor"""
        data, out = self.path.read_bytes()[:-32], {}
        n, = struct.unpack_from(">H", data, 50)
        at = 52
        for _ in range(n):
            name = at + 2, at + 2 + struct.unpack_from(">H", data, at)[0]
            at = name[1] + 17
            out[data[slice(*name)].decode()] = data[name[1]:at]
        floor = struct.unpack_from(">Q", data, at)[0]
        assert at + 8 == len(data)
        return out, floor

    def fill(self, name):
        """As if many batches had been made here before, one unit each."""
        batches, floor = self.read()
        for n in range(1024 - len(batches)):
            batches[f"{name}-{n}"] = struct.pack(">QQB", 1, 1, 0)
        assert len(batches) == 1024
        body = self.path.read_bytes()[:50] + struct.pack(
            ">H", len(batches)) + b"".join(
                struct.pack(">H", len(k)) + k.encode() + v
                for k, v in batches.items()) + struct.pack(">Q", floor)
        self.path.write_bytes(body + hmac.digest(self.key, body, "sha256"))


def test_batches_that_were_closed_make_room(station):
    """The 1,025th batch is made, and none of those that left their place is
    made again from an old copy."""
    file = File(station)
    for n, batch in enumerate(("b7", "c1", "c2")):
        station.takes(batch=batch, number=n + 1, share=60, serials=MANY,
                      **({"previous": hash_of(station)} if n else {}))
        station.copy(f"{batch}-open")
        station.start(batch=batch)
        station.number = 100 * n
        station.issue(f"SN-{100 * n + 1:03}", station.devices.csr(),
                      batch=batch)
        station.signer.stop()
    for n, batch in enumerate(("c1", "c2")):
        station.takes(batch=batch, number=n + 4, share=60, serials=MANY,
                      state="closed", ca_key=None, previous=hash_of(station))
    file.fill("old")
    station.takes(batch="d1", number=6, share=60, serials=MANY,
                  previous=hash_of(station))
    station.start(batch="d1")
    station.issue("SN-301", station.devices.csr(), batch="d1")
    station.signer.stop()
    batches, floor = file.read()
    assert len(batches) == 1023 and floor == 5
    assert "d1" in batches and "b7" in batches and "c1" not in batches
    # a closed one is nothing to be barred for
    station.start(batch="c1")
    assert station.status()["counter"] == FINE
    station.signer.stop()
    newest = file.path.read_bytes()
    station.copy("newest")
    station.put_back("c1-open")
    file.path.write_bytes(newest)
    station.start(batch="c1")
    assert "older copy was put back" in station.status()["why"]
    station.signer.stop()
    station.put_back("newest")
    # none of those that are left is closed
    file.fill("more")
    station.takes(batch="d2", number=7, share=60, serials=MANY,
                  previous=hash_of(station))
    station.start(batch="d2")
    s = station.status()
    assert "are not closed" in s["why"] and s["may"] == 0, s


def test_levels(station, centre, tmp_path):  # noqa: F811
    """Less than an order wants is refused, more is not."""
    station.takes(share=5, level="software")
    done = station.take(station.order(number=2, level="hardware",
                                      previous=hash_of(station)))
    assert done.returncode == 3 and "is rollback-proof" in done.stderr
    soft = Station(centre, tmp_path / "soft")
    assert soft.made["level"] == "software"
    done = soft.take(soft.order(level="rollback-proof"))
    assert done.returncode == 3 and "is software" in done.stderr
    soft.takes(share=5)
    # a configuration that says more or less than what was set up
    with open(soft.signer.conf, "a") as f:
        f.write(f'tpm = "{station.tpm.path}"\n')
    done = soft.take(soft.order(number=2, previous=hash_of(soft)))
    assert done.returncode == 3 and "set up without" in done.stderr
    conf = station.signer.conf
    conf.write_text(conf.read_text().replace("tpm =", "# tpm ="))
    done = station.take(station.order(number=2, previous=hash_of(station)))
    assert done.returncode == 3 and "with a TPM" in done.stderr


def test_no_tpm_at_set_up(station, tmp_path):
    """Nothing is set up that could not be bound."""
    station.tpm.stop()
    folder = tmp_path / "none"
    folder.mkdir()
    (folder / "pass").write_text("a long enough passphrase\n")
    (folder / "pass").chmod(0o600)
    conf = folder / "signer.conf"
    conf.write_text(station.signer.conf.read_text().replace(
        f"{station.dir}", f"{folder}"))
    p = subprocess.run(
        [program(), "station-init", "--config", conf, "--station", "l9",
         "--orders-key", station.dir / "orders.key.pub"],
        capture_output=True, text=True)
    assert p.returncode == 7 and "TPM" in p.stderr, p
    assert not (folder / "signer/journal.jsonl").exists()


# Each place, for the n-th time in a run that begins a lease (and ends it):
# what is lost of it.
PLACES = [
    ("lease", 1, 0), ("leased", 1, LEASE), ("advanced", 1, LEASE),
    ("count", 1, LEASE), ("counted", 1, LEASE - 1),
    ("journal", 1, LEASE - 1), ("journalled", 1, LEASE - 1),
    ("count", 3, LEASE - 2), ("lease", 2, LEASE - 5),
    ("leased", 2, 0), ("advanced", 2, 0),
]


@faulty
@pytest.mark.parametrize("place, n, lost", PLACES)
def test_killed_at_each_place(station, place, n, lost):
    """Never more than the lease's rest is lost, never more than the share is
    signed; and the same again, at its start."""
    share = 2 * LEASE
    station.takes(share=share, serials=MANY)
    station.dies_at(place, n)
    five = [f"SN-{i:03}" for i in range(1, 6)]
    made = {}
    try:
        for serial in five:
            made[serial] = station.issue(serial, station.csr)[7]
        station.signer.stop()
    except Gone:
        station.signer.links = {}
    assert station.signer.wait() == -9
    # killed once more while it finds out
    station.dies_at("leased")
    try:
        station.status()
        station.signer.stop()
    except Gone:
        station.signer.links = {}
        assert station.signer.wait() == -9
    station.start()
    s = station.status()
    assert s["lost"] == lost and s["counter"] == FINE, s
    for serial in five:  # what has left is the same
        der = station.issue(serial, station.csr)[7]
        assert made.get(serial, der) == der
    station.number = 5
    station.signs(share - lost - 5)
    refused(EPOLICY, station.issue, "SN-400", station.csr)
    assert station.signer.stop() == 0
    assert len(station.certificates()) == share - lost


def test_no_system_call_more(station):
    """Locked in, with a TPM: it has been above, or it would be dead.  The
    descriptor is all that it has."""
    station.takes(share=120, serials=MANY)
    station.start()
    station.signs(1)
    fds = {os.readlink(f"/proc/{station.signer.process.pid}/fd/{n}")
           for n in os.listdir(f"/proc/{station.signer.process.pid}/fd")}
    assert sum(x.startswith("/dev/pts/") for x in fds) == 1
    assert sum(x.startswith("socket:") for x in fds) == 2
    text = pathlib.Path(
        f"/proc/{station.signer.process.pid}/status").read_text()
    if "MM_SANITIZED" not in os.environ:
        assert "\nSeccomp:\t2" in text
