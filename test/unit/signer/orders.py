"""Work orders for tests: signed by a real centre's signer, with a line CA
that it made and sealed for a station's signer."""
import json
import pathlib
import struct
import subprocess
import time

from harness import Signer

ISSUER = """
issuer "line-b7" {{
  certificate = "{dir}/server/line-b7.crt"
  key = "{dir}/signer/keys/line-b7.key"
  line = true
}}
"""

STATION = """
name = "{name}"
production = {production}
signer_dir = "{dir}/signer"
passphrase_file = "{dir}/pass"
ledger_origin = "{origin}"
journal_sync = true
public_url = "http://{host}"
"""


def stamp(at):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(at))


def text(fields):
    """Canonical, as docs/protocol/order.md has it."""
    return b"mintmark-order/1\n" + json.dumps(
        fields, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


KEYS = ["centre", "station", "number", "previous", "made_at", "batch",
        "product", "state", "marker", "mode", "share", "scrap", "not_before",
        "until", "unsynced_s", "level", "take", "on_conflict", "key_origin",
        "serials", "serials_sha256", "serials_count", "scan", "recipe",
        "lock", "config_version", "config_sha256", "fields_sha256",
        "ca_chain", "ca_key", "ca_name", "ca_url", "badge_salt", "profiles", "people"]


def fields(line, profile, **changed):
    """An offline order's; line: what export-line printed; profile: name,
    version and hash.  None leaves a key out."""
    now = time.time()
    f = {"centre": "localhost/ledger", "station": "l3", "number": 1,
         "made_at": stamp(now), "batch": "b7", "product": "thermo",
         "state": "open", "marker": "test", "mode": "offline", "share": 3,
         "scrap": 0, "not_before": stamp(now - 60),
         "until": stamp(now + 86400), "level": "software", "take": "scan",
         "on_conflict": "stop", "key_origin": "device",
         "serials": "SN-{01..25}", "scan": "plain",
         "profiles": [dict(zip(("name", "version", "sha256"), profile))],
         "people": [], **line, **changed}
    return {k: f[k] for k in KEYS if f.get(k) is not None}


def work_file(note, profiles, papers=()):
    return json.dumps({"v": 1, "order": note.decode(), "profiles": profiles,
                       "papers": list(papers)})


def stream(order):
    """A work file as mintmark-station hands it to take-order."""
    f = json.loads(order)
    parts = [f["order"].encode(), f["profiles"].encode(),
             "".join(f["papers"][:1]).encode()]
    return b"".join(struct.pack(">I", len(p)) + p for p in parts)


def block(conf, kind, name):
    """A block of a configuration, as it stands there."""
    at = conf.index(f'{kind} "{name}" {{')
    return conf[at:conf.index("\n}", at) + 3]


def station_signer(program, folder, orders_key, name="l3",
                   centre="localhost/ledger", more="", production=False):
    """A station's signer, set up; (it, what station-init printed).  more: of
    its configuration."""
    folder = pathlib.Path(folder)
    folder.mkdir(exist_ok=True)
    origin = f"{centre}/{name}"
    s = Signer(program, folder,
               lambda _: STATION.format(
                   dir=folder, name=name, origin=origin,
                   host="pki.example.com" if production else "localhost",
                   production=str(production).lower()) + more)
    key = folder / "orders.key.pub"
    key.write_text(orders_key)
    made = json.loads(s.command("station-init", "--station", name,
                                "--orders-key", key).stdout)
    return s, made


class Line:
    """Key and CSR of a device, by openssl."""

    def __init__(self, folder):
        self.dir, self.n = pathlib.Path(folder), 0

    def csr(self):
        self.n += 1
        out = self.dir / f"csr{self.n}.der"
        subprocess.run(
            ["openssl", "req", "-new", "-newkey", "EC", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x", "-keyout",
             self.dir / f"key{self.n}.pem", "-outform", "DER", "-out", out],
            check=True, capture_output=True)
        return out.read_bytes()
