"""Labels at the station: one a unit, from a printer that has bad days."""
import itertools
import json
import socket

import pytest

from printer import Printer
from screen import Running
from station import Station
from world import run, until

LEAKS = True
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def centre(world):
    world.product()
    return world


@pytest.fixture
def printer():
    p = Printer()
    try:
        yield p
    finally:
        p.close()


@pytest.fixture
def station(centre, printer, tmp_path):
    s = Station(centre, tmp_path / "station", f"label-{next(NUMBERS)}", n=2,
                more=f'printer = "{printer.name}"\nprinter_asks = true\n'
                     f'label_files = "{tmp_path}/labels"\n')
    try:
        yield s.plug()
    finally:
        s.close()


def conf(station, **keys):
    """The configuration with other values; no value: without that key."""
    lines = [x for x in station.conf.read_text().splitlines()
             if x.split(" ")[0] not in keys]
    station.conf.write_text("\n".join(
        [f"{k} = {v}" for k, v in keys.items() if v is not None] + lines)
        + "\n")


def reprint(station, serial):
    p = run(*station.argv("label", "--serial", serial, "--json"), check=False)
    return p.returncode, json.loads(p.stdout)


def rows(station, serial, state):
    return [(r.get("label"), r.get("labels")) for r in station.rows()
            if r["serial"] == serial and r["state"] == state]


def test_one_label_a_unit(station, printer, tmp_path):
    assert station.passes("LA-1")["label"] == "printed"
    (label,) = printer.labels
    assert "LA-1" in label and "thermo" in label
    assert rows(station, "LA-1", "recorded") == [("begun", 1)]
    assert rows(station, "LA-1", "passed") == [("printed", 1)]
    assert (tmp_path / "labels/LA-1.zpl").read_text() == label + "\n"
    assert (tmp_path / "labels/LA-1.png").read_bytes()[:4] == b"\x89PNG"
    # the board comes back: it has its label
    assert "label" not in station.passes("LA-1")
    assert len(printer.labels) == 1
    # a person wants it once more: that is said, here and in the journal
    assert reprint(station, "LA-1") == (
        0, {"device": "LA-1", "label": "reprinted"})
    assert printer.labels == [label, label]
    assert rows(station, "LA-1", "passed")[-2:] == [("begun", 2),
                                                    ("printed", 2)]
    station.once("LA-1")


def test_none_for_what_did_not_pass(station, printer, tmp_path):
    code, a = station.provision("LA-2", "f1")
    assert code == 0, a
    code, a = station.provision("LA-3", "f1")  # that board is LA-2's
    assert (code, a["reason"]) == (21, "key-of-another"), a
    for serial in ("LA-3", "LA-never", "la-2", "no label"):
        code, a = reprint(station, serial)
        assert (code, a["error"]) == (4, "not-found"), a
    assert len(printer.labels) == 1
    assert not (tmp_path / "labels/LA-3.zpl").exists()
    conf(station, printer=None, printer_asks=None)
    code, a = reprint(station, "LA-2")
    assert code == 4 and "no label printer" in a["detail"], a


def test_a_printer_that_is_away_stopped_or_cut_off(station, printer):
    with socket.socket() as gone:  # nobody else gets it, and it listens not
        gone.bind(("127.0.0.1", 0))
        port = gone.getsockname()[1]
        conf(station, printer=f'"tcp:127.0.0.1:{port}"', printer_limit="1s")
        code, a = station.provision("LA-4")
    assert (code, a["reason"]) == (7, "printer-away"), a
    assert "refused" in a["note"]
    conf(station, printer=f'"{printer.name}"')
    for how, reason, note in (("paper", "printer-stopped", "out of paper"),
                              ("hangs", "printer-away", "does not answer")):
        printer.let_go(how)
        code, a = station.provision("LA-4")
        assert (code, a["reason"]) == (7, reason) and note in a["note"], a
    # nothing came out, and the journal knows it
    assert printer.labels == []
    assert rows(station, "LA-4", "failed") == [(None, None)] * 3
    cert = station.once("LA-4")
    conf(station, printer_limit="20s")
    for n, how in enumerate(("cuts", "ends"), 1):
        printer.let_go(how)
        code, a = station.provision("LA-4")
        assert (code, a["reason"]) == (7, "label-unsure"), a
        assert rows(station, "LA-4", "failed")[-1] == ("begun", n)
    # it is not printed by itself; who scans again has it, and is told
    printer.let_go()
    assert len(printer.labels) == 2
    assert station.passes("LA-4")["label"] == "reprinted"
    assert len(printer.labels) == 3
    assert station.once("LA-4")["serial"] == cert["serial"]


def test_a_printer_holds_no_fixture_up_and_is_waited_for(station, printer):
    conf(station, screen='"127.0.0.1:0"', printer_limit="10m")
    printer.how = "hangs"

    def states(serial):
        return [r["state"] for r in station.rows() if r["serial"] == serial]

    with Running(station) as r:
        r.p.stdin.write("f1 LA-5\n")
        r.p.stdin.flush()
        until(lambda: printer.met == 1)
        r.p.stdin.write("f2 LA-6\n")
        r.p.stdin.flush()
        until(lambda: states("LA-6")[-1:] == ["recorded"])
        assert states("LA-5")[-1] == "recorded"
        printer.let_go("reads")
        until(lambda: len(printer.labels) == 1)
        # the plug is pulled with a label under way
        r.p.kill()
        r.p.wait(20)
    first, other = ("LA-5", "LA-6") if "LA-5" in printer.labels[0] \
        else ("LA-6", "LA-5")
    printer.let_go()
    with Running(station) as r:
        for serial in (first, other):
            place = "f1" if serial == "LA-5" else "f2"
            a = r.call("POST", "/api/v1/units?wait=60",
                       {"serial": serial, "fixture": place}).json
            assert (a["result"], a["label"]) == ("passed", "reprinted"), a
        tiles = {f["name"]: f.get("label") for f in r.status()["fixtures"]}
        assert tiles == {"f1": "reprinted", "f2": "reprinted"}
        r.p.stdin.write("print LA-7\nprint LA-6\n")
        r.p.stdin.flush()
        until(lambda: rows(station, "LA-6", "passed")[-1] == ("printed", 3))
        # one that its board's scan cuts short is told of, too
        printer.how, met = "hangs", printer.met
        r.p.stdin.write("print LA-6\n")
        r.p.stdin.flush()
        until(lambda: printer.met > met)
        a = r.call("POST", "/api/v1/units",
                   {"serial": "LA-6", "fixture": "f2"})
        assert a.status == 202, a
        printer.let_go()
        until(lambda: states("LA-6")[-1] == "passed")
        out = r.end()
    said = [json.loads(x) for x in out.splitlines()]
    assert {"device": "LA-6", "label": "reprinted"} in said
    assert [a["reason"] for a in said if a.get("label") == "failed"] == [
        "label-unsure"], said
    assert "not-passed" in [a.get("code") for a in said]
    for serial in ("LA-5", "LA-6"):
        station.once(serial)


@pytest.mark.parametrize("key, value, says", [
    ("printer", '"tcp:printer.local"', "want an address"),
    ("printer", '"lp0"', "want tcp:ADDRESS"),
    ("printer", '"/dev/usb/lp0"', "only a printer by TCP"),
    ("label_template", '"/dev/null/x"', "label_template"),
])
def test_what_the_configuration_may_say(station, key, value, says):
    if key == "label_template":
        template = station.dir / "t.zpl"
        template.write_text("^XA^FH^FD{{serial}}^FS^XZ")
        value, says = f'"{template}"', "no label has a field serial"
    conf(station, **{key: value})
    p = run(*station.argv("label", "--serial", "X", "--json"), check=False)
    assert p.returncode in (1, 2) and says in p.stdout, p.stdout
