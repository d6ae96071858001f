"""Several nodes over one private PostgreSQL, on this machine.

Each has ports, folders, a signer and a journal of its own; the first holds
the ledger's key.  Set up by the same commands an operator gives.
"""
import pathlib
import shutil
import signal
import subprocess
import tempfile

from world import DAEMON, MINT, SIGNER, World, free_ports, run


class Node(World):
    """A further node beside `first`, which must be set up already."""

    def __init__(self, first, name, bundle):
        # pylint: disable=super-init-not-called
        self._is_at(pathlib.Path(
            tempfile.mkdtemp(prefix=f"mintmark-{name}-")))
        self.name = name
        self.devices, self.operators, self.public = free_ports(3)
        self.passphrase.write_text(first.passphrase.read_text())
        self.passphrase.chmod(0o600)
        self.database = first.database
        self.admin_key = first.admin_key
        self._configure(first)
        with open(self.passphrase) as pw:
            run(SIGNER, "join", "--config", self.conf, "--passphrase-fd",
                pw.fileno(), "--from", bundle, pass_fds=[pw.fileno()])
        with open(self.passphrase) as pw:
            run(SIGNER, "renew-tls", "--config", self.conf,
                "--passphrase-fd", pw.fileno(), "--tls-dns", "localhost",
                "--tls-ip", "127.0.0.1", pass_fds=[pw.fileno()])

    def _configure(self, first):
        """The first node's configuration with this node's places."""
        self.etc.mkdir()
        text = first.conf.read_text()
        url = f"public_url = \"http://localhost:{first.public}"
        assert url in text
        text = text.replace(url, "public_url = \"@\"")
        text = text.replace(str(first.dir), str(self.dir))
        for kind in ("devices", "operators", "public"):
            text = text.replace(f":{getattr(first, kind)}",
                                f":{getattr(self, kind)}")
        text = text.replace("public_url = \"@\"", url)
        self.conf.write_text(text)
        self.set_conf("node", f'"{self.name}"')
        for name in ("root.crt", "ledger.key"):
            if (first.etc / name).exists():
                shutil.copy(first.etc / name, self.etc / name)
        context = (first.etc / "context.json").read_text()
        context = context.replace(str(first.dir), str(self.dir))
        self.context.write_text(context.replace(
            f":{first.operators}", f":{self.operators}"))
        shutil.copy(first.etc / "admin.key", self.etc / "admin.key")


def passphrase_run(w, *argv, check=True):
    with open(w.passphrase) as pw:
        return run(SIGNER, argv[0], "--config", w.conf, "--passphrase-fd",
                   pw.fileno(), *argv[1:], pass_fds=[pw.fileno()],
                   check=check)


class Cluster:
    """Nodes a, b, c, ...; the first holds the ledger's key."""

    def __init__(self, database, n=3, prepare=lambda first: None):
        self.first = World(profile="\tbearer = true", database=database)
        self.first.name = "a"
        self.first.set_conf("node", '"a"')
        prepare(self.first)
        bundle = self.first.dir / "node.pem"
        passphrase_run(self.first, "export-node", "--out", bundle)
        self.nodes = [self.first] + [
            Node(self.first, chr(ord("a") + i), bundle) for i in range(1, n)]

    def start(self):
        for w in self.nodes:
            w.start()
        self.first.product()
        return self

    def journals(self):
        return [w.state / "signer/journal.jsonl" for w in self.nodes]

    def reconcile(self, *more, check=True, journals=None):
        own, *others = journals or self.journals()
        return run(MINT, "--json", "ledger", "reconcile", "--config",
                   self.first.conf, *more, "--journal", own, *others,
                   check=check)

    def takeover(self, w, *more, check=True):
        """The operator's command on w's machine."""
        return run(DAEMON, "takeover", "--config", w.conf, "--ledger-key",
                   w.etc / "ledger.key", *more, check=check, timeout=60)

    def close(self):
        for w in self.nodes:
            w.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def kill_all(w):
    """Monitor, server, signer, courier at once, as a machine that fails."""
    import os
    pids = [w.daemon.pid, *w.children().values()]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    w.daemon.wait()
    w.daemon = None
