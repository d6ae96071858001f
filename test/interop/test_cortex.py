"""The device library on bare metal: images for a Cortex-M3, M4 and M33 in
QEMU, through the whole of their making by the library's own station side and
by others' SMP, with certificates from a real mintmarkd, over power cuts that
are kill -9; and their sizes."""
import base64
import contextlib
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import tempfile
import threading
import time

import pytest

import qemu
from qemu import Board, Modem, Noise, symbols
from smpline import Line, read_back
from world import BUILD, ROOT, World, run

PROVISION = BUILD / "examples/linux-sim/provision"
CUTS = int(os.environ.get("MINTMARK_POWER_CUTS", "50"))
# What script/cortex-m makes.
IMAGES = [("p256m", "m3"), ("p256m", "m4"), ("p256m", "m33"), ("psa", "m3"),
          ("psa", "m33"), ("field", "m3")]
LOCKED = 3
# Bytes at most, of a whole image and of memory with its stack.
MOST = {"p256m": (12 << 10, 3584), "psa": (17900, 10240),
        "field": (65460, 24 << 10)}
# The heap of mbed TLS, over a token's handshake and mutual TLS.
HEAP_MOST = 16 << 10


@pytest.fixture(scope="module")
def world():
    with World() as w:
        w.start().product()
        yield w


@pytest.fixture
def folder():
    """Short: a socket's path has 107 bytes."""
    d = pathlib.Path(tempfile.mkdtemp(prefix="mm-"))
    yield d
    shutil.rmtree(d)


def pem_to_der(text):
    bodies = re.findall(r"-----BEGIN CERTIFICATE-----(.*?)-----END", text,
                        re.S)
    return [base64.b64decode(b) for b in bodies]


def chain_of(answer):
    chain = answer["chain"]
    return b"".join(pem_to_der(chain if isinstance(chain, str)
                               else "".join(chain)))


class Unit:
    """One device's way through the line, from whatever state it is in; what
    it ever said is kept to be compared."""

    def __init__(self, world, name):
        self.world, self.name, self.keys, self.certs = world, name, set(), set()
        a = world.rest("POST", "/devices", {"id": name, "product": "thermo"})
        assert a.status == 201, a

    def issue(self, csr):
        a = self.world.rest("POST", f"/devices/{self.name}/enrol",
                            {"csr": base64.b64encode(csr).decode()})
        assert a.status == 200, a
        cert, = pem_to_der(a.json["certificate"])
        self.certs.add(cert)
        return cert, chain_of(a.json)

    def put(self, line, hello, bundle):
        piece, off = 384 // hello["step"] * hello["step"], 0
        while off < len(bundle):
            off = line.tell("put", len=len(bundle), off=off,
                            data=bundle[off:off + piece])["off"]

    def prove(self, line, hello, cert):
        nonce = os.urandom(32)
        said = b"mintmark-prove" + nonce + hello["hw"] + \
            hashlib.sha256(cert).digest()
        with tempfile.TemporaryDirectory() as d:
            d = pathlib.Path(d)
            (d / "sig").write_bytes(line.tell("prove", nonce=nonce)["sig"])
            (d / "said").write_bytes(said)
            (d / "crt").write_bytes(cert)
            (d / "pub").write_text(run("openssl", "x509", "-inform", "DER",
                                       "-in", d / "crt", "-noout",
                                       "-pubkey").stdout)
            run("openssl", "dgst", "-sha256", "-verify", d / "pub",
                "-signature", d / "sig", d / "said")

    def take(self, line):
        """From hello to lock; every step may have been done before."""
        hello = line.tell("hello", time=int(time.time()))
        if hello["state"] != LOCKED:
            told = line.tell("key", kind=0, stir=os.urandom(32))
            self.keys.add(told["pub"])
        cert, chain = self.issue(line.tell("csr")["csr"])
        bundle, digest = cert + chain + b"{}", hashlib.sha256(cert).digest()
        if hello.get("cert") != digest:
            self.put(line, hello, bundle)
            told = line.tell("commit", cert=len(cert), chain=len(chain),
                             conf=2, all=hashlib.sha256(bundle).digest())
            # Power went within the head: what was put is put once more.
            if told.get("err", {}).get("rc") == 7:
                self.put(line, hello, bundle)
                told = line.tell("commit", cert=len(cert), chain=len(chain),
                                 conf=2, all=hashlib.sha256(bundle).digest())
            assert told == {"cert": digest}
        self.prove(line, hello, cert)
        assert line.tell("lock", cert=digest) == {}
        return self.check(line.tell("hello"), digest)

    def check(self, hello, digest):
        assert hello["state"] == LOCKED and hello["cert"] == digest
        assert len(self.keys) == 1 and len(self.certs) == 1
        assert hello["key"] == hashlib.sha256(*self.keys).digest()
        stored = self.world.rest(
            "GET", f"/certificates?device={self.name}").json
        assert len(stored["items"]) == 1, stored
        return hello


def within(board, kind, cpu):
    """After a whole unit: what the image takes, and what memory was used."""
    at = symbols(board.image)
    data = at["data_end"] - at["data_begin"]
    flash = at["image_data"] - at.get("code_begin", 0) + data
    ram = at["bss_end"] - at["data_begin"] + board.stack()[0]
    print(f"{kind}-{cpu}: flash {flash}, memory with stack {ram}")
    assert flash <= MOST[kind][0] and ram <= MOST[kind][1]


@pytest.mark.parametrize("kind,cpu", IMAGES)
def test_made_by_others_smp_and_certified_by_mintmarkd(world, folder, kind,
                                                       cpu):
    board, unit = Board(folder, kind, cpu, 7), Unit(world, f"{kind}-{cpu}")
    with board:
        line = Line(board.console)
        assert unit.take(line)["hw"] == board.id
        within(board, kind, cpu)
        line.close()
    # Power comes back: the same device, done.
    with board:
        line = Line(board.console)
        assert unit.take(line)["state"] == LOCKED
        assert line.tell("put", len=16, off=0, data=bytes(16))["err"]["rc"] \
            == 1
        # and who has lost its record can read what it is
        cert, chain = read_back(line)
        assert {cert} == unit.certs and chain
        line.close()


def provision(folder, path):
    """By the library's own station; what it says of it."""
    p = subprocess.run([PROVISION, folder / "ca", f"{path}=SN-1"], text=True,
                       capture_output=True, timeout=120)
    return json.loads(p.stdout)


@pytest.mark.parametrize("kind,cpu", IMAGES)
def test_made_by_the_librarys_own_station(folder, kind, cpu):
    (folder / "ca").mkdir()
    with Board(folder, kind, cpu) as board:
        assert provision(folder, board.console)["result"] == "done"
        assert len(list((folder / "ca").glob("*.der"))) == 1


def test_a_line_with_noise(folder):
    """A byte in a thousand is another one: it delays and never corrupts."""
    hits = 0
    for number in range(1, max(5, CUTS // 10) + 1):
        shutil.rmtree(folder / "ca", ignore_errors=True)
        (folder / "ca").mkdir()
        with Board(folder, "p256m", "m3", number) as board, \
                Noise(board, folder / f"noise-{number}", number) as noise:
            said = provision(folder, noise.path)
            assert said["result"] == "done", said
            hits += noise.hits
        assert len(list((folder / "ca").glob("*.der"))) == 1
    print(f"{number} units, {hits} bytes spoilt")
    assert hits > 0


@contextlib.contextmanager
def power(board, lasts):
    """The board's console, until power goes after lasts seconds."""
    with board:
        line = Line(board.console)
        plug = threading.Timer(lasts, board.qemu.kill)
        plug.start()
        try:
            yield line
        finally:
            plug.cancel()
            plug.join()
            line.close()


CUT = (EOFError, ConnectionError)


def attempt(board, unit, lasts):
    """A try; False: power went first."""
    with power(board, lasts) as line:
        try:
            unit.take(line)
            return True
        except CUT:
            return False


def cuts_of(take, wanted):
    """Calls take(number, when) for one device after another, each again and
    again until it is done without a cut; when: seconds until power goes,
    at first within the shortest time that one has taken."""
    pick, cuts, units, took = random.Random(wanted), 0, 0, 60
    while cuts < wanted:
        for tries in range(100):
            began = time.monotonic()
            longest = took * (1 + tries / 5)
            if take(units, pick.uniform(0, longest) if units else 60):
                took = min(took, time.monotonic() - began)
                break
            cuts += 1
        else:
            raise AssertionError("it never gets done")
        units += 1
    print(f"{units} units, {cuts} power cuts, {took * 1000:.0f} ms a unit")


@pytest.mark.parametrize("kind,cpu,share", [("p256m", "m3", 2),
                                            ("p256m", "m33", 5),
                                            ("psa", "m3", 5)])
def test_power_cuts(world, folder, kind, cpu, share):
    """SIGKILL at random moments of a unit, until it is done all the same; as
    many cuts as asked for.  Exactly one key, one certificate."""
    units = {}

    def take(number, when):
        if number not in units:
            units[number] = (Board(folder, kind, cpu, number),
                             Unit(world, f"{kind}-{cpu}-cut-{number:04}"))
        return attempt(*units[number], when)

    cuts_of(take, CUTS // share)


def told(line, modem, board, token, look):
    """Sends the label; what the device says of it."""
    os.write(line.fd, (token["uri"] + "\n").encode())
    while b"enrol: " not in (said := line.readline(30)):
        pass
    look(board)
    secret = token["token"].split("-")[2]
    assert len(secret) == 32 and secret.encode() not in modem.seen
    return said


def enrol(board, token, lasts=60, look=lambda board: None):
    """A token on the console: what came of it, None if power went first."""
    with power(board, lasts) as line:
        try:
            with Modem(board.modem) as modem:
                return told(line, modem, board, token, look)
        except CUT:
            return None


def confirmed(world, device):
    stored = world.rest("GET", f"/certificates?device={device}").json
    return [c["state"] for c in stored["items"]] == ["confirmed"]


def test_a_token_in_the_field(world, folder):
    """The token's handshake, EST, mutual TLS, over the second line."""
    def look(board):
        at, heap = symbols(board.image), board.heap()
        ram = at["bss_end"] - at["data_begin"] + board.stack()[0]
        print(f"field-m3: memory with stack {ram}, heap {heap}")
        assert ram <= MOST["field"][1] and heap <= HEAP_MOST

    board = Board(folder, "field", "m3")
    assert enrol(board, world.token("token-m3"), look=look) == \
        b"enrol: done\r\n"
    assert confirmed(world, "token-m3")


def test_a_token_over_power_cuts(world, folder):
    """The same label again after each: one certificate, confirmed."""
    tokens = {}

    def take(number, when):
        name = f"token-cut-{number}"
        if number not in tokens:
            tokens[number] = (Board(folder, "field", "m3", number),
                              world.token(name))
        said = enrol(*tokens[number], when)
        assert said in (None, b"enrol: done\r\n"), said
        assert said is None or confirmed(world, name)
        return said is not None

    cuts_of(take, CUTS // 10)


@pytest.mark.parametrize("kind,cpu", IMAGES)
def test_what_is_not_in_an_image(kind, cpu):
    """No allocation where a library of one's own needs none; no text of
    libc's, no division in software, anywhere."""
    has = set(symbols(qemu.IMAGES / f"{kind}-{cpu}.elf"))
    assert {"start", "main"} & has
    never = {"printf", "_printf_i", "snprintf", "vsnprintf", "strtol", "exit",
             "abort", "__aeabi_uldivmod", "__aeabi_ldivmod"}
    if kind == "p256m":
        never |= {"malloc", "_malloc_r", "free", "calloc", "_sbrk",
                  "__malloc_lock"}
    assert not never & has



def test_a_copy_has_its_own_configuration(tmp_path):
    """Whatever it is called: docs/firmware.md says to copy it."""
    copy = shutil.copytree(ROOT / "examples/cortex-m", tmp_path / "my-board")
    one = tmp_path / "out/psa-m3/mbedtls/library/platform_util.o"
    argv = ["make", "-C", copy, f"MBEDTLS={ROOT}/var/mbedtls/3.6",
            f"DEVICE={ROOT}/device", f"O={tmp_path}/out", one]
    run(*argv)
    for name in ("config_psa.h", "config_psa_wants.h"):
        one.unlink()
        was = (copy / name).read_text()
        (copy / name).write_text("#error this one\n")
        p = run(*argv, check=False)
        assert p.returncode != 0 and f"{name}:1:2: error" in p.stderr
        (copy / name).write_text(was)
        run(*argv)
