"""What a station made offline, checked without believing it: the tree, what
was seen before, and each unit."""
import json
import shutil
import struct

import pytest

from test_offline import centre, station  # noqa: F401
from world import MINT, run


class Check:
    def __init__(self, station, share=3):
        self.station, self.path = station, station.dir / "copy.jsonl"
        station.takes(share=share)
        self.orders = [station.dir / "order-1.json"]
        shutil.copy(station.dir / "order.json", self.orders[0])

    def make(self, *serials):
        for serial in serials:
            self.station.plug()
            self.station.passes(serial)
            self.station.unplug()
            self.station.blank(1)
        return self

    def export(self):
        return [json.dumps(x) for x in self.station.export()]

    def check(self, lines, *more, orders=None, key=None):
        """(exit status, objects that were printed, words)"""
        self.path.write_text("".join(x + "\n" for x in lines))
        p = run(MINT, "--json", "line", "check", self.path,
                *(self.orders if orders is None else orders), "--key",
                key or self.station.ledger_key, *more, check=False)
        out = [json.loads(x) for x in p.stdout.splitlines() if x[0] == "{"]
        return p.returncode, out, p.stdout + p.stderr

    def faults(self, lines, **more):
        code, out, words = self.check(lines, **more)
        assert code == 3, words
        return [(x["device"], x["fault"]) for x in out if "fault" in x]


@pytest.fixture
def checked(station):  # noqa: F811
    return Check(station).make("SN-01", "SN-02")


def test_a_good_one(checked, tmp_path):
    lines = checked.export()
    keep = tmp_path / "keep"
    for _ in range(2):  # twice the same: nothing new, nothing wrong
        code, out, words = checked.check(lines, "--keep", keep)
        assert code == 0, words
        assert (out[-1]["issued"], out[-1]["confirmed"],
                out[-1]["faults"]) == (2, 2, 0)
        assert out[-1]["size"] == len(lines) - 2 == 5
    checked.make("SN-03")
    code, out, words = checked.check(checked.export(), "--keep", keep)
    assert code == 0 and out[-1]["size"] == 7, words
    # an old stick, after a new one
    code, out, words = checked.check(lines, "--keep", keep)
    assert code != 0 and "put back" in words


def test_half_a_file(checked):
    lines = checked.export()
    for n in range(len(lines)):
        code, _, words = checked.check(lines[:n])
        assert code != 0 and "half a file" in words, n
    text = "\n".join(lines)
    code, _, words = checked.check([text[:len(text) // 2]])
    assert code != 0 and "half a file" in words
    code, _, words = checked.check([*lines, lines[-1]])
    assert code != 0


def test_what_was_not_signed(checked, station, centre, tmp_path):  # noqa: F811
    lines = checked.export()
    forged = [x.replace("SN-02", "SN-20") for x in lines]
    code, out, words = checked.check(forged)
    assert code != 0 and "signed" in words
    fewer = lines[:2] + lines[3:]
    assert checked.check(fewer)[0] != 0
    swapped = [lines[0], lines[2], lines[1], *lines[3:]]
    assert checked.check(swapped)[0] != 0
    other = tmp_path / "other"
    other.write_text(centre.signer("ledger-key"))
    code, out, words = checked.check(lines, key=other)
    assert code != 0


def test_a_station_that_was_put_back_and_made_another_history(
        station, tmp_path):  # noqa: F811
    c, keep = Check(station), tmp_path / "keep"
    image = tmp_path / "image"
    shutil.copytree(station.dir / "own", image)
    c.make("SN-01")
    code, out, words = c.check(c.export(), "--keep", keep)
    assert code == 0, words
    shutil.rmtree(station.dir / "own")
    shutil.copytree(image, station.dir / "own")
    shutil.rmtree(station.dir / "state/records")
    for name in ("journal", "ledger", "proofs"):
        (station.dir / "state" / name).unlink()
    c.make("SN-02", "SN-03")
    code, out, words = c.check(c.export(), "--keep", keep)
    assert code != 0 and "another history" in words, words


def test_orders_that_do_not_let_it(checked):
    lines = checked.export()
    assert {f for _, f in checked.faults(lines, orders=[])} == {
        "made by an order that was not given"}
    text = checked.orders[0].read_text()
    low = checked.station.dir / "low.json"
    low.write_text(text.replace(r'\"share\":3', r'\"share\":1'))
    assert checked.faults(lines, orders=[low]) == [
        ("", "batch b7: 2 were made, the station's share is 1")]
    low.write_text(text.replace("SN-{01..25}", "SN-{02..25}"))
    assert checked.faults(lines, orders=[low]) == [
        ("SN-01", "a serial number that the order does not have")]


def test_certificates_and_proofs_of_others(checked):
    lines = checked.export()
    d = [json.loads(x) for x in lines]
    first, second = [n for n, x in enumerate(d) if "certificate" in x]
    d[first]["certificate"] = d[second]["certificate"]
    assert ("SN-01", "its certificate is another than the entry's") in \
        checked.faults(map(json.dumps, d))
    del d[first]["certificate"]
    assert ("SN-01", "its certificate is missing") in \
        checked.faults(map(json.dumps, d))
    d = [json.loads(x) for x in lines]
    one, two = [x for x in d if "proof" in x]
    one["proof"] = two["proof"]
    assert checked.faults(map(json.dumps, d)) == [
        ("SN-01", "what it signed is missing, or another than the entry's")]


def append(ledger, entry):
    data = json.dumps(entry, separators=(",", ":")).encode()
    with open(ledger, "ab") as f:
        f.write(struct.pack(">H", len(data)) + data)


def test_a_station_program_that_lies(checked):
    """It writes what it likes into its own ledger, and the signer signs the
    tree: what is not so is found."""
    ledger = checked.station.dir / "state/ledger"
    entries = [json.loads(json.loads(x)["entry"])
               for x in checked.export()[1:-1]]
    issued, confirmed = entries[1], entries[2]
    append(ledger, issued)                         # twice
    append(ledger, issued | {"device": "SN-09"})   # one key, two devices
    append(ledger, issued | {"device": "SN-08", "spki_sha256": "11" * 32,
                             "serial": "22" * 16, "cert_sha256": "33" * 32})
    append(ledger, confirmed | {"serial": "22" * 16, "device": "SN-08"})
    append(ledger, {"v": 1, "type": "alert", "at": issued["at"],
                    "time_source": "system", "reason": "hello"})
    faults = checked.faults(checked.export())
    for fault in [("SN-01", "its serial number was made before"),
                  ("SN-01", "its certificate was entered before"),
                  ("SN-09", "its key was certified before"),
                  ("SN-08", "its certificate is missing"),
                  ("SN-08", "what it signed is missing, or another than the "
                            "entry's"),
                  ("", "an entry that no station writes"),
                  ("", "batch b7: 5 were made, the station's share is 3")]:
        assert fault in faults, (fault, faults)
    # and the honest units are not among them
    assert not [f for f in faults if f[0] == "SN-02"]
