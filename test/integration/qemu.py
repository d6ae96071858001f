"""Boards that QEMU plays: the images of examples/cortex-m.  Their flash is a
file that a kill -9 leaves as it was, their lines are sockets."""
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
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
