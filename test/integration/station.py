"""A station at a running World: linux-sim's devices behind pseudo-terminals,
a credential of its own, mintmark-station over both."""
import json
import os
import signal
import subprocess

from world import BUILD, STATION, again, ended, hasty, run

SIM = BUILD / "examples/linux-sim/linux-sim"
SIM_1 = BUILD / "examples/linux-sim/linux-sim-1"  # speaks the link's version 1


class Station:
    def __init__(self, world, folder, name="l1", n=4, more="",
                 limit=("--product", "thermo")):
        self.world, self.dir, self.name, self.n = world, folder, name, n
        self.limit = limit  # of its credential
        self.sim = self.last = None
        folder.mkdir(exist_ok=True)
        self.boards = folder / "boards"
        self.boards.mkdir(exist_ok=True)
        self.conf = folder / "station.conf"
        fixtures = "".join(
            f'fixture "f{i}" {{\n\tport = "{self.port(i)}"\n\tbaud = 0\n}}\n'
            for i in range(1, n + 1))
        self.conf.write_text(
            f'name = {name}\ncentre = "https://localhost:{world.operators}"\n'
            f'anchor = "{world.anchor}"\nstate = "{folder}/state"\n'
            f"product = thermo\npatience = 5s\n{more}{fixtures}")
        self.enrol()

    def enrol(self):
        """A key of its own, pinned at the centre with role line."""
        p = run(*self.argv("enrol", "--json"), check=False)
        assert p.returncode == 7, (p.stdout, p.stderr)
        made = json.loads(p.stdout.splitlines()[0])
        assert made["made"] and not made["known"]
        self.world.cli("key", "create", self.name, "--role", "line",
                       *self.limit, "--certificate", made["certificate"])
        known = json.loads(run(*self.argv("enrol", "--json")).stdout)
        assert known["known"] and not known["made"]

    def port(self, i):
        return self.boards / f"SIM-{i:04}"

    # ---- boards ----

    def plug(self, n=None, *more, sim=SIM):
        self.sim = subprocess.Popen(
            [sim, "-n", str(n or self.n), "-i", *more, self.boards],
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL)
        for _ in range(n or self.n):
            assert self.sim.stdout.readline()
        return self

    def unplug(self, kill=False):
        if self.sim is None:
            return
        if kill:
            self.sim.send_signal(signal.SIGKILL)
            ended(STATION, -signal.SIGKILL)  # so was what it did there
        self.sim.stdin.close()
        self.sim.wait(20)
        self.sim.stdout.close()
        self.sim = None

    def blank(self, i):
        """Another board, with nothing in its flash; while unplugged."""
        (self.boards / f"SIM-{i:04}.flash").unlink()

    # ---- the station ----

    def argv(self, command, *more):
        return [STATION, command, "--config", self.conf, *more]

    def begin(self, *argv, env=None, **more):
        if self.last:  # how it ended is known by now, or it is at work
            ended(STATION, self.last.returncode or 0)
        argv = self.argv(*argv)
        self.last = subprocess.Popen(
            argv if env else again(argv),
            env=hasty({**os.environ, **(env or {})}), text=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
               "stdin": subprocess.DEVNULL, **more})
        ended(STATION, 0, env)
        return self.last

    def provision(self, serial, fixture="f1", env=None):
        """(exit status, its answer or None)"""
        p = self.begin("provision", "--serial", serial, "--fixture", fixture,
                       "--json", env=env)
        out, err = p.communicate(timeout=90)
        return p.returncode, json.loads(out) if out else None

    def passes(self, serial, fixture="f1", env=None):
        code, answer = self.provision(serial, fixture, env)
        assert code == 0 and answer["result"] == "passed", answer
        return answer

    def rows(self):
        text = (self.dir / "state/journal").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def record(self, serial):
        path = self.dir / "state/records" / f"{serial.lower()}.json"
        return json.loads(path.read_text())

    def fact(self, serial, name):
        return self.record(serial)["facts"][name]["value"]

    def certificates(self, serial):
        return self.world.rest(
            "GET", f"/certificates?device={serial}").json["items"]

    def once(self, serial):
        """Exactly one certificate, confirmed, and a record of it.  One that
        was signed when the centre died, and never left it, is an orphan: on
        its issuer's list, and nobody's."""
        certs = self.certificates(serial)
        used = [c for c in certs if c["state"] != "orphaned"]
        assert [c["state"] for c in used] == ["confirmed"], certs
        (cert,) = used
        assert self.fact(serial, "certificate_sha256") == cert["cert_sha256"]
        assert self.fact(serial, "key_sha256") == cert["spki_sha256"]
        return cert

    def close(self):
        self.unplug(kill=True)
