"""A TPM 2.0 in software, behind a device that is opened like /dev/tpmrm0: the
signer makes no sockets.  The device is a pseudo-terminal."""
import os
import pathlib
import select
import socket
import subprocess
import termios
import threading
import tty


class Tpm:
    def __init__(self, folder):
        self.dir = pathlib.Path(folder)
        self.dir.mkdir(exist_ok=True)
        self.path = self.dir / "device"
        self.start()

    def start(self):
        """Its state is in the folder, as a chip's is in the chip."""
        self.chip, theirs = socket.socketpair()
        self.chip.settimeout(60)
        self.process = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.dir}",
             "--fd", str(theirs.fileno()), "--flags",
             "not-need-init,startup-clear"], pass_fds=[theirs.fileno()],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        theirs.close()
        self.master, slave = os.openpty()
        tty.setraw(slave)
        self.path.unlink(True)
        self.path.symlink_to(os.ttyname(slave))
        self.ends, self.end = os.pipe()
        self.thread = threading.Thread(target=self.serve, args=(slave,))
        self.thread.start()
        return self

    def ask(self, command):
        self.chip.sendall(command)
        answer = self.chip.recv(4096)
        while len(answer) < 10 or len(answer) < int.from_bytes(
                answer[2:6], "big"):
            answer += self.chip.recv(4096)
        return answer

    def serve(self, slave):
        """Commands one by one.  slave stays open, so that nobody's end is the
        device's; what somebody left unread is dropped before the next
        command."""
        have = b""
        while True:
            ready, _, _ = select.select([self.master, self.ends], [], [])
            if self.ends in ready:
                break
            have += os.read(self.master, 4096)
            n = int.from_bytes(have[2:6], "big") if len(have) >= 10 else 10
            if len(have) >= n:
                termios.tcflush(slave, termios.TCIFLUSH)
                os.write(self.master, self.ask(have[:n]))
                have = have[n:]
        os.close(slave)
        os.close(self.master)

    def stop(self):
        if self.process is None:
            return
        self.path.unlink()
        os.close(self.end)
        self.thread.join()
        os.close(self.ends)
        self.chip.close()
        self.process.terminate()
        self.process.wait(60)
        self.process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
