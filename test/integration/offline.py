"""A station that works offline: its own signer, a work order that the
centre's signer signed, no network."""
import hashlib
import contextlib
import json
import pathlib
import shutil
import socket
import subprocess
import sys

from station import Station
from world import ROOT, SIGNER, World, run

sys.path.append(str(ROOT / "test/unit/signer"))
import harness  # noqa: E402
import orders  # noqa: E402

ISSUER = """
issuer "line-{batch}" {{
  certificate = "{dir}/line-{batch}.crt"
  key = "{dir}/line-{batch}.key"
  line = true
}}
"""


class Centre:
    """What the centre does for stations, while mintmarkd is stopped: its
    signer has one process at a time."""

    def __init__(self, world, user=None):
        self.world, self.user = world, user
        self.marker = "production" if user else "test"  # which locks, or not
        p = world.rest("GET", "/profiles/thermo").json
        self.profile = ("thermo", p["version"], p["hash"])
        self.profiles = orders.block(world.conf.read_text(), "profile",
                                     "thermo")
        self.name = self.signer("orders-key").partition("+")[
            0].removesuffix("/orders")

    def signer(self, *argv):
        return run(SIGNER, argv[0], "--config", self.world.conf,
                   *argv[1:], user=self.user).stdout

    def line_ca(self, batch="b7"):
        lines = self.world.dir / "lines"
        lines.mkdir(exist_ok=True)
        if self.user:
            shutil.chown(lines, self.user)
        if f'issuer "line-{batch}"' not in self.world.conf.read_text():
            with open(self.world.conf, "a") as f:
                f.write(ISSUER.format(dir=lines, batch=batch))
            self.signer("issuer", "--issuer", f"line-{batch}")
        return f"line-{batch}"

    def extension(self, batch, station, number, share, until):
        words = f"MMX1 {batch} {station} {number} {share} {until}"
        return self.sign(words.encode(), 1).decode()

    def sign(self, text, extension=0):
        ours, theirs = socket.socketpair(socket.AF_UNIX,
                                         socket.SOCK_SEQPACKET)
        p = subprocess.Popen(
            [SIGNER, "run", "--config", self.world.conf, "--links",
             f"ops:{theirs.fileno()}"], pass_fds=[theirs.fileno()],
            stderr=subprocess.DEVNULL, user=self.user)
        theirs.close()
        try:
            note, = harness.Link("ops", ours).call(
                "order_sign", extension, text)
        finally:
            ours.close()
            p.wait(30)
        return note

    def order(self, station, papers=(), **changed):
        batch = changed.get("batch", "b7")
        # One line CA for all stations here: a signer gives it to one alone.
        (self.world.state / f"signer/issuers/line-{batch}.given").unlink(True)
        issuer = self.line_ca(batch)
        recipient = self.world.dir / "lines/recipient.crt"
        shutil.copyfile(station.transport, recipient)
        line = json.loads(self.signer("export-line", "--issuer", issuer,
                                      "--recipient", recipient))
        fields = orders.fields(line, self.profile, **{
            "centre": self.name, "station": station.name,
            "marker": self.marker, **changed})
        return orders.work_file(self.sign(orders.text(fields)),
                                self.profiles, papers)


@contextlib.contextmanager
def stopped_centre(production=False):
    """Who needs it running starts it.  A production one is root's to have."""
    users = ("nobody", "games") if production else None
    with World(production=production, users=users) as world:
        world.start().product()
        if users:  # its signer is a process of its own here
            shutil.chown(world.passphrase, users[1])
        c = Centre(world, users and users[1])
        world.stop()
        yield c


class Offline(Station):
    """mode: always, or when-away of a station that is enrolled; tpm: what its
    signer's counter is bound to (swtpm.Tpm)."""

    def __init__(self, centre, folder, name="l3", n=1, mode="always",
                 tpm=None):
        self.centre, self.mode, self.tpm = centre, mode, tpm
        self.level = "software" if tpm is None else "rollback-proof"
        folder.mkdir()
        self.set_up_signer(centre, folder / "own", name)
        super().__init__(centre.world, folder, name, n, more=(
            f'offline = {mode}\nsigner = "{self.own.conf}"\n'
            f'signer_program = "{SIGNER}"\n'))

    def set_up_signer(self, centre, folder, name):
        self.own, made = orders.station_signer(
            SIGNER, folder, centre.signer("orders-key"), name, centre.name,
            more=f'tpm = "{self.tpm.path}"\n' if self.tpm else "",
            production=centre.marker == "production")
        assert made["level"] == self.level
        self.transport = made["station_key"]["certificate"]
        self.ledger_key = folder / "ledger.key"
        self.ledger_key.write_text(made["ledger_key"] + "\n")

    def enrol(self):
        if self.mode != "always":
            super().enrol()

    def give(self, order):
        path = self.dir / "order.json"
        path.write_text(order)
        return run(*self.argv("import", "--order", path, "--json"),
                   check=False)

    def takes(self, papers=(), **changed):
        p = self.give(self.centre.order(self, papers, **changed))
        assert p.returncode == 0, p.stdout + p.stderr
        return json.loads(p.stdout)

    def export(self):
        path = self.dir / "export.jsonl"
        run(*self.argv("export", "--out", path))
        return [json.loads(x) for x in path.read_text().splitlines()]

    def entries(self, *kinds):
        return [e for e in (json.loads(x["entry"]) for x in
                            self.export()[1:-1]) if e["type"] in kinds]

    def verify(self, serial):
        """By the station's ledger key and the root, without any network."""
        record = self.dir / f"state/records/{serial.lower()}.json"
        self.world.cli("device", "birth-record", "--verify", record, "--key",
                       self.ledger_key, "--root", self.world.anchor)

    def journal(self):
        path = pathlib.Path(self.own.dir) / "signer/journal.jsonl"
        return [json.loads(x) for x in path.read_text().splitlines()]

    def signed(self):
        return [x for x in self.journal() if x["kind"] == "certificate"]

    def counted(self):
        return json.loads(run(*self.argv("status", "--json")).stdout)[
            "order"]["counted"]

    def proofs(self):
        """What came along with each confirmation is what its entry has the
        hash of."""
        lines = [json.loads(x["entry"]) | x for x in self.export()[1:-1]]
        done = [x for x in lines if x["type"] == "certificate.confirmed"]
        for x in done:
            assert hashlib.sha256(x["proof"].encode()).hexdigest() == \
                x["detail_sha256"], x
        return done

    def once(self, *serials):
        """Of each exactly one certificate, entered, confirmed, and a record;
        the last one's line of the journal."""
        signed = self.signed()
        entries = self.entries("certificate.issued", "certificate.confirmed")
        for serial in serials:
            (line,) = [x for x in signed if x["device"] == serial]
            of = [e for e in entries if e["device"] == serial]
            assert sorted(e["type"] for e in of) == [
                "certificate.confirmed", "certificate.issued"], of
            assert {line["serial"], self.fact(serial, "serial")} == {
                e["serial"] for e in of}
            assert self.fact(serial, "quota_level") == self.level
            self.verify(serial)
        return line


def fails_signed(station, serial, n):
    """Signed for, and never proved: the station has another anchor."""
    if n > 1:
        station.unplug()
        station.blank(1)
    station.plug()
    conf = station.conf.read_text()
    other = station.dir / "other.crt"
    key = station.dir / "other.key"
    run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-out", key)
    run("openssl", "x509", "-in", station.world.anchor, "-signkey", key,
        "-out", other)  # of the same name
    station.conf.write_text(conf.replace(
        f'anchor = "{station.world.anchor}"', f'anchor = "{other}"'))
    code, a = station.provision(serial)
    station.conf.write_text(conf)
    assert code != 0 and station.signed()[-1]["device"] == serial, a
