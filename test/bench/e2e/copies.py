"""A fleet is made of copies: what "fill" has stored through the store's own
interface is there once more, and once more, as if it had gone on.

A statement for each row of a million devices takes two minutes of a
processor.  So the first part of the fleet comes by that way, and SQL makes the
rest of it: other devices, tokens, keys and serial numbers, later by as much as
a part takes, with entries and tiles of their own.  Indexes that only readers
need are made at the end, of all rows.
"""
import contextlib
import datetime
import json
import sqlite3
from hashlib import sha256

from tlog import WIDTH, leaf

PART = 20000  # devices; a multiple of what fill.c counts by
SPAN_MS = 60 * 86400 * 1000  # fill.c's
EACH = {"lot": 100, "batch": 500}  # devices of one
TABLES = ("device", "attribute", "token", "cert", "entry")
BESIDE = {"class", "tile", "listed"}  # what else is more then
BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def part_of(n):
    """How many devices come by the store's interface."""
    return PART if n > PART and n % PART == 0 else n


@contextlib.contextmanager
def opened(database):
    db = sqlite3.connect(database.removeprefix("sqlite:"),
                         isolation_level=None)
    try:
        yield db
    finally:
        db.close()


def counts(db):
    tables = [t for (t,) in db.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {t: db.execute(f"SELECT count(*) FROM {t}").fetchone()[0]
            for t in tables}


class Copies:
    """before: counts() when the store was empty of devices; n: devices in
    the end."""

    def __init__(self, db, before, n):
        self.db, self.before, self.n = db, before, n
        after = counts(db)
        changed = {t for t in after if after[t] != before[t]}
        assert changed == {*TABLES, *BESIDE}, changed
        self.made = {t: after[t] - before[t] for t in TABLES}
        self.times = n // self.made["device"]
        assert self.times <= 1024, "tokens' names would come again"
        self.ms = SPAN_MS // self.times

    def make(self):
        db = self.db
        indexes = db.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND"
            " sql IS NOT NULL AND tbl_name IN ('device', 'token', 'cert')"
        ).fetchall()
        db.create_function("later", 2, self.later, deterministic=True)
        for pragma in ("journal_mode = DELETE", "journal_mode = OFF",
                       "synchronous = OFF", "cache_size = -262144",
                       "temp_store = MEMORY"):
            db.execute(f"PRAGMA {pragma}").fetchall()
        db.execute("BEGIN")
        for name, _ in indexes:
            db.execute(f"DROP INDEX {name}")
        # so that no token's copy has the name of another
        db.execute("UPDATE token SET name = 'mm1-00' || substr(name, 7)")
        db.execute("CREATE TEMP TABLE first AS SELECT * FROM attribute")
        self.cut_entries()
        self.copy_entries(0)
        for k in range(1, self.times):
            self.copy(k)
            self.copy_entries(k)
        self.count()
        for _, sql in indexes:
            db.execute(sql)
        db.execute("COMMIT")
        self.tiles()
        db.execute("PRAGMA journal_mode = WAL").fetchall()

    def later(self, serial, k):
        """Its first 48 bits are milliseconds."""
        ms = int.from_bytes(serial[:6], "big") + k * self.ms
        return ms.to_bytes(6, "big") + serial[6:]

    def select(self, table, changed):
        """A copy of its rows, but for what has changed."""
        names = [c[1] for c in self.db.execute(f"PRAGMA table_info({table})")]
        assert changed.keys() <= set(names), (table, changed)
        values = ", ".join(changed.get(name, name) for name in names)
        return (f"INSERT INTO {table} ({', '.join(names)}) SELECT {values}"
                " FROM " + ("first ORDER BY name, value, device"
                            if table == "attribute" else
                            f"{table} WHERE id <= {self.made[table]}"
                            " ORDER BY id"))

    def copy(self, k):
        made, ms = self.made, k * self.ms
        devices, tokens, certs, entries = (
            k * made[t] for t in ("device", "token", "cert", "entry"))
        n = f"(id - 1 + {devices})"
        two = two_of(k)
        blob = "CAST(x'{:04x}' || substr({}, 3) AS BLOB)"
        changed = {
            "device": {
                "id": f"id + {devices}", "name": f"printf('OLD-%08d', {n})",
                "created_at": f"created_at + {ms}",
                "last": f"last + {entries}", "attributes":
                    "printf('{\"batch\":\"B%05d\",\"hw_rev\":\"R%d\","
                    "\"lot\":%d,\"station\":\"LINE-%d\"}', "
                    f"{n} / {EACH['batch']}, {n} % 50, {n} / {EACH['lot']},"
                    f" {n} % 8)"},
            "attribute": {
                "device": f"device + {devices}", "value":
                    "CASE name WHEN 'lot' THEN value + "
                    f"{devices // EACH['lot']} WHEN 'batch' THEN "
                    "printf('B%05d', substr(value, 2) + "
                    f"{devices // EACH['batch']}) ELSE value END"},
            "token": {
                "id": f"id + {tokens}", "device": f"device + {devices}",
                "name": f"'mm1-{two}' || substr(name, 7)",
                "cert": f"iif(cert = 0, 0, cert + {certs})",
                "created_at": f"created_at + {ms}",
                "not_before_at": f"not_before_at + {ms}",
                "expires_at": f"expires_at + {ms}"},
            "cert": {
                "id": f"id + {certs}", "device": f"device + {devices}",
                "token": f"token + {tokens}", "serial": f"later(serial, {k})",
                "spki": blob.format(k, "spki"),
                "sha256": blob.format(k, "sha256"),
                "issued_at": f"issued_at + {ms}",
                "not_before_s": f"not_before_s + {ms // 1000}",
                "not_after_s": f"not_after_s + {ms // 1000}",
                "entry": f"entry + {entries}", "last": f"last + {entries}"}}
        for table, what in changed.items():
            self.db.execute(self.select(table, what))

    def copy_entries(self, k):
        first = self.before["entry"] + k * self.made["entry"]
        more, two = k * self.ms, two_of(k)
        at = f"strftime('%Y-%m-%dT%H:%M:%fZ', (ms + {more}) / 1000.0," \
            " 'unixepoch')"
        device = f"printf('OLD-%08d', device + {k * self.made['device']})"
        self.db.execute(
            "INSERT OR REPLACE INTO entry (idx, json, back) SELECT"
            f" {first} + i, CAST(p0 || {at} || iif(cert_ms IS NULL,"
            f" p1 || {device} || p2, p1 || '{two}' || p2 || {device} || p3"
            f" || printf('%012x', cert_ms + {more}) || p4 || '{k:04x}' || p5"
            f" || '{k:04x}' || p6) AS BLOB), back FROM piece ORDER BY i")

    def cut_entries(self):
        """What another copy has otherwise lies between pieces."""
        db = self.db
        db.execute("CREATE TEMP TABLE piece (i INTEGER PRIMARY KEY, back, ms,"
                   " device, cert_ms, p0, p1, p2, p3, p4, p5, p6)")
        rows = db.execute(
            "SELECT json, back FROM entry WHERE idx >= ? ORDER BY idx",
            (self.before["entry"],)).fetchall()
        db.executemany(f"INSERT INTO piece VALUES ({'?, ' * 11}?)",
                       ((i, back, *cut(text.decode()))
                        for i, (text, back) in enumerate(rows)))

    def count(self):
        """meta was written by the store."""
        made = {"devices": "device", "tokens": "token", "certs": "cert",
                "entries": "entry"}
        more = [f"{c} = {c} + {self.made[t] * (self.times - 1)}"
                for c, t in made.items()]
        self.db.execute(f"UPDATE meta SET {', '.join(more)}, revoked ="
                        " (SELECT count(*) FROM cert WHERE state >= 3)")

    def tiles(self):
        """All anew: full ones, of each level."""
        db = self.db
        db.execute("BEGIN")
        db.execute("DELETE FROM tile")
        hashes = [leaf(e) for (e,) in
                  db.execute("SELECT json FROM entry ORDER BY idx")]
        level = 0
        while len(hashes) >= WIDTH:
            full = [hashes[i:i + WIDTH] for i in range(
                0, len(hashes) // WIDTH * WIDTH, WIDTH)]
            hashes = [root(t) for t in full]
            db.executemany(
                "INSERT INTO tile (id, root, hashes) VALUES (?, ?, ?)",
                ((level << 56 | i, r, b"".join(t))
                 for i, (r, t) in enumerate(zip(hashes, full))))
            level += 1
        db.execute("COMMIT")


def two_of(k):
    return BASE32[k >> 5 & 31] + BASE32[k & 31]


def cut(text):
    """ms, device, the certificate's ms, and the pieces around what changes."""
    e = json.loads(text)
    has = [(e["at"], ""), (f'"{e["device"]}"', '"')]
    if "serial" in e:
        has = [has[0], (e["authority"][10:], e["authority"][12:]),
               has[1], (e["serial"], e["serial"][12:]),
               (e["cert_sha256"], e["cert_sha256"][4:]),
               (e["spki_sha256"], e["spki_sha256"][4:])]
    pieces = []
    for word, rest in has:
        before, _, text = text.partition(word)
        pieces.append(before + '"' * word.startswith('"'))
        text = rest + text
    pieces.append(text)
    return (ms_of(e["at"]), int(e["device"].removeprefix("OLD-")),
            int(e["serial"][:12], 16) if "serial" in e else None,
            *pieces, *[None] * (7 - len(pieces)))


def ms_of(text):
    at = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return round(at.timestamp() * 1000)


def root(hashes):
    """RFC 6962 2.1, of a full tile."""
    while len(hashes) > 1:
        hashes = [sha256(b"\1" + hashes[i] + hashes[i + 1]).digest()
                  for i in range(0, len(hashes), 2)]
    return hashes[0]


def make(database, before, n):
    with opened(database) as db:
        Copies(db, before, n).make()
