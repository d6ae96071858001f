"""A database that goes and comes back: nothing acknowledged is lost."""
import base64
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest

from postgres import Postgres, Proxy
from records import records
from test_enrol import entries, journal
from world import DAEMON, MINT, World, free_ports, run, serial_of

# How the writer's COMMIT looks on the wire: Bind of the prepared statement.
COMMIT = b"\0q2\0"
RESUME_S = 20


@pytest.fixture
def server():
    with Postgres() as p:
        yield p


@pytest.fixture(scope="module")
def lasting():
    """For tests that neither stop it nor set it otherwise."""
    with Postgres() as p:
        yield p


def reconcile(w):
    """journal, ledger and database have the same signatures"""
    w.cli("ledger", "checkpoint")
    p = run(MINT, "--json", "ledger", "reconcile", "--config", w.conf,
            check=False)
    assert p.returncode == 0, p.stdout + p.stderr


def settled(want):
    """What enrol answers once the store is back; 503 says when to ask."""
    end = time.monotonic() + RESUME_S
    while True:
        a = want()
        if a.status != 503 or time.monotonic() > end:
            return a
        assert "retry-after" in a.headers, a
        time.sleep(0.05)


class Load:
    """Threads that enrol one device after the other, each until it has its
    certificate; any answer but 200 and 503 is wrong."""

    def __init__(self, w, threads):
        self.w, self.got, self.wrong, self.busy = w, {}, [], 0
        self.ending = False
        self.csr = [w.key_and_csr(f"load-{i}")[1] for i in range(threads)]
        self.threads = [threading.Thread(target=self._run, args=(i,))
                        for i in range(threads)]
        for t in self.threads:
            t.start()

    def _mint(self, name):
        while not self.ending:
            a = self.w.rest("POST", "/tokens", {
                "device": name, "product": "thermo", "door": "bearer"})
            if a.status == 201:
                return a.json
            if a.status == 409:  # minted, and the answer was lost
                return None
            self._check(a)
        return None

    def _check(self, a):
        if a.status != 503 or "retry-after" not in a.headers:
            self.wrong.append(a)
        self.busy += 1
        time.sleep(0.02)

    def _run(self, i):
        n = 0
        while not self.ending:
            n += 1
            name = f"L-{i}-{n}"
            csr = self.w.key_and_csr(name)[1]
            token = self._mint(name)
            while token and not self.ending:
                a = self.w.enrol_basic(token, csr)
                if a.status == 200:
                    self.got[name] = a
                    break
                self._check(a)

    def grows(self, by):
        """Waits until there are so many more; that is resuming."""
        want, end = len(self.got) + by, time.monotonic() + RESUME_S
        while len(self.got) < want:
            assert time.monotonic() < end, (self.busy, self.wrong)
            time.sleep(0.02)

    def close(self):
        self.ending = True
        for t in self.threads:
            t.join()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_a_restart_under_load_loses_nothing(server, how):
    with World(profile="\tbearer = true", database=server.database()) as w:
        w.start().product()
        load = Load(w, 4)
        try:
            for _ in range(2):
                load.grows(8)
                server.stop(how)
                # what is asked meanwhile hears "later", not silence
                busy, end = load.busy, time.monotonic() + RESUME_S
                while load.busy < busy + 4:
                    assert time.monotonic() < end, "nobody was refused"
                    time.sleep(0.02)
                server.start()
            load.grows(8)
        finally:
            load.close()
        assert not load.wrong
        for name, a in load.got.items():
            pem = w.save_p7(a, name)
            row = w.rest("GET", f"/certificates/{serial_of(pem)}")
            assert row.status == 200 and row.json["device"] == name, row
            assert row.json["state"] == "issued"
        reconcile(w)


@pytest.fixture
def proxied(lasting):
    with Proxy(lasting.port) as proxy, World(
            profile="\tbearer = true",
            database=lasting.database(proxy.port)) as w:
        yield w.start().product(), proxy


def test_an_outage_is_told_of_and_does_not_flood_the_log(server):
    with World(database=server.database()) as w:
        w.start()
        server.stop()
        time.sleep(6)
        lines = len(w.log().splitlines())
        time.sleep(4)
        assert len(w.log().splitlines()) - lines < 100
        server.start()
        settled(lambda: w.rest("GET", "/products"))


def test_a_commit_whose_answer_is_lost_is_looked_up(proxied):
    w, proxy = proxied
    t = w.token("C-1", door="bearer")
    csr = w.key_and_csr("C-1")[1]
    proxy.cut_at(COMMIT, b'"device":"C-1"')
    first = w.enrol_basic(t, csr)  # at once: one connection is not the store
    assert proxy.cuts == 1
    assert first.status == 200, first
    again = w.enrol_basic(t, csr)
    assert again.body == first.body
    assert len(journal(w, "C-1")) == 1
    assert not entries(w, "signature.orphaned")
    reconcile(w)


def test_a_commit_that_never_arrived_is_settled_as_an_orphan(proxied):
    w, proxy = proxied
    t = w.token("C-2", door="bearer")
    csr = w.key_and_csr("C-2")[1]
    proxy.cut_at(COMMIT, b'"device":"C-2"', forward=False)
    a = settled(lambda: w.enrol_basic(t, csr))
    assert proxy.cuts == 1
    assert a.status == 200, a
    signed = journal(w, "C-2")
    assert len(signed) == 2
    end = time.monotonic() + RESUME_S
    while not entries(w, "signature.orphaned"):
        assert time.monotonic() < end
        time.sleep(0.1)
    orphans = [e["serial"] for e in entries(w, "signature.orphaned")]
    pem = w.save_p7(a, "C-2")
    assert {x["serial"] for x in signed} == {*orphans, serial_of(pem)}
    reconcile(w)


# ---- what tells that it is away ----

def scrape(w, key=None):
    return w.rest("GET", "/metrics", base="", key=key)


def make_key(w):
    a = w.rest("POST", "/keys", {"name": "prometheus", "roles": ["support"]})
    assert a.status == 201, a
    return a.json


def test_metrics_say_that_the_store_is_away(server):
    with World(database=server.database()) as w:
        w.start()
        known, never, gone = (make_key(w) for _ in range(3))
        for k in known, gone:
            a = scrape(w, k["key"])
            assert a.status == 200 and "\nmintmark_store_up 1\n" in a.text, a
            assert "\nmintmark_store_records{" in a.text
        assert w.rest("POST", f"/keys/{gone['id']}/revoke", {}).status == 200
        server.stop()
        for _ in range(3):
            a = scrape(w, known["key"])
            assert a.status == 200 and "\nmintmark_store_up 0\n" in a.text, a
            assert "\nmintmark_ready 0\n" in a.text, a
            assert "\nmintmark_store_records{" not in a.text
        wrong = known["key"][:-1] + ("A" if known["key"][-1] != "A" else "Q")
        for k in never["key"], gone["key"], wrong:
            assert scrape(w, k).status == 503
        for path in "/status", "/devices", "/whoami":
            assert w.rest("GET", path, key=known["key"]).status == 503
        server.start()
        end = time.monotonic() + RESUME_S
        while "\nmintmark_store_up 1\n" not in scrape(w, never["key"]).text:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert scrape(w, gone["key"]).status == 401


def test_nobody_has_to_write_for_an_outage_to_show(server):
    with World(database=server.database()) as w:
        w.start()
        assert w.get_public("/readyz").status == 200
        server.stop()
        end = time.monotonic() + RESUME_S
        while w.get_public("/readyz").status == 200:
            assert time.monotonic() < end
            time.sleep(0.02)
        a = w.get_public("/readyz")
        assert a.status == 503 and "the store is away" in a.text, a
        server.start()
        w.wait_ready(RESUME_S)


def doctor(w):
    """(level, what) of the database by the doctor, on this machine's files."""
    p = run(MINT, "--json", "--context", w.context, "doctor", "--config",
            w.conf, check=False)
    return [(f["level"], f["what"]) for f in json.loads(p.stdout)["findings"]
            if f["check"] == "database"]


def test_the_doctor_knows_it(server):
    with World(database=server.database()) as w:
        w.start()
        good = doctor(w)
        assert [level for level, _ in good] == ["ok"] * len(good), good
        words = "; ".join(what for _, what in good)
        for wanted in (r"PostgreSQL \d\d\.\d+ answers", "until the end of 20",
                       r"\d+ of \d+ connections are in use"):
            assert re.search(wanted, words), words
        assert [f["level"] for f in w.rest("GET", "/doctor").json["findings"]
                if f["check"] == "database"] == ["ok"] * 3

        # what a session meets that begins now, whatever those there have
        server.sql("ALTER SYSTEM SET synchronous_commit = off")
        server.sql("SELECT pg_reload_conf()")
        end = time.monotonic() + RESUME_S
        while doctor(w)[0][0] == "ok" and time.monotonic() < end:
            pass
        level, what = doctor(w)[0]
        assert level == "fail" and "synchronous_commit is off" in what, what
        server.sql("ALTER SYSTEM RESET synchronous_commit")
        server.sql("SELECT pg_reload_conf()")

        w.stop()  # it would make it anew
        year = time.gmtime().tm_year + 1
        server.sql(f"DROP TABLE mintmark.cert_{year}", f"mm{server.n}")
        end = time.monotonic() + RESUME_S
        while doctor(w)[0][0] == "fail" and time.monotonic() < end:
            pass
        assert ("warn", f"table cert has no partition for {year}"
                ) in doctor(w)

        server.stop()
        (level, what), = doctor(w)
        assert level == "fail" and what.startswith(
            f"postgresql://postgres@/mm{server.n}: "), what


# ---- Idempotency-Key ----

def once(w, key, device):
    return w.rest("POST", "/tokens", {"device": device, "product": "thermo"},
                  headers={"Idempotency-Key": key})


def tokens_of(w, device):
    return w.rest("GET", f"/tokens?device={device}").json["items"]


def interrupted(w, key, device):
    a = settled(lambda: once(w, key, device))
    assert a.status == 409 and a.json["title"] == "interrupted", a
    assert "/audit?actor=" in a.json["detail"]
    path = a.json["detail"].split("see ")[1].split(",")[0]
    found = w.rest("GET", path)
    assert found.status == 200, found
    return found.json["items"]


def test_a_begun_call_whose_commit_is_not_heard_of_goes_on(proxied):
    w, proxy = proxied
    plain, begun = proxy._forward, []

    def cut(data, from_client, client, server):
        if from_client and b":cut-key" in data and not begun:
            begun.append(client)
            proxy.cut_at(COMMIT)
        return plain(data, from_client, client, server)

    proxy._forward = cut
    first = once(w, "cut-key", "H-1")  # written, and then tried once more
    assert begun and proxy.cuts == 1
    assert first.status == 201, first
    again = once(w, "cut-key", "H-1")
    assert again.status == 201, again
    assert len(tokens_of(w, "H-1")) == 1


def test_an_answer_that_is_lost_does_not_double_the_work(proxied):
    w, proxy = proxied
    plain, cuts = proxy._forward, []

    def cut(data, from_client, client, server):
        """However often the server tries."""
        if from_client and b":lost-key" in data and b'"door":' in data:
            cuts.append(1)
            return False
        return plain(data, from_client, client, server)

    proxy._forward = cut
    first = once(w, "lost-key", "I-1")
    assert first.status == 201 and cuts
    proxy._forward = plain
    assert len(interrupted(w, "lost-key", "I-1")) == 2
    assert len(tokens_of(w, "I-1")) == 1
    assert once(w, "lost-key", "I-2").json["title"] == "key-used"
    assert once(w, "new-key", "I-1").status == 201


def test_kill_9_before_the_answer_is_stored_does_not_double_the_work(proxied):
    w, proxy = proxied
    pid = w.children()["server"]
    plain = proxy._forward

    def kill(data, from_client, client, server):
        if from_client and b":kill-key" in data and b'"door":' in data:
            proxy._forward = plain
            os.kill(pid, signal.SIGKILL)
            return False
        return plain(data, from_client, client, server)

    proxy._forward = kill
    with pytest.raises((OSError, http.client.HTTPException)):
        once(w, "kill-key", "I-3")
    end = time.monotonic() + RESUME_S
    while w.children().get("server") in (None, pid):
        assert time.monotonic() < end
        time.sleep(0.05)
    w.wait_ready()
    assert interrupted(w, "kill-key", "I-3")
    assert len(tokens_of(w, "I-3")) == 1


def test_an_answer_of_yesterday_is_none(lasting):
    url = lasting.database()
    with World(database=url) as w:
        w.start().product()
        a = once(w, "old", "I-4").json
        assert once(w, "old", "I-4").json["id"] == a["id"]
        lasting.sql("UPDATE mintmark.answer SET at = at - 86400001"
                    " WHERE key LIKE '%:old'", f"mm{lasting.n}")
        assert once(w, "old", "I-4").json["id"] != a["id"]


# ---- records of old years ----

def operator_enrols(w, device, name):
    csr = w.key_and_csr(name, device)[1]
    return w.rest("POST", f"/devices/{device}/enrol",
                  {"csr": base64.b64encode(csr.read_bytes()).decode()})


def test_what_a_dropped_year_was_spent_on_stays_spent(lasting):
    """As docs/postgresql.md says; no signature is made for nothing."""
    with World(profile="\tbearer = true", database=lasting.database()) as w:
        w.start().product()
        t = w.token("Y-1", door="bearer")
        csr = w.key_and_csr("Y-1")[1]
        first = w.enrol_basic(t, csr)
        assert first.status == 200, first
        w.rest("POST", "/devices", {"id": "Y-2", "product": "thermo"})
        assert operator_enrols(w, "Y-2", "Y-2").status == 200
        serial = serial_of(w.save_p7(first, "Y-1"))
        year = time.gmtime(int(serial[:12], 16) / 1000).tm_year
        lasting.sql(f"DROP TABLE mintmark.cert_{year}", f"mm{lasting.n}")

        for again in csr, w.key_and_csr("Y-1b", "Y-1")[1]:
            a = w.enrol_basic(t, again)
            assert a.status == 409 and "already-confirmed" in a.text, a
        assert w.rest("GET", f"/tokens/{t['id']}").json["state"] == "issued"
        assert len(journal(w, "Y-1")) == 1
        # another time, under another number; its key is still the device's
        for name in "Y-2", "Y-2b", "Y-2c":
            a = operator_enrols(w, "Y-2", name)
            assert a.status == 200, a
        assert len(journal(w, "Y-2")) == 4
        assert not entries(w, "signature.orphaned")


@pytest.mark.parametrize("setting, words", [
    ("synchronous_commit = off", "synchronous_commit is off"),
    ("synchronous_commit = local", "synchronous_commit is local"),
    ("fsync = off", "fsync is off"),
    ("full_page_writes = off", "full_page_writes is off"),
])
def test_a_server_that_would_lose_certificates_is_refused(setting, words,
                                                          server):
    url = server.database()
    with World(database=url) as w:
        server.sql(f"ALTER SYSTEM SET {setting}")
        server.stop()
        server.start()
        w.start(wait=False)
        assert w.daemon.wait(20) != 0
        assert words in w.log()


def test_a_backup_is_no_replica(tmp_path):
    """An ordinary role, which sees of the backup's streams only the name."""
    with Postgres("wal_level=replica", "max_wal_senders=5") as server:
        server.sql("CREATE ROLE mint LOGIN")
        server.sql("CREATE TABLE filler AS SELECT repeat(md5(i::text), 30)"
                   " FROM generate_series(1, 30000) i")
        url = server.database().replace("postgres@", "mint@")
        server.sql(f"ALTER DATABASE mm{server.n} OWNER TO mint")
        tool = next(pathlib.Path("/usr/lib/postgresql").glob(
            "*/bin/pg_basebackup"))
        backup = subprocess.Popen(
            [tool, "-h", server.dir, "-p", str(server.port), "-U", "postgres",
             "-D", tmp_path / "copy", "--max-rate=1M", "-c", "fast"])
        try:
            end = time.monotonic() + RESUME_S
            while server.sql("SELECT count(*) FROM pg_stat_replication"
                             " WHERE state = 'streaming'") != "1":
                assert time.monotonic() < end and backup.poll() is None
                time.sleep(0.05)
            with World(database=url) as w:
                w.start()
                w.product()
                assert backup.poll() is None
        finally:
            backup.kill()
            backup.wait()


def test_a_start_that_cannot_write_says_so(lasting):
    with World(database=lasting.database()) as w, records(w).held():
        w.start(wait=False)
        assert w.daemon.wait(60) == 7, w.log()
        said = [x for x in w.log().splitlines() if "cannot start" in x]
        assert len(said) == 1 and "database" in said[0], w.log()


def test_ready_says_so_when_the_lists_are_there(lasting):
    with Proxy(lasting.port) as proxy, World(
            database=lasting.database(proxy.port)) as w:
        proxy.delay_s = 0.02
        w.start()
        assert w.get_public("/crl/issuing.crl").status == 200


def test_a_second_daemon_is_refused(lasting):
    """A copy of the folders works under the same name; when the first one is
    gone, its place is free."""
    with World(database=lasting.database()) as w:
        w.start()
        twin = w.dir / "twin.conf"
        shutil.copytree(w.state, w.dir / "twin")
        text = w.conf.read_text().replace(str(w.state), str(w.dir / "twin"))
        for port in (w.devices, w.operators, w.public):
            text = text.replace(f":{port}", f":{free_ports(1)[0]}")
        twin.write_text(text)
        p = subprocess.run([DAEMON, "run", "--config", twin], text=True,
                           capture_output=True, timeout=60)
        assert p.returncode == 5, p
        said = [x for x in p.stderr.splitlines()
                if x.startswith("mintmarkd: ")]
        assert len(said) == 1, p
        assert "another mintmarkd works on it" in said[0], p
        assert w.get_public("/readyz").status == 200
        w.stop()
        w.start()


def test_a_password_and_a_host_name_behind_the_sandbox(server):
    """A passfile and a name; the connection comes back after the fence."""
    server.sql("CREATE ROLE mint LOGIN PASSWORD 'hunter2'")
    server.database()
    server.sql(f"ALTER DATABASE mm{server.n} OWNER TO mint")
    hba = server.dir / "data/pg_hba.conf"
    hba.write_text("local all postgres trust\n"
                   "host all all 127.0.0.1/32 scram-sha-256\n")
    server.sql("SELECT pg_reload_conf()")
    passfile = server.dir / "pgpass"
    passfile.write_text(f"localhost:{server.port}:*:mint:hunter2\n")
    passfile.chmod(0o600)
    url = f"postgresql://mint@localhost:{server.port}/mm{server.n}?passfile="
    with World(profile="\tbearer = true", database=f"{url}{passfile}") as w:
        mine = w.state / "server/pgpass"
        mine.write_text(passfile.read_text())
        mine.chmod(0o600)
        passfile.unlink()
        w.set_conf("database", f'"{url}{mine}"')
        w.start().product()
        server.stop()
        server.start()
        t = settled(lambda: w.rest("POST", "/tokens", {
            "device": "P-1", "product": "thermo", "door": "bearer"})).json
        csr = w.key_and_csr("P-1")[1]
        assert settled(lambda: w.enrol_basic(t, csr)).status == 200
        assert "hunter2" not in w.log()


# ---- what is read ----

def asked(server, said, what):
    """How often a server that logs all has run a read since, as it was."""
    return (server.dir / "log").read_text()[said:].count(what)


def test_a_limited_credential_is_not_looked_up_for_each_row():
    """A batch is looked at once for a request, however many rows or entries
    are held against it."""
    n = 40
    with Postgres("log_statement=all") as server, \
            World(database=server.database()) as w:
        w.start().product()
        a = w.rest("POST", "/batches", {
            "id": "reads", "product": "thermo", "quantity": n,
            "serials": "RD-{01..60}", "until": "2099-01-01T00:00:00Z"})
        assert a.status == 201, a
        key = w.rest("POST", "/keys", {
            "name": "reads", "roles": ["operator", "auditor"],
            "batches": ["reads"]}).json["key"]
        read = "$1 = '9', $2 = 'reads'"  # a batch's document
        rows = [{"id": f"RD-{i:02}", "product": "thermo"}
                for i in range(1, n + 1)]
        for method, path, body in (
                ("POST", "/devices/import", {"rows": rows}),
                ("GET", "/events?after=-1&limit=1000", None),
                ("GET", "/audit?limit=1000", None)):
            said = len((server.dir / "log").read_text())
            a = w.rest(method, path, body, key=key)
            assert a.status == 200, a
            times = asked(server, said, read)
            assert 1 <= times < n / 4, (path, times)
