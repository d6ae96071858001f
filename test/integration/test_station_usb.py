"""Fixtures by the USB place that a board is plugged in at: a tree as the
kernel's, whose terminals are pseudo-terminals."""
import fcntl
import json
import os
import re

import pytest

from screen import Running
from station import Station
from world import run, until

LEAKS = True


class Tree:
    def __init__(self, folder):
        self.dev = folder / "dev"
        self.devices = folder / "sys/bus/usb/devices"
        self.real = folder / "sys/devices/pci0/usb1"
        for d in (self.dev, self.devices, self.real):
            d.mkdir(parents=True)

    def plug(self, interface, tty, port, modem=False):
        device = interface.split(":")[0]
        at = self.real / device / interface
        (at / ("tty" if modem else "") / tty).mkdir(parents=True)
        for name in (device, interface):
            link = self.devices / name
            if not link.is_symlink():
                link.symlink_to(self.real / device if name == device else at)
        (self.real / device / "product").write_text("USB Serial \x1b[2J\n")
        (self.real / device / "serial").write_text("FT0042\n")
        (self.dev / tty).symlink_to(port)

    def unplug(self, interface, tty):
        (self.dev / tty).unlink()
        for one in self.devices.glob(interface):
            for f in one.glob("**/" + tty):
                f.rmdir()
            one.unlink()


@pytest.fixture
def station(world, tmp_path):
    world.product()
    tree = Tree(tmp_path)
    s = Station(world, tmp_path / "station", f"usb-{os.getpid()}", n=2,
                more=f'sysfs = "{tmp_path}/sys"\ndev = "{tree.dev}"\n'
                     'screen = "127.0.0.1:0"\n')
    text = s.conf.read_text()
    for i, place in ((1, "1-1.4"), (2, "1-1.10:1.1")):
        text = text.replace(f'port = "{s.port(i)}"', f'usb = "{place}"')
    s.conf.write_text(text)
    s.tree = tree
    try:
        yield s.plug()
    finally:
        s.close()


def fixtures(station):
    return json.loads(run(*station.argv("fixtures", "--json")).stdout)


def test_a_place_stays_what_it_is(station):
    tree = station.tree
    assert fixtures(station) == {"fixtures": [
        {"fixture": "f1", "usb": "1-1.4", "board": False},
        {"fixture": "f2", "usb": "1-1.10:1.1", "board": False}], "ports": []}
    assert station.provision("US-1")[1]["reason"] == "no-port"
    p = run(*station.argv("blink", "--fixture", "f1", "--times", "1",
                          "--json"), check=False)
    assert (p.returncode, json.loads(p.stdout)["answers"]) == (20, 0)
    tree.plug("1-1.4:1.0", "ttyUSB0", station.port(1))
    tree.plug("1-1.10:1.0", "ttyUSB1", "/dev/null")
    tree.plug("1-1.10:1.1", "ttyACM0", station.port(2), modem=True)
    tree.plug("2-3:1.0", "ttyUSB7", "/dev/null")
    told = fixtures(station)
    assert [f["board"] for f in told["fixtures"]] == [True, True]
    assert [(p["usb"], p["port"], p.get("fixture")) for p in told["ports"]] \
        == [("1-1.4:1.0", "ttyUSB0", "f1"), ("1-1.10:1.0", "ttyUSB1", None),
            ("1-1.10:1.1", "ttyACM0", "f2"), ("2-3:1.0", "ttyUSB7", None)]
    assert told["ports"][0]["what"] == "USB Serial ?[2J"
    assert told["ports"][0]["serial"] == "FT0042"
    text = run(*station.argv("fixtures")).stdout
    assert re.search(r"^f2 +1-1.10:1.1 +\S+/ttyACM0$", text, re.M), text
    assert re.search(r"^- +2-3:1.0 +ttyUSB7 ", text, re.M), text
    p = run(*station.argv("blink", "--fixture", "f2", "--times", "2",
                          "--json"))
    assert json.loads(p.stdout) == {"fixture": "f2", "times": 2, "answers": 2}
    # a terminal that is at work is left alone, and waited for
    with open(station.port(2), "rb+", buffering=0) as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        p = run(*station.argv("blink", "--fixture", "f2", "--times", "2"),
                check=False)
        assert p.returncode != 0 and "is at work" in p.stderr, p
        made = station.begin("provision", "--serial", "US-0", "--fixture",
                             "f2", "--json")
        until(lambda: [r["state"] for r in station.rows()
                       if r["serial"] == "US-0"] == ["scanned"])
    out, _ = made.communicate(timeout=60)
    assert json.loads(out)["result"] == "passed", out
    # who gets which name is chance: the place decides
    with Running(station) as r:
        def boards():
            return {f["name"]: f["board"] for f in r.status()["fixtures"]}

        until(lambda: boards() == {"f1": True, "f2": True})
        tree.unplug("1-1.4:1.0", "ttyUSB0")
        tree.unplug("1-1.10:1.1", "ttyACM0")
        until(lambda: boards() == {"f1": False, "f2": False})
        tree.plug("1-1.4:1.0", "ttyACM0", station.port(1), modem=True)
        until(lambda: boards() == {"f1": True, "f2": False})
        a = r.call("POST", "/api/v1/units?wait=60", {"serial": "US-2"}).json
        assert (a["result"], a["fixture"]) == ("passed", "f1"), a
    assert station.fact("US-2", "hardware_id") == b"SIM-0001".hex()
    assert station.fact("US-2", "fixture") == "f1"


@pytest.mark.parametrize("has, says", [
    ('usb = "1-1.4"\n\tport = "/dev/ttyS0"', "either port or usb"),
    ("baud = 0", "either port or usb"),
    ('usb = "1-1."', "either port or usb"),
    ('usb = "../1-1"', "either port or usb"),
    ('usb = "1-1.10"', "is fixture f2's"),
])
def test_what_a_place_may_be(station, has, says):
    station.conf.write_text(station.conf.read_text() +
                            f"fixture \"f3\" {{\n\t{has}\n}}\n")
    p = run(*station.argv("fixtures"), check=False)
    assert p.returncode == 2 and says in p.stderr, p.stderr
