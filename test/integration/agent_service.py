"""The agent as a service, with a socket in systemd's place."""
import contextlib
import json
import os
import select
import signal
import socket
import subprocess

from test_agent import token_file
from world import AGENT, run, until


class Service:
    """One that runs, with a socket in systemd's place."""

    def __init__(self, world, name, env=None, token=True, limits=None,
                 **more):
        self.world, self.name = world, name
        self.base = world.dir / f"run-{name}"
        self.dir = self.base / "identity"
        self.base.mkdir(exist_ok=True)
        self.hooked = self.base / "hooked"
        conf = {"dir": self.dir, "server": f"127.0.0.1:{world.devices}",
                "spread": "0s", "retry": "1s", "retry_most": "1s", **more}
        if token:
            self.token = token_file(world, name)
            conf["token_file"] = self.token
        self.conf = self.base / "agent.conf"
        self.conf.write_text("".join(
            f"{k} = {self.value(v)}\n" for k, v in conf.items()))
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(60)
        self.address = self.base / "notify"
        with contextlib.suppress(FileNotFoundError):
            self.address.unlink()
        self.socket.bind(str(self.address))
        self.log = open(self.base / "log", "a")
        self.p = subprocess.Popen(
            [AGENT, "run", "--config", self.conf], stderr=self.log,
            env={**os.environ, "NOTIFY_SOCKET": str(self.address),
                 **(env or {})}, preexec_fn=limits)
        self.told = []

    @staticmethod
    def value(v):
        if isinstance(v, list):
            return "{ " + ", ".join(f'"{w}"' for w in v) + " }"
        return f'"{v}"'

    def hear(self, word):
        """Until systemd is told that."""
        while not any(word in t for t in self.told):
            self.told.append(self.socket.recv(4096).decode())
        return self

    def drain(self):
        """What waits is taken, as systemd would: the kernel keeps ten of a
        socket's messages, and who sends another one waits."""
        while select.select([self.socket], [], [], 0)[0]:
            self.told.append(self.socket.recv(4096).decode())

    def said(self):
        return (self.base / "log").read_text()

    def status(self, check=True):
        p = run(AGENT, "--json", "status", "--config", self.conf, check=False)
        out = json.loads(p.stdout)
        assert not check or p.returncode == 0, p
        return out

    def service(self):
        """What this one has written, not one before it."""
        got = self.status(check=False).get("service") or {}
        return got if got.get("pid") == self.p.pid else {}

    def reaches(self, what, **more):
        def there():
            self.drain()
            got = self.service()
            return got if what(got) else None
        return until(there, told=lambda: (self.service(), self.said()),
                     passing=(json.JSONDecodeError,), **more)

    def good(self):
        return self.reaches(lambda s: s.get("state") == "waiting" and
                            s["identity"]["confirmed"])

    def stop(self, sig=signal.SIGTERM):
        self.p.send_signal(sig)
        self.drain()
        return self.p.wait(60)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.p.poll() is None:
            self.p.kill()
            self.p.wait(60)
        self.socket.close()
        self.log.close()


def hook(path, rest="exit 0"):
    """A program that keeps its line and its environment."""
    return ["/bin/sh", "-c", f"cat >> {path}; env >> {path}.env; {rest}"]


def lines(path):
    return [json.loads(x) for x in path.read_text().splitlines()] \
        if path.exists() else []
