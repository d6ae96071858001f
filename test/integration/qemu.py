"""Boards that QEMU plays: the images of examples/cortex-m.  Their flash is a
file that a kill -9 leaves as it was, their lines are sockets."""
import contextlib
import json
import os
import pathlib
import random
import select
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

from world import ROOT

IMAGES = pathlib.Path(os.environ.get("MINTMARK_CORTEX",
                                     ROOT / "build/cortex-m"))
MACHINES = {"m3": "mps2-an385", "m4": "mps2-an386", "m33": "mps2-an505"}
MEMORY = 16 << 20  # what the machines have, most of it never written
FLASH, ID_AT, ID_N = 0x10000, 0x10000, 12  # flash.c


def symbols(elf):
    """Addresses of an image's symbols."""
    out = subprocess.run(["arm-none-eabi-nm", elf], check=True, text=True,
                         capture_output=True).stdout
    rows = [line.split() for line in out.splitlines()]
    return {r[2]: int(r[0], 16) for r in rows if len(r) == 3}


class Board:
    """One device; on and off as often as one likes.  folder: short, since
    sockets are in it."""

    def __init__(self, folder, kind, cpu, number=1):
        assert shutil.which("qemu-system-arm"), "script/setup test"
        self.dir, self.machine = folder, MACHINES[cpu]
        self.image = IMAGES / f"{kind}-{cpu}.elf"
        assert self.image.exists(), f"{self.image}: script/cortex-m"
        self.id = b"QEMU" + struct.pack(">Q", number)
        self.console = folder / "console"
        self.modem = folder / "modem"
        self.flash = folder / "flash"
        self.qemu = None
        with open(self.flash, "wb") as f:
            f.write(b"\xff" * FLASH + self.id)
            f.truncate(MEMORY)

    def on(self):
        """Waits on its first instruction until its console is connected."""
        for path in self.console, self.modem:
            path.unlink(missing_ok=True)
        self.qemu = subprocess.Popen(
            ["qemu-system-arm", "-nodefaults", "-display", "none",
             "-machine", f"{self.machine},memory-backend=ram0",
             "-object", "memory-backend-file,id=ram0,share=on,"
             f"size={MEMORY},mem-path={self.flash}",
             "-semihosting-config", "enable=on,target=native",
             "-qmp", f"unix:{self.dir}/qmp,server=on,wait=off",
             "-chardev", f"socket,id=m,path={self.modem},server=on,wait=off",
             "-chardev", f"socket,id=c,path={self.console},server=on",
             "-serial", "chardev:c", "-serial", "chardev:m",
             "-kernel", self.image],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=open(self.dir / "log", "wb"))
        end = time.monotonic() + 20
        while b"waiting for connection" not in \
                (self.dir / "log").read_bytes():
            assert self.qemu.poll() is None, (self.dir / "log").read_text()
            assert time.monotonic() < end, "QEMU's console"
            time.sleep(0.002)
        return self

    def off(self):
        """As if somebody pulled the plug."""
        if self.qemu is None:
            return
        self.qemu.send_signal(signal.SIGKILL)
        assert self.qemu.wait(20) == -signal.SIGKILL, "it had failed itself"
        self.qemu = None

    def __enter__(self):
        return self.on()

    def __exit__(self, *exc):
        self.off()

    def monitor(self, command, **arguments):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(f"{self.dir}/qmp")
            f = s.makefile("rw")
            f.readline()
            for what in ({"execute": "qmp_capabilities"},
                         {"execute": command, "arguments": arguments}):
                f.write(json.dumps(what) + "\n")
                f.flush()
                answer = json.loads(f.readline())
                while "event" in answer:
                    answer = json.loads(f.readline())
                assert "return" in answer, answer

    def stack(self):
        """(bytes used at most, bytes there are) since it was switched on."""
        at = symbols(self.image)
        low, top = at["stack_low"], at["stack_top"]
        saved = self.dir / "stack"
        self.monitor("memsave", val=low, size=top - low, filename=str(saved))
        words = saved.read_bytes()
        n = next(i for i in range(0, len(words), 4)
                 if words[i:i + 4] != b"\xa5" * 4)
        return top - low - n, top - low

    def heap(self):
        """Bytes that malloc has asked for."""
        at = symbols(self.image)
        saved = self.dir / "heap"
        self.monitor("memsave", val=at["board_heap"], size=4,
                     filename=str(saved))
        return struct.unpack("<I", saved.read_bytes())[0] - at["heap_begin"]


class Modem:
    """The other end of a board's second line (examples/cortex-m/modem.h): one
    TCP connection at a time, only to this machine."""

    def __init__(self, path):
        self.line = socket.socket(socket.AF_UNIX)
        self.line.connect(str(path))
        self.server, self.seen, self.stopped = None, bytearray(), False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stopped = True
        with contextlib.suppress(OSError):
            self.line.shutdown(socket.SHUT_RDWR)
        self.thread.join(20)
        assert not self.thread.is_alive()
        self.line.close()

    def put(self, kind, data=b""):
        self.line.sendall(kind + struct.pack(">H", len(data)) + data)

    def hang_up(self):
        if self.server is not None:
            self.server.close()
            self.server = None

    def frame(self, kind, data):
        if kind == b"o":
            self.hang_up()
            _, port = data.decode().rsplit(":", 1)
            try:
                self.server = socket.create_connection(
                    ("127.0.0.1", int(port)), 20)
            except OSError:
                return self.put(b"r")
            self.put(b"o")
        elif kind == b"d" and self.server is not None:
            self.seen += data
            with contextlib.suppress(OSError):
                self.server.sendall(data)
        elif kind == b"c":
            self.hang_up()
        return None

    def from_board(self, buf):
        more = self.line.recv(4096)
        buf += more
        while len(buf) >= 3 and len(buf) >= 3 + (n := buf[1] << 8 | buf[2]):
            kind, data = bytes(buf[:1]), bytes(buf[3:3 + n])
            del buf[:3 + n]
            self.frame(kind, data)
        return more != b""

    def from_server(self):
        try:
            data = self.server.recv(1024)
        except OSError:
            data = b""
        self.seen += data
        self.put(b"d" if data else b"c", data)
        if not data:
            self.hang_up()

    def run(self):
        buf = bytearray()
        with contextlib.suppress(OSError):
            while not self.stopped:
                both = [s for s in (self.line, self.server) if s is not None]
                for s in select.select(both, [], [], 1)[0]:
                    if s is self.line and not self.from_board(buf):
                        return self.hang_up()
                    if s is self.server and s is not None:
                        self.from_server()
        return self.hang_up()


class Noise:
    """A line to a board on which a byte in so many is another one, both ways;
    a socket at path, for one caller."""

    def __init__(self, board, path, seed, one_in=1000):
        self.pick, self.one_in, self.hits = random.Random(seed), one_in, 0
        self.path = path
        self.door = socket.socket(socket.AF_UNIX)
        self.door.bind(str(path))
        self.door.listen(1)
        self.board = socket.socket(socket.AF_UNIX)
        self.board.connect(str(board.console))
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.board.shutdown(socket.SHUT_RDWR)
        self.thread.join(20)
        assert not self.thread.is_alive()
        self.board.close()

    def spoil(self, data):
        out = bytearray(data)
        for i in range(len(out)):
            if self.pick.randrange(self.one_in) == 0:
                out[i] ^= self.pick.randrange(1, 256)
                self.hits += 1
        return out

    def run(self):
        with self.door, contextlib.suppress(OSError):
            station, _ = self.door.accept()
            with station:
                other = {station: self.board, self.board: station}
                while True:
                    for s in select.select(list(other), [], [])[0]:
                        data = s.recv(4096)
                        if not data:
                            return
                        other[s].sendall(self.spoil(data))
