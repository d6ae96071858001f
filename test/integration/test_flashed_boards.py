"""The programs of examples/fixtures, by a station and stand-ins for the tools
that they call (flash_tools.py)."""
import base64
import hashlib
import importlib.util
import itertools
import json
import subprocess
import sys

import pytest

from station import Station
from world import ROOT, run

HERE = ROOT / "examples/fixtures"
NUMBERS = itertools.count(1)
PROGRAMS = {
    "esp32": ("esptool.py", "246f28aabbcc", ["--offset", "0x3f0000", "--chip",
                                             "esp32"]),
    "openocd": ("openocd", b"STM32-number".hex(), [
        "--interface", "interface/cmsis-dap.cfg", "--target",
        "target/stm32l4x.cfg", "--address", "0x3f0000", "--adapter", "77"]),
    "jlink": ("JLinkExe", b"nRF-chip".hex(), [
        "--device", "nRF52840_xxAA", "--adapter", "77", "--address",
        "0x3f0000"]),
}
LEAKS = True


@pytest.fixture(scope="module")
def centre(world):
    world.product()
    return world


def flashed():
    spec = importlib.util.spec_from_file_location("flashed",
                                                  HERE / "flashed.py")
    m = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(m)
    return m


class Bench:
    def __init__(self, name, folder):
        self.name, self.chip = name, folder / "chip"
        self.chip.mkdir()
        tool, self.hardware, more = PROGRAMS[name]
        text = (ROOT / "test/integration/flash_tools.py").read_text()
        (self.chip / tool).write_text(f"#!{sys.executable} -IS\n" + text)
        (self.chip / tool).chmod(0o755)
        self.flash, self.state = self.chip / "flash", folder / "flasher"
        self.argv = [sys.executable, str(HERE / f"{name}.py"), "--state",
                     str(self.state), "--tool", str(self.chip / tool), *more]

    def conf(self, port):
        words = ", ".join(f'"{w}"' for w in self.argv)
        return f'fixture "f1" {{\n\tdriver = exec\n\tport = "{port}"\n' \
               f'\tlimit = "20s"\n\tprogram = {{{words}}}\n}}\n'

    def ask(self, step, **more):
        job = {"v": 1, "step": step, "fixture": "f1", "port": str(self.chip),
               "serial": "SN", "time": 0, **more}
        return json.loads(subprocess.run(
            self.argv, input=json.dumps(job) + "\n", text=True, check=True,
            capture_output=True).stdout.splitlines()[-1])

    def calls(self):
        return (self.chip / "calls").read_text()


@pytest.fixture(params=sorted(PROGRAMS))
def bench(request, tmp_path):
    return Bench(request.param, tmp_path)


def test_a_board_is_made_by_a_flasher(centre, bench, tmp_path):
    s = Station(centre, tmp_path / "station", f"flash-{next(NUMBERS)}", n=0,
                more=bench.conf(bench.chip))
    serial = f"FL-{bench.name}"
    p = run(*s.argv("selftest", "--json"))
    told = json.loads(p.stdout)
    assert told["selftest"] == "works" and told["version"], told
    s.passes(serial)
    s.once(serial)
    assert s.fact(serial, "hardware_id") == bench.hardware
    parts = flashed().parts_of(bench.flash.read_bytes())
    assert not list(bench.state.glob("*.key"))
    # The board comes back, with its key in its flash alone.
    assert s.passes(serial)["again"]
    assert flashed().parts_of(bench.flash.read_bytes()) == parts
    # Nobody's flash: it is not the board of this label any more.
    bench.flash.unlink()
    code, a = s.provision(serial)
    assert code == 22, a


def test_no_secret_is_an_argument(bench, tmp_path):
    assert bench.ask("key")["result"] == "done"
    key = next(bench.state.glob("*.key"))
    assert key.stat().st_mode & 0o077 == 0
    assert bench.state.stat().st_mode & 0o077 == 0
    pem = subprocess.run(
        ["openssl", "req", "-x509", "-key", key, "-keyform", "DER", "-subj",
         "/CN=x"], check=True, capture_output=True, text=True).stdout
    secret = b"\0\0\0\3" + b'{"password":"correct horse"}'
    cert = hashlib.sha256(flashed().der(pem)).hexdigest()
    job = {"certificate": pem, "chain": pem, "cert_sha256": cert,
           "bundle_sha256": "5a" * 32,
           "configuration": base64.b64encode(secret).decode()}
    assert bench.ask("put", **job)["result"] == "done"
    assert bench.ask("commit", **job)["result"] == "done"
    told = bench.ask("read-back")
    assert (told["cert_sha256"], told["bundle_sha256"],
            told["config_version"], told["locked"]) == (cert, "5a" * 32, 3,
                                                        False)
    parts = flashed().parts_of(bench.flash.read_bytes())
    assert parts["configuration"] == secret
    assert parts["key"] == key.read_bytes()
    for one in (secret[4:], parts["key"]):
        for text in (one.hex(), base64.b64encode(one).decode()[:32],
                     one.decode("latin-1")):
            assert text not in bench.calls()
    assert bench.ask("lock")["result"] == "done"
    for f in bench.state.iterdir():
        assert parts["key"] not in f.read_bytes(), f
    # A byte of flash that flips is no identity.
    data = bytearray(bench.flash.read_bytes())
    data[100] ^= 1
    bench.flash.write_bytes(data)
    assert bench.ask("prove", nonce="00" * 32)["reason"] == "board-failed"


def test_a_tool_or_adapter_that_is_not_there(bench):
    (bench.chip / "away").touch()
    if bench.name == "esp32":
        told = bench.ask("selftest", port="/dev/nothing")
    else:
        told = bench.ask("selftest")
    assert told["reason"] == "selftest-failed" and told["note"], told
    at = bench.argv.index("--tool") + 1
    bench.argv[at] = "mintmark-no-such-tool"
    told = bench.ask("selftest")
    assert told["reason"] == "selftest-failed"
    assert "not installed" in told["note"], told
