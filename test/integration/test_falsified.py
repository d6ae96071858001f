"""Whoever can write the database changes one value of it, and "ledger
reconcile" says where: every column of every table that an entry tells of.
Those that none tells stand below, each with a reason; a new column fails this
test until somebody decides."""
import contextlib
import json
import os
import re
import sqlite3
import time

import pytest

from busy import Busy
from world import MINT, faketime, run

HOSTILE = True  # see world.py

OTHER = "zeroblob(31) || x'01'"


def of(name, table="cert"):
    """The row of that device."""
    return f"{table}.device = (SELECT id FROM device WHERE name = '{name}')"


def entry_of(kind):
    return ("idx = (SELECT max(idx) FROM entry WHERE CAST(json AS TEXT) "
            f"LIKE '%\"type\":\"{kind}\"%')")


def body(was, becomes):
    return f"CAST(replace(CAST(body AS TEXT), '{was}', '{becomes}') AS BLOB)"


SCHEMAS, HOOKS = "kind = 0 AND id = 'meter'", "kind = 1"
APPROVALS, SECRETS = "kind = 3", "kind = 6"
FACTORY = "kind = 7 AND id LIKE 'profile:factory%'"
ISSUER = "kind = 7 AND id = 'issuer:issuing'"
HASH = "CAST('\"" + "0" * 64 + "\"' AS BLOB)"
CERT, DEV, TOK = r"certificate \w+: ", r"device [\w-]+: ", r"token mm1-\w+: "
NOT_IN = "not in the database"
ENTRIES = "the database's entries are not what was signed"

# column: [(becomes, where, what reconcile says)]
AMONG = "revoked, and not among its shard's"
TOLD = {
    "meta.products": [("products + 1", "1", "counter products: ")],
    "meta.devices": [("devices + 1", "1", "counter devices: ")],
    "meta.tokens": [("tokens + 1", "1", "counter tokens: ")],
    "meta.certs": [("certs + 1", "1", "counter certificates: ")],
    "meta.revoked": [("revoked + 1", "1", "counter revoked: ")],
    "meta.entries": [("entries + 1", "1", "entry \\d+: not in the database"),
                     ("entries - 1", "1", "entry \\d+: behind the ledger"),
                     ("1000000000000", "1", "entries \\d+ to 999999999999: "
                      "not in the database")],

    "class.id": [("id + 1000", "product = 'meter'", DEV + "another product")],
    "class.product": [("'other'", "product = 'meter' AND issuer = ''",
                       DEV + "another product")],
    "class.issuer": [("'other'", "issuer = 'issuing'",
                      "another device, issuer or profile in the database")],
    "class.profile": [("profile || '9'", "issuer = 'issuing'",
                       "another device, issuer or profile in the database")],

    "product.name": [("'new'", "name = 'bare'", "product new: not in the led"),
                     ("'new'", "name = 'bare'", "product bare: " + NOT_IN)],
    "product.ldevid_profile": [("'thermo'", "name = 'bare'",
                                "product bare: another profile")],
    "product.created_at": [("created_at - 3600000", "name = 'bare'",
                            "product bare: another time when created")],
    "product.version": [("1", "name = 'bare'",
                         "product bare: another version")],

    "device.id": [("id + 100000", "name = 'PLAIN'",
                   "another device, issuer or profile in the database")],
    "device.name": [("'NEW'", "name = 'IMP-7'", "device NEW: not in the led"),
                    ("'NEW'", "name = 'IMP-7'", "device IMP-7: " + NOT_IN),
                    ("'imp-7'", "name = 'IMP-7'",
                     "device imp-7: another way to write its id")],
    "device.class": [("(SELECT class FROM device WHERE name = 'PLAIN')",
                      "name = 'IMP-7'", "device IMP-7: another product")],
    "device.state": [("1", "name = 'IMP-7'", "device IMP-7: active in the "
                      "ledger, retired in the database"),
                     ("0", "name = 'RETIRED'", "device RETIRED: retired in "
                      "the ledger, active in the database")],
    "device.created_at": [("created_at + 3600000", "name = 'IMP-7'",
                           "device IMP-7: another time when created")],
    "device.bound_spki": [(OTHER, "name = 'IMP-7'", "device IMP-7: another k"),
                          ("NULL", "name = 'IMP-3'", "device IMP-3: another")],
    "device.attributes": [("'{}'", "name = 'IMP-7'",
                           "device IMP-7: another attributes"),
                          ("NULL", "name = 'IMP-1'",
                           "device IMP-1: another attributes")],
    "device.salt": [("zeroblob(15) || x'01'", "name = 'IMP-7'",
                     "device IMP-7: another attributes"),
                    ("NULL", "name = 'IMP-7'",
                     "device IMP-7: another attributes")],
    "device.last": [("last - 1", "name = 'IMP-7'",
                     "device IMP-7: another newest entry"),
                    ("NULL", "name = 'IMP-7'", "device IMP-7: another hist")],

    "token.id": [("id + 100000", of("PLAIN", "token"),
                  CERT + "another authority")],
    "token.name": [("'mm1-00000000000000000000'", of("MINTED", "token"),
                    "token mm1-0+: not in the ledger")],
    "token.device": [("(SELECT id FROM device WHERE name = 'PLAIN')",
                      of("MINTED", "token"), TOK + "another device")],
    "token.class": [("(SELECT min(id) FROM class)", of("FACTORY", "token"),
                     TOK + "another (product|profile)")],
    "token.state": [("0", of(n, "token"), TOK + f"{s} in the ledger, minted "
                     "in the database") for n, s in (
                         ("PLAIN", "issued"), ("CONFIRMED", "confirmed"),
                         ("FROZEN", "frozen"), ("CANCELLED", "cancelled"),
                         ("EXPIRED", "expired"), ("THAWED", "thawed"),
                         ("PROVED", "thawed"))] +
                   [("2", of("REBOUND", "token"), TOK + "minted in the led")],
    "token.created_at": [("created_at + 3600000", of("MINTED", "token"),
                          TOK + "another time when created")],
    "token.expires_at": [("expires_at + 1", of("MINTED", "token"),
                          TOK + "another end")],
    "token.cert": [("0", of("PLAIN", "token"), CERT + "its authority was spe"),
                   ("(SELECT id FROM cert WHERE " + of("REBOUND") + ")",
                    of("REBOUND", "token"), CERT + "its authority is spent")],
    "token.bound_spki": [(OTHER, of("MINTED", "token"), TOK + "another key"),
                         ("NULL", of("BOUND", "token"), TOK + "another key"),
                         ("NULL", of("REBOUND", "token"), TOK + "another")],
    "token.last": [("NULL", of("FROZEN", "token"),
                    "device FROZEN: another history")],

    "cert.id": [("id + 100000", of("PLAIN"), CERT + "its authority was spe")],
    "cert.serial": [("zeroblob(15) || x'01'", of("PLAIN"), "0{31}1: not in "
                     "the (journal|ledger)")],
    "cert.device": [("(SELECT id FROM device WHERE name = 'LATE')",
                     of("PLAIN"), "another device, issuer or profile in the")],
    "cert.class": [("(SELECT min(id) FROM class)", of("PLAIN"),
                    "another device, issuer or profile in the database")],
    "cert.state": [(str(n), of(name), CERT + f"{was} in the ledger, {now} in")
                   for name, was, n, now in (
                       ("PLAIN", "issued", 1, "confirmed"),
                       ("HELD", "held", 0, "issued"),
                       ("REVOKED", "revoked", 1, "confirmed"),
                       ("RELEASED", "confirmed", 3, "held"),
                       ("ORPHAN", "orphaned", 0, "issued"),
                       ("PLAIN", "issued", 5, "orphaned"))] +
                  [("1", "state = 2", CERT + "superseded in the ledger, con")],
    "cert.idevid": [("1", of("NEXT"), CERT + "another kind of certificate")],
    "cert.key_origin": [("1", of("PLAIN"), CERT + "another origin of its key"),
                        ("0", of("SERVERKEY"), CERT + "another origin of")],
    "cert.token": [("NULL", of("PLAIN"), CERT + "another authority"),
                   ("(SELECT id FROM token WHERE " + of("MINTED", "token") +
                    ")", of("PLAIN"), CERT + "another authority")],
    "cert.authority": [("'operator:x'", of("BYHAND"),
                        CERT + "another authority")],
    "cert.claim": [("NULL", of("BYHAND"), CERT + "its authority was spent"),
                   ("claim + 1", of("BYHAND"), CERT + "its authority was sp")],
    "cert.spki": [(OTHER, of("PLAIN"), "another key in the database")],
    "cert.sha256": [(OTHER, of("PLAIN"), CERT + "another hash"),
                    ("NULL", of("PLAIN"), CERT + "another hash")],
    "cert.predecessor": [("NULL", "predecessor IS NOT NULL",
                          CERT + "another predecessor"),
                         ("(SELECT id FROM cert WHERE " + of("PLAIN") + ")",
                          of("LATE"), CERT + "another predecessor")],
    "cert.issued_at": [("issued_at + 1000", of("PLAIN"),
                        CERT + "another time when issued")],
    "cert.not_before_s": [("not_before_s + 1", of("PLAIN"),
                           CERT + "another beginning")],
    "cert.not_after_s": [("not_after_s + 1", of("PLAIN"),
                          "another end in the database")],
    "cert.confirmed_at": [("confirmed_at + 3600000", of("RELEASED"),
                           CERT + "another time when confirmed"),
                          ("issued_at", of("PLAIN"), CERT + "another time wh"),
                          ("0", of("RELEASED"), CERT + "another time when c")],
    "cert.revoked_at": [("revoked_at + 3600000", of("REVOKED"),
                         CERT + "another time when revoked"),
                        ("0", of("HELD"), CERT + "another time when revoked")],
    "cert.reason": [("4", of("REVOKED"), CERT + "another reason"),
                    ("0", of("HELD"), CERT + "another reason")],
    "cert.entry": [("entry + 1", of("PLAIN"), CERT + "another entry"),
                   ("NULL", of("PLAIN"), CERT + "another entry")],
    "cert.orphan": [("'NOBODY'", of("PLAIN"), "another device, issuer or pr")],
    "cert.der": [("x'00'", of("PLAIN"), "not what was signed in the"),
                 ("NULL", of("PLAIN"), "not what was signed in the"),
                 ("substr(der, 1, length(der) - 1) || CASE substr(der, -1) "
                  "WHEN x'00' THEN x'01' ELSE x'00' END", of("PLAIN"),
                  "another certificate in the")],
    "cert.last": [("NULL", of("HELD"), "device HELD: another history")],
    "cert.key_type": [("key_type + 1", of("PLAIN"), CERT + "another kind of"),
                      ("NULL", of("PLAIN"), CERT + "another kind of key")],

    "operator.name": [("'0123456789abcdef'", "person = 'Line'",
                       "operator 0123456789abcdef: not in the ledger")],
    "operator.person": [("'Nobody'", "person = ''", r"operator \w+: another "
                         "name or description")],
    "operator.description": [("'once'", "person = ''", r"operator \w+: "
                              "another name or description")],
    "operator.roles": [("'admin'", "person = 'Line'",
                        r"operator \w+: another roles")],
    "operator.created_at": [("created_at - 3600000", "person = 'Line'",
                             r"operator \w+: another time when created")],
    "operator.expires_at": [("0", "person = 'Line'",
                             r"operator \w+: another end")],
    "operator.revoked_at": [("0", "person = 'Gone'", r"operator \w+: revoked "
                             "in the ledger, good in the database"),
                            ("created_at", "person = 'Line'", r"operator \w+: "
                             "good in the ledger, revoked in the database"),
                            ("revoked_at + 3600000", "person = 'Gone'",
                             r"operator \w+: another time when revoked")],
    "operator.next_spki": [(OTHER, "person = 'Card'", r"operator \w+: good "
                            "in the ledger, renewed in the database")],
    "operator.kind": [("0", "kind = 2", r"operator \w+: another kind")],
    "operator.scope": [("''", "person = 'Line'",
                        r"operator \w+: another scope")],
    "operator.spki": [(OTHER, "person = 'Card'",
                       r"operator \w+: another key"),
                      ("NULL", "person = 'Card'",
                       r"operator \w+: another key"),
                      (OTHER, "person = 'Ada'", r"operator \w+: another key")],

    "entry.idx": [("idx + 100000", "idx = 9", f"entry 9: {NOT_IN}")],
    "entry.json": [("x'00'", "idx = 5", "entry 5: not an entry"),
                   ("CAST(replace(CAST(json AS TEXT), 'token.minted', "
                    "'token.melted') AS BLOB)", entry_of("token.minted"),
                    "entry \\d+: of a type that is not known: token.melted"),
                   ("CAST(replace(CAST(json AS TEXT), '\"token\":\"mm1-', "
                    "'\"token\":\"mm1-z') AS BLOB)", entry_of("token.minted"),
                    ENTRIES),
                   ("(SELECT json FROM entry WHERE idx = 20)", "idx = 21",
                    ENTRIES)] +
                  [("CAST(replace(CAST(json AS TEXT), 'Z\"', '1Z\"') AS BLOB)",
                    entry_of(kind), f"{ENTRIES}|not an entry")
                   for kind in ("alert", "crl.signed", "webhook.removed")],
    "entry.back": [("NULL", entry_of("token.frozen"), DEV + "another history"),
                   ("back + 1", entry_of("certificate.held"),
                    DEV + "another history")],
    "tile.id": [("id + 100", "id = 0", "tile/0/000: not made of")],
    "tile.root": [(OTHER, "id = 0", "tile/1/000.p/\\d: not made of")],
    "tile.hashes": [("zeroblob(8192)", "id = 1", "tile/0/001: not made of")],
    "checkpoint.size": [("size - 1", "1", "the stored checkpoint is not sign"),
                        ("size + 1", "1", "the stored checkpoint is not sig")],
    "checkpoint.note": [("CAST(replace(CAST(note AS TEXT), 'localhost/', "
                         "'localhost.') AS BLOB)", "1",
                         "the stored checkpoint is not signed with the")],

    "cert.shard": [("63 - shard", "der IS NOT NULL",
                    "another shard in the database")],
    "listed.class": [("99", "1", AMONG)],
    "listed.shard": [("shard + 1", "1", AMONG)],
    "listed.not_after_s": [("-1", "1", AMONG)],
    "listed.cert": [("(SELECT max(id) FROM cert) + 1", "cert = (SELECT "
                     "min(cert) FROM listed)", AMONG)],
    "shard.issuer": [("'other'", "1", NOT_IN)],
    "shard.shard": [("999 + shard", "1", NOT_IN)],
    "shard.number": [("number - 1", "1", "an older one in the database"),
                     ("number + 1", "1", "in the database, not in the")],
    "shard.next_s": [("next_s + 3600", "1", "another end in the database")],
    "shard.der": [("x'00'", "1", "not what was signed in the database")],
    "crl.issuer": [("'other'", "1", NOT_IN)],
    "crl.number": [("number - 1", "1", "an older one in the database"),
                   ("number + 1", "1", "in the database, not in the journal")],
    "crl.next_s": [("next_s + 3600", "1", "another end in the database")],
    "crl.der": [("x'00'", "1", "not what was signed in the database"),
                ("substr(der, 1, length(der) - 1) || CASE substr(der, -1) "
                 "WHEN x'00' THEN x'01' ELSE x'00' END", "1",
                 "without its issuer's signature in the database")],

    "doc.kind": [("5", HOOKS, r"webhook wh_\w+: " + NOT_IN),
                 ("5", APPROVALS, r"approval \w+: " + NOT_IN),
                 ("5", SECRETS, "secret authorise: " + NOT_IN),
                 ("5", SCHEMAS, "schema of product meter: " + NOT_IN),
                 ("5", FACTORY, r"profile factory@\d: " + NOT_IN),
                 ("5", ISSUER, "issuer issuing: " + NOT_IN)],
    "doc.id": [("'bare'", SCHEMAS, "schema of product bare: not in the led"),
               ("'other'", SECRETS, "secret other: not in the ledger"),
               ("'wh_0' || substr(id, 5)", HOOKS, "webhook wh_0.*: not in "),
               ("'profile:x@1'", FACTORY, r"profile factory@\d: " + NOT_IN),
               ("'issuer:x'", ISSUER, "issuer issuing: " + NOT_IN),
               ("'0' || id", APPROVALS, "approval 00.*: not in the ledger")],
    "doc.version": [("version + 1", SCHEMAS, "schema of product meter: anoth"),
                    ("version + 1", SECRETS, "secret authorise: another ver"),
                    ("version + 1", HOOKS, r"webhook \w+: another version"),
                    ("version + 1", APPROVALS, r"approval \w+: another ver")],
    "doc.body": [(HASH, FACTORY, r"profile factory@\d: another hash"),
                 ("x'00'", FACTORY, r"profile factory@\d: another hash"),
                 (HASH, ISSUER, "issuer issuing: another certificate"),
                 ("x'00'", SCHEMAS, "schema of product meter: another text"),
                 ("x'00'", HOOKS, r"webhook wh_\w+: .* in the ledger, in no"),
                 ("x'00'", APPROVALS, r"approval \w+: .* in no known state"),
                 (body("hw_rev", "hw_REV"), SCHEMAS,
                  "schema of product meter: another text"),
                 (body("paused", "active"), HOOKS, r"webhook \w+: paused in "
                  "the ledger, active in the database"),
                 (body('"state":"active"', '"state":"paused"'), HOOKS,
                  r"webhook \w+: active in the ledger, paused in"),
                 (body("disabled", "active"), HOOKS, r"webhook \w+: disabled"),
                 (body('"secret":2', '"secret":1'), HOOKS,
                  r"webhook \w+: another secret"),
                 (body('"secret":2', '"secret":1'), SECRETS,
                  "secret authorise: another secret"),
                 (body('"rotated":1', '"rotated":2'), SECRETS,
                  "secret authorise: another time when rotated"),
                 (body('"rotated":1', '"rotated":2'), HOOKS,
                  r"webhook \w+: another time when rotated"),
                 (body('"epoch":2', '"epoch":1'), HOOKS,
                  r"webhook \w+: another epoch"),
                 (body('"created":1', '"created":2'), HOOKS,
                  r"webhook \w+: another time when created"),
                 (body("waiting", "approved"), APPROVALS, r"approval \w+: "
                  "waiting in the ledger, approved in the database"),
                 (body("refused", "waiting"), APPROVALS,
                  r"approval \w+: refused in the ledger, waiting"),
                 (body("keys", "seys"), APPROVALS,
                  r"approval \w+: another action"),
                 (body('"requester":"', '"requester":"0'), APPROVALS,
                  r"approval \w+: another requester"),
                 (body('"request_sha256":"', '"request_sha256":"0'), APPROVALS,
                  r"approval \w+: another request"),
                 (body('"salt":"', '"salt":"0'), APPROVALS,
                  r"approval \w+: another request"),
                 (body('"expires":"2', '"expires":"3'), APPROVALS,
                  r"approval \w+: another end"),
                 (body('"decider":"', '"decider":"0'), APPROVALS,
                  r"approval \w+: another decider"),
                 (body('"decided":"2', '"decided":"3'), APPROVALS,
                  r"approval \w+: another time when decided"),
                 (body('"requested":"2', '"requested":"3'), APPROVALS,
                  r"approval \w+: another time when requested")],
}

ANSWER = "of an Idempotency-Key's answer, which ages"
INNER = "a place of the store's own; another one changes nothing"
INDEX = "made of device.attributes, by which recalls find devices faster"
# column: why nothing tells it
UNTOLD = {
    "meta.id": "there is one row", "checkpoint.id": "there is one row",
    "meta.touched": "counts failed commits, for the server",
    "product.description": "for people",
    "product.idevid_profile": "no entry has it; a token or certificate of "
                              "that profile has its own",
    "product.hw_type_oid": "no entry has it; certificates do, and are signed",
    "token.bearer": "no entry has the door; the profile must open it, too",
    "token.not_before_at": "no entry has it; the end is told",
    "token.segment": "computed of id", "cert.segment": "computed of id",
    "cert.replaced": "a limit's count of one day",
    "cert.replaced_at": "a limit's count of one day",
    "cert.held_from": "no reader gives it; once the certificate is released "
                      "it is the state, which is told",
    "operator.secret_sha256": "a secret's hash is not put into a ledger",
    "operator.sources": "addresses of people are not put into a ledger",
    "operator.used_at": "to the hour, for people",
    "operator.next_expires_at": "once it is used it is the expires_at",
    "operator.renewed_at": "the time of an entry, for the pace",
    "operator.life_ms": "what comes of it is an expires_at",
    "operator_spent.spki": "keys of entries, which nobody has any more",
    "crl.this_s": "nobody reads it; the list says it itself",
    "shard.this_s": "nobody reads it; the list says it itself",
    "answer.key": ANSWER, "answer.request_sha256": ANSWER,
    "answer.status": ANSWER, "answer.at": ANSWER, "answer.body": ANSWER,
    "attribute.name": INDEX, "attribute.value": INDEX,
    "attribute.device": INDEX,
}


@pytest.fixture(scope="module")
def busy():
    b = Busy()
    try:
        yield b.do_all()
    finally:
        b.w.close()


def database(b):
    return b.w.state / "server/mintmark.db"


def reconcile(b, when="+1h"):
    """Its exit status, and what differs, as "record: difference"."""
    p = run(MINT, "--json", "ledger", "reconcile", "--config", b.w.conf,
            check=False, env={**os.environ, **faketime(when)})
    out = json.loads(p.stdout) if p.stdout else {"differences": []}
    return p.returncode, [
        f"{d.get('record') or d.get('serial') or 'CRL'}: {d['difference']}"
        for d in out["differences"]], p


@contextlib.contextmanager
def falsified(b, *sql):
    good = database(b).read_bytes()
    try:
        with contextlib.closing(sqlite3.connect(database(b))) as db:
            for one in sql:
                assert db.execute(one).rowcount > 0, one
            db.commit()
        yield
    finally:
        database(b).write_bytes(good)


def columns(b):
    """{table: its columns}, generated ones too."""
    with contextlib.closing(sqlite3.connect(database(b))) as db:
        tables = [t for t, in db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {t: [r[1] for r in db.execute(f"PRAGMA table_xinfo({t})")]
                for t in tables}


def test_the_busy_world_agrees(busy):
    rc, differences, p = reconcile(busy)
    assert rc == 0 and differences == [], (differences, p.stderr)


def test_every_column_is_told_or_has_a_reason(busy):
    have = {f"{t}.{c}" for t, cs in columns(busy).items() for c in cs}
    assert not set(TOLD) & set(UNTOLD)
    assert have == set(TOLD) | set(UNTOLD)


ROWS = [(c, *change) for c, changes in TOLD.items() for change in changes]


@pytest.mark.parametrize("column, becomes, where, says", ROWS,
                         ids=[f"{i}-{r[0]}" for i, r in enumerate(ROWS)])
def test_a_changed_value_is_named(busy, column, becomes, where, says):
    table, name = column.split(".")
    with falsified(busy, f"UPDATE {table} SET {name} = {becomes} "
                   f"WHERE {where}"):
        rc, differences, p = reconcile(busy)
    assert rc == 9, p
    assert any(re.search(says, d) for d in differences), (differences, p)


def other_value(column):
    table, name = column.split(".")
    return (f"UPDATE {table} SET {name} = CASE typeof({name}) WHEN 'integer' "
            f"THEN {name} + 1 WHEN 'blob' THEN zeroblob(length({name})) "
            f"ELSE {name} || 'x' END")


def test_what_nothing_tells_agrees(busy):
    """The reasons above are not out of date."""
    with falsified(busy, *[other_value(c) for c in UNTOLD
                           if not c.endswith((".segment", ".id", ".device"))]):
        rc, differences, p = reconcile(busy)
    assert rc == 0, (differences, p)


REMOVED = [
    ("product", "name", "", "product .*: " + NOT_IN),
    ("device", "id", "WHERE name = 'IMP-9'", "device IMP-9: " + NOT_IN),
    ("token", "id", "WHERE state = 0", TOK + NOT_IN),
    ("cert", "id", "", r"\w{32}: " + NOT_IN),
    ("cert", "id", "WHERE state = 5", r"\w{32}: " + NOT_IN),
    ("operator", "name", "", r"operator \w+: " + NOT_IN),
    ("entry", "idx", "WHERE idx = 7", "entry 7: " + NOT_IN),
    ("tile", "id", "", "tile/0/000: not made of"),
    ("crl", "issuer", "", "CRL: " + NOT_IN),
    ("shard", "shard", "", "CRL: " + NOT_IN),
    ("listed", "cert", "", r"certificate \w{32}: " + AMONG),
    ("checkpoint", "id", "", "signed, but no checkpoint is stored"),
    ("doc", "id", "WHERE id LIKE 'profile:%'", "profile .*: " + NOT_IN),
    ("doc", "id", "WHERE id LIKE 'issuer:%'", "issuer .*: " + NOT_IN),
    ("doc", "id", "WHERE kind = 0 AND id = 'meter'", "schema.*: " + NOT_IN),
    ("doc", "id", "WHERE kind = 1", "webhook .*: " + NOT_IN),
    ("doc", "id", "WHERE kind = 3", "approval .*: " + NOT_IN),
    ("doc", "id", "WHERE kind = 6", "secret authorise: " + NOT_IN),
    ("class", "id", "WHERE issuer != ''",
     "another device, issuer or profile in the database"),
]


@pytest.mark.parametrize("table, key, which, says", REMOVED)
def test_a_removed_row_is_named(busy, table, key, which, says):
    with falsified(busy, f"DELETE FROM {table} WHERE {key} = (SELECT {key} "
                   f"FROM {table} {which} LIMIT 1)"):
        rc, differences, p = reconcile(busy)
    assert rc == 9, p
    assert any(re.search(says, d) for d in differences), (differences, p)


def test_no_counters(busy):
    with falsified(busy, "DELETE FROM meta"):
        rc, _, p = reconcile(busy)
    assert rc == 9 and "has no counters" in p.stderr, p


def test_an_older_checkpoint(busy):
    size, note = busy.checkpoint
    with falsified(busy, f"UPDATE checkpoint SET size = {size}, "
                   f"note = x'{note.hex()}'"):
        rc, differences, p = reconcile(busy)
    assert rc == 9 and re.search(
        "tree of \\d+ entries: signed, but the stored checkpoint is older",
        "\n".join(differences)), p


def test_all_rows_removed(busy):
    with falsified(busy, "DELETE FROM device", "DELETE FROM token",
                   "DELETE FROM cert"):
        rc, differences, p = reconcile(busy)
    assert rc == 9 and len(differences) > 400, p


@pytest.mark.parametrize("column", [
    "device.bound_spki", "token.bound_spki", "cert.spki", "cert.serial",
    "operator.secret_sha256", "product.description", "class.profile",
    "doc.id"])
def test_what_cannot_be_read_is_named(busy, column):
    """The rest is compared all the same."""
    table, name = column.split(".")
    with falsified(busy, f"UPDATE {table} SET {name} = zeroblob(5000) || x'01'"
                   f" WHERE rowid = (SELECT max(rowid) FROM {table})"
                   if table not in ("operator", "product", "doc") else
                   f"UPDATE {table} SET {name} = zeroblob(5000) || x'01' "
                   f"WHERE {name} = (SELECT max({name}) FROM {table})",
                   "UPDATE crl SET next_s = next_s + 1"):
        rc, differences, p = reconcile(busy)
    assert rc == 9, p
    assert "cannot be read" in p.stdout + p.stderr, p
    assert "CRL: another end in the database" in differences


def test_entries_removed_in_a_row(busy):
    with falsified(busy, "DELETE FROM entry WHERE idx IN (5, 6, 9)"):
        rc, differences, p = reconcile(busy)
    assert rc == 9, p
    assert {"entries 5 to 6: not in the database",
            "entry 9: not in the database"} <= set(differences)


def copied(b, table, where, **other):
    """An INSERT of that row with other values."""
    names = [c for c in columns(b)[table] if c != "segment" and
             not (c == "id" and table in ("device", "token", "cert"))]
    values = [other.get(n, n) for n in names]
    return (f"INSERT INTO {table} ({', '.join(names)}) SELECT "
            f"{', '.join(values)} FROM {table} WHERE {where} LIMIT 1")


@pytest.mark.parametrize("table, where, other, says", [
    ("product", "1", {"name": "'more'"}, "product more: not in the ledger"),
    ("device", "1", {"name": "'more'"}, "device more: not in the ledger"),
    ("token", "1", {"name": "'mm1-00000000000000000000'"},
     "token mm1-0+: not in the ledger"),
    ("cert", "state = 1", {"serial": "zeroblob(15) || x'01'"},
     "0{31}1: not in the"),
    ("operator", "kind = 0", {"name": "'0123456789abcdef'"},
     "operator 0123456789abcdef: not in the ledger"),
    ("entry", "1", {"idx": "(SELECT max(idx) + 1 FROM entry)"},
     "entry \\d+: behind the ledger's end"),
    ("doc", "id LIKE 'profile:%'", {"id": "'profile:thermo@4'"},
     "profile thermo@4: not in the ledger"),
    ("doc", "kind = 0 AND id = 'meter'", {"id": "'bare'"},
     "schema of product bare: not in the ledger"),
    ("doc", "kind = 1", {"id": "'wh_0'"}, "webhook wh_0: not in the ledger"),
    ("doc", "kind = 3", {"id": "'0'"}, "approval 0: not in the ledger"),
])
def test_an_inserted_row_is_named(busy, table, where, other, says):
    conf = busy.w.conf.read_text()
    try:
        if "thermo@4" in says:  # as a server would find it at its next start
            busy.w.edit('\tversion = 4', "")
        with falsified(busy, copied(busy, table, where, **other)):
            rc, differences, p = reconcile(busy)
    finally:
        busy.w.conf.write_text(conf)
    assert rc == 9, p
    assert any(re.search(says, d) for d in differences), (differences, p)


@pytest.mark.parametrize("kind, says", [
    ("checkpoint", "the stored checkpoint is not in the journal"),
    ("token", TOK + "not in the journal"),
    ("certificate", "not in the journal"),
])
def test_a_journal_without_its_end(busy, kind, says):
    """Cut back to before the last line of that kind."""
    path = busy.w.state / "signer/journal.jsonl"
    good = path.read_bytes()
    lines = good.splitlines(keepends=True)
    end = max(i for i, x in enumerate(lines)
              if f'"kind":"{kind}"'.encode() in x)
    try:
        path.write_bytes(b"".join(lines[:end]))
        rc, differences, p = reconcile(busy)
    finally:
        path.write_bytes(good)
    assert rc == 9, p
    assert any(re.search(says, d) for d in differences), (differences, p)


def test_a_control_character_is_not_printed(busy):
    with falsified(busy, "UPDATE device SET name = 'a' || char(27) || '[2J'"
                   " || char(155) WHERE name = 'IMP-7'"):
        for more in ([], ["--json"]):
            p = run(MINT, *more, "ledger", "reconcile", "--config",
                    busy.w.conf, check=False)
            assert p.returncode == 9 and "not in the ledger" in p.stdout
            assert "\x1b" not in p.stdout and "\x9b" not in p.stdout


# ---- last: it goes on ----

def test_days_later(busy):
    """Approvals end; a month on the closed ones are forgotten."""
    w = busy.w
    w.start(env=faketime("+26h"))
    busy.until(lambda: len(busy.entries("approval.expired")) >= 2)
    w.stop()
    rc, differences, p = reconcile(busy, "+27h")
    assert rc == 0, (differences, p)
    w.start(env=faketime("+32d"))
    end = time.monotonic() + 90
    while "approval" in busy.w.rest("GET", "/approvals").text:
        assert time.monotonic() < end, w.log()[-2000:]
        time.sleep(0.1)
    w.stop()
    rc, differences, p = reconcile(busy, "+33d")
    assert rc == 0, (differences, p)
