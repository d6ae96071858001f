"""The station's end of a device's line, spoken by an SMP implementation that
others wrote (the `smp` package of the mcumgr world), over a terminal or an
emulator's socket."""
import os
import select
import site
import socket
import stat
import termios
import time
import tty

from world import ROOT

# script/setup makes this corner; without it these tests fail, not pass.
for folder in (ROOT / "var/venv/lib").glob("python3*/site-packages"):
    site.addsitedir(str(folder))

import cbor2  # noqa: E402
from smp import header as smphdr, message, packet  # noqa: E402

GROUP = 0x4D4D
READS = {"hello": 0, "csr": 2, "prove": 5, "get": 7}
WRITES = {"key": 1, "put": 3, "commit": 4, "lock": 6}


def request(name, version=smphdr.Version.V2, **fields):
    """A typed request as firmware people would declare one for smp."""
    base = message.WriteRequest if name in WRITES else message.ReadRequest
    number = {**READS, **WRITES}[name]
    annotations = {k: type(v) for k, v in fields.items()}
    cls = type(name, (base,), {"_GROUP_ID": GROUP, "_COMMAND_ID": number,
                               "__annotations__": annotations})
    return cls(version=version, **fields)


def read_back(line):
    """(certificate, chain) that a device has in use, by get."""
    whole, said = b"", None
    while said is None or len(whole) < sum(said):
        told = line.tell("get", off=len(whole))
        assert said in (None, (told["cert"], told["chain"])), told
        said = told["cert"], told["chain"]
        assert set(told) == {"cert", "chain", "data"} and told["data"], told
        whole += told["data"]
    return whole[:said[0]], whole[said[0]:]


class Line:
    """The station's end of a serial line: a path, or what is open already."""

    def __init__(self, path, width=128):
        if isinstance(path, int):
            self.fd = path
        elif stat.S_ISSOCK(os.stat(path).st_mode):
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(str(path))
                self.fd = s.detach()
        else:
            self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
            tty.setraw(self.fd, termios.TCSANOW)
        self.width, self.text = width, b""

    def close(self):
        os.close(self.fd)

    def readline(self, seconds=10):
        end = time.monotonic() + seconds
        while b"\n" not in self.text:
            left = end - time.monotonic()
            assert left > 0 and select.select([self.fd], [], [], left)[0], \
                "an answer in time"
            more = os.read(self.fd, 4096)
            if not more:
                raise EOFError("the line ended")
            self.text += more
        line, _, self.text = self.text.partition(b"\n")
        return line + b"\n"

    def ask_raw(self, data):
        """The packet that comes for one; log text between is dropped."""
        for line in packet.encode(data, line_length=self.width):
            os.write(self.fd, line)
        decoder = packet.decode()
        next(decoder)
        while True:
            line = self.readline()
            at = max(line.find(b"\x06\x09"), line.find(b"\x04\x14"))
            if at < 0:
                continue
            try:
                decoder.send(line[at:])
            except StopIteration as e:
                return bytes(e.value)

    def ask(self, req):
        data = self.ask_raw(bytes(req))
        head = smphdr.Header.loads(data[:8])
        assert head.op == req.header.op + 1
        assert head.version == req.header.version
        assert (head.group_id, head.sequence, head.command_id) == (
            req.header.group_id, req.header.sequence, req.header.command_id)
        assert head.length == len(data) - 8
        return cbor2.loads(data[8:])

    def tell(self, name, **fields):
        return self.ask(request(name, **fields))
