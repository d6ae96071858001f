"""An offline station's bad days: each ends with a sentence, and nothing is
lost or made twice."""
import json
import os
import resource
import shutil
import subprocess

import pytest

from test_disk import Small
from offline import Offline
from swtpm import Tpm
from test_offline_kill import NUMBERS, centre, station  # noqa: F401
from world import SIGNER, faketime, run

HOSTILE = True  # see world.py


def fresh(station):
    station.unplug()
    station.blank(1)
    station.plug(1)


def test_the_clock_goes_back_a_year(station):
    station.takes(share=5)
    station.plug(1)
    station.passes("SN-01")
    fresh(station)
    past = faketime("-1y")
    code, a = station.provision("SN-02", env=past)
    assert (code, a["reason"]) == (1, "clock"), a
    # a supervisor's word does not move the signer, which has a clock of its own
    p = station.begin("provision", "--serial", "SN-02", "--fixture", "f1",
                      "--json", "--accept-clock", env=past)
    a = json.loads(p.communicate(timeout=90)[0])
    assert p.returncode != 0 and a["reason"] in ("signer", "order"), a
    assert station.counted() == 1 == len(station.signed())
    station.passes("SN-02")
    station.once("SN-02")


def own(station, command, env=None, check=True):
    return run(SIGNER, command, "--config", station.own.conf,
               *(["--yes"] if command == "accept-clock" else []),
               check=check, **({"env": {**os.environ, **env}} if env else {}))


def shown(station, env=None):
    """Of its order, by "status"."""
    p = station.begin("status", "--json", env=env)
    return json.loads(p.communicate(timeout=90)[0])["order"]


def test_an_order_that_has_ended_stays_so_when_the_clock_goes_back(station):
    station.takes(share=5)
    station.plug(1)
    station.passes("SN-01")
    order = shown(station, faketime("+2d"))
    assert not order["may"] and "ended at" in order["why"], order
    # the time was seen: back before it nothing is signed
    order = shown(station)
    assert not order["may"] and "accept-clock" in order["why"], order
    fresh(station)
    code, a = station.provision("SN-02")
    assert code != 0 and a["reason"] in ("signer", "order"), a
    # a person says that the clock had been ahead: the order has ended still
    own(station, "accept-clock")
    order = shown(station)
    assert not order["may"] and "ended at" in order["why"], order
    code, a = station.provision("SN-02")
    assert (code, a["reason"]) == (3, "order") and "ended at" in a["note"], a
    assert station.counted() == 1 == len(station.signed())
    # there is nothing more to accept, and a new order is one
    assert own(station, "accept-clock", check=False).returncode != 0
    station.takes(number=3, share=5)
    station.passes("SN-02")
    assert station.counted() == 2


def test_the_clock_was_ahead_and_is_right_again(station):
    station.takes(share=5)
    station.plug(1)
    code, a = station.provision("SN-01", env=faketime("+3h"))
    assert code == 0, a
    fresh(station)
    code, a = station.provision("SN-02")
    assert (code, a["reason"]) == (1, "clock"), a
    argv = ("provision", "--serial", "SN-02", "--fixture", "f1", "--json",
            "--accept-clock")
    p = station.begin(*argv)
    a = json.loads(p.communicate(timeout=90)[0])
    assert a["reason"] == "signer" and "accept-clock" in a["note"], a
    run(SIGNER, "accept-clock", "--config", station.own.conf, "--yes")
    p = station.begin(*argv)
    assert p.communicate(timeout=90) and p.returncode == 0
    station.once("SN-01")
    station.once("SN-02")
    assert station.counted() == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a mount")
@pytest.mark.parametrize("which", ["state", "own/signer"])
def test_a_full_disk(station, which):
    station.takes(share=5)
    station.plug(1)
    station.passes("SN-01")
    fresh(station)
    with Small(station.dir / which, 8000) as disk:
        disk.fill()
        code, a = station.provision("SN-02")
        assert code == 1 and a["reason"] in ("journal", "signer"), a
        disk.room()
        station.passes("SN-02")
        station.once("SN-02")
        assert station.counted() == 2 == len(station.signed())


def test_a_signer_that_cannot_write_in_the_middle(station):
    """Its files take so many bytes more: at the counter, the journal, the
    state; then there is room again."""
    station.takes(share=9)
    station.plug(1)
    station.passes("SN-01")
    own = station.dir / "own/signer"
    for n, more in enumerate((10, 300, 700, 900), 2):
        fresh(station)
        most = (own / "orders/b7.issued").stat().st_size + more
        p = station.begin(
            "provision", "--serial", f"SN-{n:02}", "--fixture", "f1",
            "--json", preexec_fn=lambda most=most: resource.setrlimit(
                resource.RLIMIT_FSIZE, (most, most)))
        out = p.communicate(timeout=90)[0]
        assert p.returncode in (0, 1), out
        station.passes(f"SN-{n:02}")
        station.once(f"SN-{n:02}")
        assert station.counted() == n == len(station.signed())


def test_an_old_ledger_was_put_back(station):
    station.takes(share=5)
    station.plug(1)
    station.passes("SN-01")
    ledger = station.dir / "state/ledger"
    old = ledger.read_bytes()
    fresh(station)
    station.passes("SN-02")
    new = ledger.read_bytes()
    fresh(station)
    for was in (old, new[:-40], b""):
        ledger.write_bytes(was)
        code, a = station.provision("SN-03")
        assert (code, a["reason"]) == (1, "signer"), a
        assert "put back" in a["note"], a
    ledger.write_bytes(new)
    station.passes("SN-03")
    for n in (1, 2, 3):
        station.once(f"SN-0{n}")


def test_an_entry_that_was_changed(station):
    """The signer has hashed what was there."""
    station.takes(share=5)
    station.plug(1)
    station.passes("SN-01")
    ledger = station.dir / "state/ledger"
    ledger.write_bytes(ledger.read_bytes().replace(b"SN-01", b"SN-09"))
    fresh(station)
    code, a = station.provision("SN-02")
    assert (code, a["reason"]) == (1, "signer"), a
    assert "was changed" in a["note"], a
    ledger.write_bytes(ledger.read_bytes().replace(b"SN-09", b"SN-01"))
    station.passes("SN-02")
    station.once("SN-01")
    station.once("SN-02")


def test_the_whole_station_is_put_back(station):
    """From a disk image: this is what level software does not withstand, and
    what every record says by its quota_level."""
    station.takes(share=1)
    station.plug(1)
    keep = station.dir.with_name("image")
    shutil.copytree(station.dir / "own", keep)
    station.passes("SN-01")
    first = station.signed()[0]["serial"]
    shutil.rmtree(station.dir / "own")
    shutil.copytree(keep, station.dir / "own")
    shutil.rmtree(station.dir / "state/records")
    for name in ("journal", "ledger", "proofs"):
        (station.dir / "state" / name).unlink()
    fresh(station)
    station.passes("SN-02")
    assert station.counted() == 1
    assert station.signed()[0]["serial"] != first
    assert station.fact("SN-02", "quota_level") == "software"


# ---- the same with a counter in a TPM ----

@pytest.fixture
def bound(centre, tmp_path):  # noqa: F811
    with Tpm(tmp_path / "tpm") as tpm:
        s = Offline(centre, tmp_path / "station", f"tpm-{next(NUMBERS)}",
                    tpm=tpm)
        try:
            yield s
        finally:
            s.close()


def image(station, name):
    for part in ("own", "state"):
        shutil.copytree(station.dir / part, station.dir / name / part)


def put_back(station, name):
    for part in ("own", "state"):
        shutil.rmtree(station.dir / part)
        shutil.copytree(station.dir / name / part, station.dir / part)


def test_a_station_with_a_tpm_is_put_back(bound):
    """From a disk image, all of it: it makes no more, and says so."""
    bound.takes(share=60, level="rollback-proof")
    bound.plug(1)
    image(bound, "old")
    bound.passes("SN-01")
    bound.once("SN-01")
    image(bound, "new")
    put_back(bound, "old")
    fresh(bound)
    code, a = bound.provision("SN-02")
    assert (code, a["reason"]) == (1, "put-back"), a
    assert "older copy" in a["note"], a
    order = shown(bound)
    assert not order["may"] and "older copy" in order["why"], order
    assert not bound.signed()
    p = run(*bound.argv("export", "--out", bound.dir / "out"), check=False)
    assert p.returncode != 0, "no checkpoint is signed either"
    put_back(bound, "new")
    bound.passes("SN-02")
    bound.once("SN-02")
    order = shown(bound)
    assert (order["level"], order["counted"], order["lost"]) == (
        "rollback-proof", 2, 0)
    assert "2 of 60, counter: rollback-proof" in run(
        *bound.argv("status")).stdout


def test_a_signer_with_a_tpm_is_killed(bound):
    """One certificate, and what is lost of the share is its lease's rest."""
    if b"MINTMARK_DIE_AT" not in SIGNER.read_bytes():
        pytest.skip("needs a build with -Dfaults=true")
    bound.takes(share=60, level="rollback-proof")
    bound.plug(1)
    code, a = bound.provision("SN-01", env={"MINTMARK_DIE_AT": "counted:1"})
    assert (code, a["reason"]) == (1, "signer"), a
    bound.passes("SN-01")
    bound.once("SN-01")
    assert "1 of 60, 49 lost, counter" in run(*bound.argv("status")).stdout
    assert bound.counted() == 1 == len(bound.signed())


def test_the_tpm_is_away(bound):
    bound.takes(share=60)
    bound.plug(1)
    bound.tpm.stop()
    code, a = bound.provision("SN-01")
    assert (code, a["reason"]) == (1, "counter"), a
    assert "the TPM is not there" in a["note"], a
    bound.tpm.start()
    bound.passes("SN-01")
    bound.once("SN-01")
    assert shown(bound)["lost"] == 0


def test_a_signer_that_hangs(station):
    """The unit fails with a sentence after a time, and goes on later."""
    if b"MINTMARK_HANG_AT" not in SIGNER.read_bytes():
        pytest.skip("needs a build with -Dfaults=true")
    station.takes(share=1)
    station.plug(1)
    code, a = station.provision("SN-01", env={
        "MINTMARK_HANG_AT": "counted:1"})
    assert (code, a["reason"]) == (1, "signer"), a
    station.passes("SN-01")
    station.once("SN-01")
    assert station.counted() == 1


def test_another_station_program_has_the_signer(station):
    """Who asks what is made while run is at work is told so at once."""
    station.takes(share=1)
    station.plug(1)
    p = station.begin("run", "--json", stdin=subprocess.PIPE)
    try:
        assert p.stdout.readline()
        p.stdin.write("SN-01\n")
        p.stdin.flush()
        while "passed" not in (line := p.stdout.readline()):
            assert line, "run has ended"
        order = json.loads(run(*station.argv("status", "--json")).stdout)[
            "order"]
        assert "counted" not in order and order["why"], order
        q = station.give((station.dir / "order.json").read_text())
        assert q.returncode == 5, q.stdout
    finally:
        p.stdin.close()
        p.terminate()
        p.wait(30)
        p.stdout.close()
        p.stderr.close()
    station.once("SN-01")
