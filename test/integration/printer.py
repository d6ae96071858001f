"""A label printer by TCP, as far as a station sees one: it reads ZPL, answers
~HS, and does what printers do on a bad day."""
import re
import socket
import struct
import threading


class Printer:
    """how: "ok"; "paper" out of paper; "hangs" says nothing; "reads" a label,
    and then says nothing; "cuts" the connection when it has read one; "ends":
    out of paper once it has read one."""

    def __init__(self, how="ok"):
        self.how = how
        self.labels = []   # what came out, each from ^XA to ^XZ
        self.met = 0       # connections
        self.read = 0      # labels, as it is now
        self.holds = []    # connections that it says nothing on any more
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.name = f"tcp:127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def status(self):
        paper = int(self.how == "paper" or
                    (self.how == "ends" and self.read > 0))
        return (f"\x02030,{paper},0,0203,000,0,0,0,000,0,0,0\x03\r\n"
                "\x02001,0,0,0,1,2,6,0,00000000,1,000\x03\r\n"
                "\x021234,0\x03\r\n").encode()

    def serve(self):
        while True:
            try:
                c, _ = self.listener.accept()
            except OSError:
                return
            self.met += 1
            if not self.talk(c):
                c.close()

    def talk(self, c):
        """True: the connection stays, and nothing is said on it."""
        got = b""
        if self.how == "hangs":
            self.holds.append(c)
            return True
        while True:
            try:
                some = c.recv(4096)
            except OSError:
                return False
            if not some:
                return False
            got += some
            for one in re.findall(rb"\^XA.*?\^XZ", got, re.S):
                self.labels.append(one.decode())
                self.read += 1
                got = got.replace(one, b"", 1)
                if self.how == "cuts":
                    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                 struct.pack("ii", 1, 0))
                    return False
                if self.how == "reads":
                    self.holds.append(c)
                    return True
            if b"~HS" in got:
                got = got.replace(b"~HS", b"", 1)
                c.sendall(self.status())

    def let_go(self, how="ok"):
        """It was switched off and on."""
        self.how = how
        self.read = 0
        for c in self.holds:
            c.close()
        self.holds.clear()

    def close(self):
        self.let_go()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)
