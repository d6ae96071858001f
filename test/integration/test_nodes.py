"""Several nodes over one database issue at once; any of them may die."""
import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import threading
import time

import pytest

import test_field as field
import test_operators as operators
import world
from nodes import Cluster, kill_all, passphrase_run
from postgres import Postgres
from test_enrol import entries, journal
from world import MINT, run, serial_of

RESUME_S = 40


@pytest.fixture(scope="module")
def server():
    """Room for two clusters of three at a time, 36 connections each."""
    with Postgres("max_connections=150") as p:
        yield p


@pytest.fixture
def cluster(server):
    with Cluster(server.database()) as c:
        yield c.start()


@pytest.fixture(scope="module")
def steady(server):
    """For tests in which nothing dies."""
    with Cluster(server.database()) as c:
        yield c.start()


def until(what, seconds=RESUME_S):
    """A node that is away or not yet awake is no failure."""
    return world.until(what, seconds, (OSError, http.client.HTTPException))


class Load:
    """Threads that enrol devices at any node that answers; each keeps asking
    with the same token and key until it has its certificate."""

    def __init__(self, cluster, threads=4):
        self.nodes, self.got, self.wrong = cluster.nodes, {}, []
        self.ending = False
        self.threads = [threading.Thread(target=self._run, args=(i,))
                        for i in range(threads)]
        for t in self.threads:
            t.start()

    def _ask(self, n, what):
        """Node after node; a node that is dead or busy is passed by."""
        while not self.ending:
            n += 1
            with contextlib.suppress(OSError, http.client.HTTPException):
                a = what(self.nodes[n % len(self.nodes)])
                if a.status != 503:
                    return a
            time.sleep(0.02)
        return None

    def _run(self, i):
        n = 0
        while not self.ending:
            n += 1
            name = f"L-{i}-{n}"
            csr = self.nodes[0].key_and_csr(name)[1]
            t = self._ask(n, lambda w: w.rest("POST", "/tokens", {
                "device": name, "product": "thermo", "door": "bearer"}))
            if t is None or t.status == 409:  # minted; the answer was lost
                continue
            a = t if t.status != 201 else self._ask(
                n, lambda w: w.enrol_basic(t.json, csr))
            if a is not None and a.status == 200:
                self.got[name] = a
            elif a is not None:
                self.wrong.append(a)

    def grows(self, by):
        want, end = len(self.got) + by, time.monotonic() + RESUME_S
        while len(self.got) < want:
            assert time.monotonic() < end and not self.wrong, self.wrong
            time.sleep(0.02)

    def close(self):
        self.ending = True
        for t in self.threads:
            t.join()


def meta_locked(server, db):
    """Nobody writes."""
    return locked(server, db, "SELECT * FROM mintmark.meta FOR UPDATE")


def verify(w):
    """Every entry, tile and the checkpoint, as an auditor sees them."""
    w.cli("ledger", "checkpoint")
    p = run(MINT, "--context", w.context, "--json", "ledger", "verify",
            check=False)
    assert p.returncode == 0, p.stdout + p.stderr


def covered(w):
    """Its own ledger has no entry that no checkpoint covers."""
    s = w.rest("GET", "/status").json["ledger"]
    return s["checkpoint_size"] == s["size"]


def on_record(load, w):
    serials = set()
    for name, a in load.got.items():
        serial = serial_of(w.save_p7(a, name))
        row = w.rest("GET", f"/certificates/{serial}")
        assert row.status == 200 and row.json["device"] == name, row
        serials.add(serial)
    assert len(serials) == len(load.got)


def settled(cluster):
    """Nothing outstanding anywhere: three records and no difference."""
    def agree():
        p = cluster.reconcile(check=False)
        out = json.loads(p.stdout)
        return (out["agree"] and out["in_flight"] == 0) and out
    out = until(agree)
    assert out["recovered"] == 0, out
    return out


def test_three_nodes_issue_at_once(steady):
    load = Load(steady)
    try:
        load.grows(40)
    finally:
        load.close()
    assert not load.wrong
    for w in steady.nodes:
        until(lambda w=w: covered(w))
        assert w.rest("GET", "/status").json["since_start"]["issued"] > 0
        verify(w)
    on_record(load, steady.nodes[2])
    out = settled(steady)
    assert out["journal"] == out["ledger"] == out["database"]
    # each journal has its own signatures only
    for w in steady.nodes:
        kinds = [json.loads(x)["kind"] for x in
                 (w.state / "signer/journal.jsonl").read_text().split("\n")
                 if x]
        assert "recovered" not in kinds
        assert ("checkpoint" in kinds) == (w is steady.first)


def signed(cluster, device):
    """Lines of its certificates in all journals."""
    return sum(len(journal(w, device)) for w in cluster.nodes)


def test_one_token_at_two_nodes_makes_one_certificate(steady):
    """Same key: the same bytes.  Another key: refused, and an alert.  Either
    way nothing is signed that is not used."""
    a, b, _ = steady.nodes
    for n in range(12):
        t = a.token(f"T-{n}", door="bearer")
        csr = a.key_and_csr(f"T-{n}")[1]
        other = a.key_and_csr(f"T-{n}-other")[1] if n % 2 else csr
        got = {}
        go = threading.Barrier(2)

        def ask(w, c):
            go.wait()
            got[w.name] = until(
                lambda: (x := w.enrol_basic(t, c)).status != 503 and x)
        both = [threading.Thread(target=ask, args=x)
                for x in ((a, csr), (b, other))]
        for x in both:
            x.start()
        for x in both:
            x.join()
        states = sorted(x.status for x in got.values())
        certs = a.rest("GET", f"/certificates?device=T-{n}").json["items"]
        assert len(certs) == 1 == signed(steady, f"T-{n}"), certs
        if other is csr:
            assert states == [200, 200], got
            assert got["a"].body == got["b"].body
        else:
            assert states == [200, 409], got
            assert [e for e in entries(a, "alert") if e["token"] == t["id"]]
    settled(steady)


@contextlib.contextmanager
def locked(server, db, statement):
    p = subprocess.Popen(
        ["psql", "-qAtX", "-h", str(server.dir), "-p", str(server.port),
         "-U", "postgres", "-d", db], text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE)
    try:
        p.stdin.write(f"BEGIN; {statement};\nSELECT 'locked';\n")
        p.stdin.flush()
        while p.stdout.readline() != "locked\n":
            assert p.poll() is None
        yield
    finally:
        p.communicate("ROLLBACK;\n")


def no_certificate_can_be_stored(server, db):
    return locked(server, db, "LOCK TABLE mintmark.cert IN EXCLUSIVE MODE")


def test_a_node_that_dies_with_a_reservation(cluster, server):
    """Between the reservation and the commit; the token is the others' after
    the lease, not before and not never."""
    a, b, _ = cluster.nodes
    db = f"mm{server.n}"
    t = a.token("D-1", door="bearer")
    csr = a.key_and_csr("D-1")[1]

    def ask():
        with contextlib.suppress(OSError, http.client.HTTPException):
            a.enrol_basic(t, csr)
    asking = threading.Thread(target=ask)
    with no_certificate_can_be_stored(server, db):
        asking.start()
        until(lambda: server.sql("SELECT count(*) FROM pg_locks WHERE NOT "
                                 "granted AND locktype = 'relation'",
                                 db) != "0")
        kill_all(a)
    asking.join()
    end = server.sql("SELECT until FROM mintmark.reservation "
                     "WHERE node = 'a'", db)
    assert end
    first = b.enrol_basic(t, csr)
    assert first.status == 503 and "retry-after" in first.headers, first
    assert len(journal(b, "D-1")) == 0
    until(lambda: b.enrol_basic(t, csr).status == 200, 60)
    assert server.sql(f"SELECT clock_timestamp() >= '{end}'", db) == "t"
    a.start(wait=False)
    until(lambda: a.get_public("/readyz").status == 200)
    # what the dead one signed is nobody's, and on the list
    settled(cluster)
    assert (len(journal(a, "D-1")), len(journal(b, "D-1"))) == (1, 1)
    assert [e["node"] for e in entries(b, "signature.orphaned")] == ["a"]
    assert a.enrol_basic(t, csr).body == b.enrol_basic(t, csr).body


@pytest.mark.parametrize("what", ["server", "signer", "all"])
def test_a_node_that_dies_loses_nothing(what, cluster):
    load = Load(cluster)
    try:
        for w in cluster.nodes:
            load.grows(6)
            if what == "all":
                kill_all(w)
            else:
                os.kill(w.children()[what], signal.SIGKILL)
            load.grows(6)
            if what == "all":
                w.start(wait=False)
            until(lambda w=w: w.get_public("/readyz").status == 200)
        load.grows(6)
    finally:
        load.close()
    assert not load.wrong
    for w in cluster.nodes:
        until(lambda w=w: covered(w))
        verify(w)
    on_record(load, cluster.nodes[1])
    settled(cluster)


def test_a_revocation_at_one_node_is_on_every_nodes_list(steady):
    a, b, c = steady.nodes
    serials = []
    for i, w in enumerate(steady.nodes):
        t = w.token(f"R-{i}", door="bearer")
        csr = w.key_and_csr(f"R-{i}")[1]
        pem = w.save_p7(w.enrol_basic(t, csr), f"R-{i}")
        serials.append(serial_of(pem))
    for w, serial in zip((b, c, a), serials):
        assert w.rest("POST", f"/certificates/{serial}/revoke",
                      {"reason": "keyCompromise"}).status == 200

    for w in steady.nodes:
        until(lambda w=w: all(on_list(w, s) for s in serials))


def test_all_lists_in_one_are_the_same_everywhere(steady):
    """The root's too: a broker may ask whichever node answers."""
    def all_of():
        return {w.get_public("/crl/bundle.pem").text for w in steady.nodes}

    until(lambda: len(all_of()) == 1)
    assert all_of().pop().count("BEGIN X509 CRL") == 2


def on_list(w, serial):
    crl = w.dir / "crl"
    crl.write_bytes(w.get_public("/crl/issuing.crl").body)
    text = run("openssl", "crl", "-inform", "DER", "-in", crl, "-noout",
               "-text").stdout.lower()
    return serial.lstrip("0") in text


def test_a_revocation_is_listed_though_its_node_died(cluster):
    """Before it signed a list: the others do, long before theirs end."""
    a, b, c = cluster.nodes
    t = b.token("RD-1", door="bearer")
    csr = b.key_and_csr("RD-1")[1]
    serial = serial_of(b.save_p7(b.enrol_basic(t, csr), "RD-1"))
    os.kill(b.children()["signer"], signal.SIGSTOP)
    assert b.rest("POST", f"/certificates/{serial}/revoke",
                  {"reason": "keyCompromise"}).status == 200
    kill_all(b)
    for w in (a, c):
        until(lambda w=w: on_list(w, serial))
    items = a.rest("GET", "/ledger/entries?limit=1000").json["items"]
    at = max(i["index"] for i in items
             if i["entry"]["type"] == "certificate.revoked")
    lists = [i["entry"] for i in items
             if i["entry"]["type"] == "crl.signed"]
    # the complete one and its shard's, each by one of them, once
    mine = str(int(serial[-8:], 16) % 64)
    for shards in (None, mine):
        assert [x["node"] for x in lists if x["size"] > at and
                x.get("shards") == shards] in (["a"], ["c"]), lists
    assert len([x for x in lists if x["size"] > at]) == 2
    for w in (a, c):
        until(lambda w=w: bytes.fromhex(serial) in
              w.get_public(f"/crl/issuing/{mine}.crl").body)


def test_lists_at_alternating_nodes_lose_no_number(cluster):
    a, b, _ = cluster.nodes
    for _ in range(4):
        for w in (a, b):
            assert w.rest("POST", "/issuers/issuing/crl",
                          {}).status == 200
    runs = {(n, x["number"]) for n, j in enumerate(cluster.journals())
            for x in map(json.loads, j.read_text().splitlines())
            if x["kind"] in ("crl", "shard")}
    assert len(runs) == len(entries(a, "crl.signed"))


def test_a_device_has_one_configuration_at_all_nodes(steady):
    """Set at one, asked for at all of them at once: one number, one document,
    one entry a version; each node's signer signs, and reconcile knows of
    all."""
    a, b, c = steady.nodes
    who = field.enrol(a, "NC-1")
    tag, got = None, []

    def ask_all(tag, n=6):
        answers = []

        def ask(w):
            x = until(lambda: (lambda x: x if x.status in (200, 304) else
                               None)(field.ask(w, who, tag)))
            answers.append((w, x))
        threads = [threading.Thread(target=ask, args=(
            steady.nodes[i % 3],)) for i in range(n)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert len(answers) == n
        return answers
    for n, w in enumerate((b, c, a), 1):
        field.put(w, "products", "thermo", template='{"n":%d}' % n)
        answers = ask_all(tag)
        assert len({x.headers["etag"] for _, x in answers}) == 1
        for node, x in answers:
            head, doc = field.opened(node, x, who)
            assert head["version"] == str(n)
            assert json.loads(doc) == {"n": n}
            got.append(head["salt"])
        tag = answers[0][1].headers["etag"]
    assert len(set(got)) == 3
    # it has it, says the device to another node than gave it
    assert {x.status for _, x in ask_all(tag, 3)} == {304}
    states = b.rest("GET", "/products/thermo/configuration/devices"
                    "?limit=1000").json
    assert [d["state"] for d in states["items"]
            if d["device"] == "NC-1"] == ["current"], states
    given = entries(a, "configuration.given")
    assert [e["config_version"] for e in given] == [1, 2, 3]
    until(lambda: steady.reconcile(check=False).returncode == 0)


def test_takeover_and_the_old_holder_is_fenced(cluster):
    a, b, c = cluster.nodes
    p = cluster.takeover(b, check=False)
    assert p.returncode != 0 and "take-ledger" in p.stderr
    backup = a.dir / "ledger.key.backup"
    shutil.copy(a.state / "signer/keys/ledger.key", backup)
    passphrase_run(b, "take-ledger", "--from", backup)
    p = cluster.takeover(b, "--yes", check=False)
    assert p.returncode != 0 and 'node "a" is alive' in p.stderr

    # a hangs: everything of it stands still, and will go on some time
    pids = [a.daemon.pid, *a.children().values()]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        p = cluster.takeover(b)
        assert "nothing was changed" in p.stdout
        assert "taken over" in cluster.takeover(b, "--yes").stdout
        b.stop()
        b.start()
        t = c.token("K-1", door="bearer")
        assert c.enrol_basic(t, c.key_and_csr("K-1")[1]).status == 200
        until(lambda: covered(c))
        assert "checkpoint" in (b.state / "signer/journal.jsonl").read_text()
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    # it is a node like the others now
    until(lambda: a.get_public("/readyz").status == 200)
    before = (a.state / "signer/journal.jsonl").read_text().count(
        '"kind":"checkpoint"')
    for w in cluster.nodes:
        t = w.token(f"K-{w.name}", door="bearer")
        assert until(lambda w=w, t=t: w.enrol_basic(
            t, w.key_and_csr(f"K-{w.name}")[1])).status == 200
    for w in cluster.nodes:
        until(lambda w=w: covered(w))
        verify(w)
    after = (a.state / "signer/journal.jsonl").read_text().count(
        '"kind":"checkpoint"')
    assert after - before <= 1  # one it had begun, which was not stored
    taken = entries(a, "ledger.taken_over")
    assert [(e["node"], e["number"]) for e in taken] == [("b", 2)]
    settled(cluster)


def test_who_may_not_work_on_the_database(server):
    """Refused with one clear line, before anything is written."""
    with Cluster(server.database(), 2) as cl:
        a, b = cl.nodes
        # no node signs yet
        b.start(wait=False)
        assert b.daemon.wait(30) != 0 and "start the one" in b.log()
        b.stop()
        a.start()
        until(lambda: a.get_public("/crl/issuing.crl").status == 200)
        size = a.rest("GET", "/status").json["ledger"]["size"]
        # a copy of the first one's folders, ports of its own
        b.set_conf("node", '"a"')
        shutil.rmtree(b.state / "signer")
        shutil.copytree(a.state / "signer", b.state / "signer")
        b.start(wait=False)
        assert b.daemon.wait(30) != 0
        assert 'works on it as node "a"' in b.log()
        b.stop()
        assert a.rest("GET", "/status").json["ledger"]["size"] == size


def refused(w, words):
    w.start(wait=False)
    assert w.daemon.wait(60) != 0
    w.stop()
    assert words in w.log()


def test_the_only_node_gets_a_name_and_company(server):
    with Cluster(server.database(), 2) as cl:
        a, b = cl.nodes
        a.set_conf("node", '""')
        a.start().product()
        t = a.token("O-1", door="bearer")
        assert a.enrol_basic(t, a.key_and_csr("O-1")[1]).status == 200
        # beside one without a name nobody begins
        for f in ("keys/ledger.key",):
            shutil.copy(a.state / "signer" / f, b.state / "signer" / f)
        refused(b, 'works on it as node ""')
        (b.state / "signer/keys/ledger.key").unlink()
        a.stop()
        a.set_conf("node", '"a"')
        a.start()
        b.start()
        t = b.token("O-2", door="bearer")
        assert b.enrol_basic(t, b.key_and_csr("O-2")[1]).status == 200
        until(lambda: covered(b))
        settled(cl)
        # nor does one without a name go on beside those that have one
        a.stop()
        a.set_conf("node", '""')
        refused(a, "this one needs a name")


@pytest.mark.parametrize("holder", [True, False])
def test_a_checkpoint_that_is_not_of_the_tree_ends_a_start(holder, server):
    """One digit of the stored note: its signature is no good any more."""
    with Cluster(server.database(), 2) as cl:
        a, b = cl.start().nodes
        until(lambda: covered(b))
        b.stop()
        a.stop()
        server.sql("UPDATE mintmark.checkpoint SET note = convert_to(replace("
                   "convert_from(note, 'UTF8'), E'\\n' || size || E'\\n', "
                   "E'\\n0' || size || E'\\n'), 'UTF8')",
                   f"mm{server.n}")
        refused(a if holder else b, "ledger.forked")


def test_the_journals_may_have_been_copied(cluster, tmp_path):
    """An auditor's copies lack what was signed since: no difference, if he
    says how long the ledger was before."""
    a, b, _ = cluster.nodes
    t = b.token("J-1", door="bearer")
    answer = b.enrol_basic(t, b.key_and_csr("J-1")[1])
    assert answer.status == 200
    serial = serial_of(b.save_p7(answer, "J-1"))
    index = b.rest("GET", f"/certificates/{serial}").json["index"]
    settled(cluster)

    def size_with_it():  # a hears of what b signed a moment later
        n = run(MINT, "--context", a.context, "ledger",
                "checkpoint").stdout.splitlines()[1]
        return n if int(n) > index else None
    size = until(size_with_it)
    copies = []
    for i, path in enumerate(cluster.journals()):
        copies.append(shutil.copy(path, tmp_path / f"{i}"))
    for w in (a, b):
        t = w.token(f"J-{w.name}", door="bearer")
        assert w.enrol_basic(
            t, w.key_and_csr(f"J-{w.name}")[1]).status == 200
        assert w.rest("POST", "/issuers/issuing/crl", {}).status == 200
    until(lambda: covered(b))
    p = cluster.reconcile(check=False, journals=copies)
    assert p.returncode == 9 and "--copied-at" in p.stderr, p.stderr
    out = json.loads(cluster.reconcile("--copied-at", size,
                                       journals=copies).stdout)
    # two certificates; the complete list and 64 of shards, twice
    assert out["agree"] and out["later"] == 2 + 2 * 65, out
    # what was there before is missed all the same
    p = cluster.reconcile("--copied-at", size, check=False,
                          journals=[copies[0], copies[2]])
    out = json.loads(p.stdout)
    assert p.returncode == 9 and not out["agree"]
    assert {d["difference"] for d in out["differences"]} == {
        "not in the journal"}, out


def test_a_key_is_in_flight_while_its_node_lives(cluster, server):
    """By its lease: no clock of one machine is compared with another's."""
    a, b, _ = cluster.nodes
    db = f"mm{server.n}"
    body = {"device": "F-1", "product": "thermo"}
    key = {"Idempotency-Key": "flight"}

    def begun():
        return server.sql("SELECT convert_from(body, 'UTF8') FROM "
                          "mintmark.doc WHERE id LIKE '%:flight'", db)

    def ask(w):
        with contextlib.suppress(OSError, http.client.HTTPException):
            return w.rest("POST", "/tokens", body, headers=key)
        return None
    # b has begun, and cannot go on
    asking = threading.Thread(target=ask, args=(b,))
    with locked(server, db, "LOCK TABLE mintmark.token IN EXCLUSIVE MODE"):
        asking.start()
        until(begun)
        # whatever its clock says
        server.sql("UPDATE mintmark.doc SET body = convert_to(regexp_replace("
                   "convert_from(body, 'UTF8'), '\"at\":[0-9]+', '\"at\":' ||"
                   " (extract(epoch FROM now()) * 1000 - 7200000)::bigint),"
                   " 'UTF8') WHERE id LIKE '%:flight'", db)
        again = ask(a)
        assert again.status == 409 and again.json["title"] == "in-flight", \
            again
        kill_all(b)
    asking.join()
    assert ask(a).json["title"] == "in-flight"
    until(lambda: ask(a).json["title"] == "interrupted")


def test_who_waited_keeps_his_lease(cluster, server):
    """The end of the lease before, in one transaction with its own."""
    a = cluster.first
    db = f"mm{server.n}"
    server.sql("CREATE TABLE mintmark.seen (n bigserial, tx bigint, op text,"
               " authority text);"
               "CREATE FUNCTION mintmark.see() RETURNS trigger LANGUAGE"
               " plpgsql AS $$ BEGIN INSERT INTO mintmark.seen"
               " (tx, op, authority) VALUES (txid_current(), TG_OP,"
               " coalesce(NEW.authority, OLD.authority)); RETURN NULL;"
               " END $$;"
               "CREATE TRIGGER see AFTER INSERT OR UPDATE OR DELETE ON"
               " mintmark.reservation FOR EACH ROW EXECUTE FUNCTION"
               " mintmark.see();"
               "GRANT ALL ON mintmark.seen, mintmark.seen_n_seq TO PUBLIC",
               db)
    for n in range(12):
        t = a.token(f"H-{n}", door="bearer")
        good = a.key_and_csr(f"H-{n}")[1]
        bad = good.with_suffix(".bad")
        der = bytearray(good.read_bytes())
        der[-1] ^= 1
        bad.write_bytes(der)
        got, go = [], threading.Barrier(4)

        def ask(csr, t=t, go=go, got=got):
            go.wait()
            got.append(a.enrol_basic(t, csr).status)
        asking = [threading.Thread(target=ask, args=(x,))
                  for x in (bad, bad, bad, good)]
        for x in asking:
            x.start()
        for x in asking:
            x.join()
        assert sorted(got) == [200, 400, 400, 400], got
    assert server.sql("SELECT count(*) FROM mintmark.seen "
                      "WHERE op <> 'DELETE'", db) != "0"
    assert server.sql(
        "SELECT count(*) FROM mintmark.seen x JOIN mintmark.seen y"
        " ON x.tx = y.tx AND x.authority = y.authority AND x.n < y.n"
        " WHERE x.op <> 'DELETE' AND y.op = 'DELETE'", db) == "0"


def stop_in_its_turn(w, server, db):
    """Stops its server between the two round trips of a transaction."""
    pid = w.children()["server"]
    with server.asking(db) as ask:
        for _ in range(6000):
            os.kill(pid, signal.SIGSTOP)
            if ask("SELECT count(*) FROM pg_stat_activity WHERE state = "
                   "'idle in transaction' AND backend_xid IS NOT NULL") != "0":
                return pid
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.003)
    raise AssertionError("not caught")


def test_a_node_that_hangs_in_its_turn_makes_others_wait(cluster, server):
    """And not fail: what they have signed is stored."""
    a, b, _ = cluster.nodes
    tokens = [a.token(f"W-{i}", door="bearer") for i in range(3)]
    csrs = [a.key_and_csr(f"W-{i}")[1] for i in range(3)]
    ending = threading.Event()

    def write():
        n = 0
        while not ending.is_set():
            n += 1
            with contextlib.suppress(OSError, http.client.HTTPException):
                b.rest("POST", "/devices", {"id": f"W-dev-{n}",
                                            "product": "thermo"})
    busy = threading.Thread(target=write)
    busy.start()
    try:
        pid = stop_in_its_turn(b, server, f"mm{server.n}")
        try:
            for t, csr in zip(tokens, csrs):
                assert a.enrol_basic(t, csr).status == 200
        finally:
            os.kill(pid, signal.SIGCONT)
    finally:
        ending.set()
        busy.join()
    until(lambda: b.get_public("/readyz").status == 200)
    assert entries(a, "signature.orphaned") == []
    an_import_takes_turns(a, b, server, f"mm{server.n}")


def an_import_takes_turns(a, b, server, db):
    """Where the database is slow a hundred rows are a transaction, so that
    another node has its turn between two."""
    server.sql("CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
               " 'BEGIN PERFORM pg_sleep(0.006); RETURN NEW; END';"
               "CREATE TRIGGER slow BEFORE INSERT ON mintmark.device FOR EACH"
               " ROW WHEN (NEW.name LIKE 'slow-%') EXECUTE FUNCTION slow()", db)
    rows = [{"id": f"slow-{i}", "product": "thermo"} for i in range(300)]
    got = []
    t = a.token("W-beside", door="bearer")
    _, csr = a.key_and_csr("W-beside")
    slow = threading.Thread(target=lambda: got.append(
        b.rest("POST", "/devices/import", {"rows": rows})))
    slow.start()
    try:
        assert a.enrol_basic(t, csr).status == 200
    finally:
        slow.join()
    assert got[0].status == 200, got[0]
    assert server.sql("SELECT count(*), count(DISTINCT xmin::text) FROM"
                      " mintmark.device WHERE name LIKE 'slow-%'", db) == "300|3"


def test_an_approval_is_used_at_two_nodes_at_once(server):
    """All that is done of it is counted, and no more is done."""
    with Cluster(server.database(), 2) as c:
        ada = operators.key(c.first.start().product(), "Ada", ["admin"])
        assert c.first.stop() == 0
        for w in c.nodes:
            w.set_conf("four_eyes", "{mass-revoke}")
            w.start()
        names = [f"TW-{n}" for n in range(12)]
        for n in names:
            token = c.first.token(n, door="bearer")
            csr = c.first.key_and_csr(n)[1]
            assert c.first.enrol_basic(token, csr).status == 200
        body = {"product": "thermo", "reason": "superseded"}
        asked = c.first.rest("POST", "/certificates/revoke", body).json
        path = f"/approvals/{asked['approval']}"
        assert asked["found"] == len(names)
        assert c.first.rest("POST", path + "/approve", {}, key=ada
                            ).status == 200
        uses = []

        def use(w):
            after = ""
            while after is not None:
                a = w.rest("POST", "/certificates/revoke?limit=1" + after,
                           body, headers={"Mintmark-Approval":
                                          asked["approval"]})
                uses.append(a)
                after = "&after=" + a.json["next"] \
                    if a.status == 200 and a.json["left"] else None

        both = [threading.Thread(target=use, args=(w,)) for w in c.nodes]
        for t in both:
            t.start()
        for t in both:
            t.join()
        changed = sum(a.json["changed"] for a in uses if a.status == 200)
        told = c.first.rest("GET", path).json
        assert (changed, told["done"]) == (len(names), len(names)), uses
        # whoever came last has found it used up, or nothing left
        assert {a.status for a in uses} <= {200, 409}, uses
