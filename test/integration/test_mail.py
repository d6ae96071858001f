"""Mails of alerts, to mail servers that behave and that do not."""
import datetime
import json
import os
import re
import shutil
import subprocess
import time

import pytest

import postgres
from mta import Mta
from world import World, faketime, free_ports, run, until

TO, FROM = "ops@example.com", "mint@ca.example"


def mailing(w, port, every="1s", **more):
    """Settings of mails to that port, besides those that World has."""
    for key, value in {
            "mail_to": f'{{"{TO}"}}', "mail_from": f'"{FROM}"',
            "mail_server": f'"localhost:{port}"', "mail_every": f'"{every}"',
            "mail_digest": "false", **more}.items():
        w.set_conf(key, value)


@pytest.fixture(scope="module")
def world():
    """Two keys for one token is an alert at once, and a critical one."""
    with Mta() as mta, World(profile="\tbearer = true") as w:
        mailing(w, mta.port)
        w.mta = mta
        w.start().product()
        yield w


@pytest.fixture
def w(world):
    world.mta.refuse, world.mta.later = set(), False
    world.mta.hang.clear()
    return world


NAMES = iter(f"ML-{i}" for i in range(1000))


def conflict(w, name=None):
    """Two devices come with one token: (the device, the token)."""
    name = name or next(NAMES)
    token = w.token(name, door="bearer")
    for i in range(2):
        _, csr = w.key_and_csr(f"{name}-{i}", cn=name)
        a = w.enrol_basic(token, csr)
        assert a.status == (200, 409)[i], a
    return name, token


def about(w, device):
    return [m for m in w.mta.mails if f"device {device}," in m.text or
            f"device {device}\n" in m.text]


def test_one_to_try(w):
    w.mta.mails.clear()
    said = json.loads(w.cli("--json", "mail", "test").stdout)
    assert said["delivered"] and said["status"] == 250
    (m,) = w.mta.about("test: nothing to do")
    assert (m.sender, m.to) == (FROM, [TO])
    assert m["From"] == f"Mintmark <{FROM}>" and m["To"] == TO
    assert m["Message-ID"].endswith("@ca.example>")
    assert abs(m["Date"].datetime - datetime.datetime.now(
        datetime.timezone.utc)) < datetime.timedelta(minutes=2)
    assert "Acme, Inc." in m.text and "nothing to do" in m.text
    assert "EHLO ca.example" in w.mta.heard


def test_one_that_is_refused(w):
    w.mta.refuse = {TO}
    p = w.cli("--json", "mail", "test", check=False)
    assert p.returncode == 7
    said = json.loads(p.stdout)
    assert not said["delivered"] and "550" in said["why"]


def test_an_alert(w):
    """Who, what, how bad, what to do; and nothing that is a secret."""
    name, token = conflict(w)
    (m,) = until(lambda: about(w, name))
    assert m["Subject"].startswith(
        "[Mintmark] critical: token-used-with-another-key")
    assert "critical: token-used-with-another-key" in m.text
    assert "Two devices came with one token" in m.text
    assert "What to do: The token is frozen" in m.text
    for secret in token["token"], token["token"][-32:], w.admin_key:
        assert secret not in m.text and secret.encode() not in m.data
    assert all(len(line) <= 78 and line.isascii()
               for line in m.data.decode().splitlines())
    # once; a later mail is later in the queue of all that is sent
    w.cli("mail", "test")
    assert len(about(w, name)) == 1


def test_a_storm_is_one_mail(w):
    """Those of a period come in one, counted: none is lost, few are sent."""
    w.stop()
    w.set_conf("mail_every", '"6s"')
    w.start()
    w.mta.mails.clear()
    first, _ = conflict(w)
    until(lambda: about(w, first))
    for _ in range(12):
        conflict(w)

    def count(m):
        head = m.text.split("token-used-with-another-key, ")[1]
        return int(head.split(" times")[0]) if " times" in \
            head.splitlines()[0] else 1
    until(lambda: sum(map(count, w.mta.mails)) == 13,
          told=lambda: [m.text for m in w.mta.mails])
    assert len(w.mta.mails) <= 3
    at = [m.at for m in w.mta.mails]
    assert all(b - a >= 5.5 for a, b in zip(at, at[1:])), at
    w.stop()
    w.set_conf("mail_every", '"1s"')
    w.start()


def test_killed_before_the_answer(w):
    """The mail server has it, and the server has not heard so: it is sent
    again, as the same mail; and after that never more."""
    w.mta.hung.clear()
    w.mta.hang.set()
    name, _ = conflict(w)
    assert w.mta.hung.wait(60)
    w.kill_all()
    w.mta.hang.clear()
    w.mta.done.set()
    before = about(w, name)
    assert len(before) == 1
    w.mta.done.clear()
    w.start()
    again = until(lambda: about(w, name)[1:])
    assert again[0]["Message-ID"] == before[0]["Message-ID"]
    until(lambda: w.rest("GET", "/mail").json["sent"] == 1)
    w.stop()
    w.start()
    later, _ = conflict(w)
    until(lambda: about(w, later))
    assert len(about(w, name)) == 2


def test_nobody_takes_it(w):
    """It waits, is told of, and goes out when the mail server is well."""
    w.mta.later = True
    name, _ = conflict(w)
    show = until(lambda: (s := json.loads(
        w.cli("--json", "mail", "show").stdout)).get("failing_since") and s)
    assert show["waiting"] == 1 and "451" in show["why"] and \
        show["to"] == [TO]
    text = w.rest("GET", "/metrics", base="").text
    assert "mintmark_mail_failing 1" in text
    assert "mintmark_mail_alerts_waiting 1" in text
    told = w.cli("doctor", check=False).stdout
    assert "WARN  mail" in told and "1 alerts wait" in told
    w.mta.later = False
    w.mta.mails.clear()
    assert w.cli("mail", "test").returncode == 0
    until(lambda: about(w, name))
    until(lambda: "mintmark_mail_failing 0" in w.rest(
        "GET", "/metrics", base="").text)


def test_a_restart_begins_where_it_ended(w):
    """An alert that is entered while no mail can go is in a later one."""
    w.mta.later = True
    name, _ = conflict(w)
    until(lambda: "failing_since" in w.rest("GET", "/mail").json)
    w.stop()
    w.mta.later = False
    w.mta.mails.clear()
    w.start()
    until(lambda: about(w, name))


def test_who_may(w):
    made = w.rest("POST", "/keys", {"name": "sup", "roles": ["support"]}).json
    assert w.rest("GET", "/mail", key=made["key"]).status == 200
    assert w.rest("POST", "/mail/test", {}, key=made["key"]).status == 403


def test_one_is_refused_and_none_is_waited_for_long(tmp_path):
    """What a mail server does to one recipient is no matter of the others';
    one that says nothing is given up, wherever it is; and nobody floods it."""
    two = ["gone@example.com", "night@example.com"]
    cert, key = pair(tmp_path)
    with Mta() as mta, Mta(cert, key) as far, World() as w:
        mailing(w, mta.port, mail_to="{" + ", ".join(
            f'"{a}"' for a in two) + "}", webhook_timeout='"1s"')
        mta.refuse = {two[0]}
        w.start()
        said = json.loads(w.cli("--json", "mail", "test").stdout)
        assert said["delivered"], said
        assert mta.mails[0].to == two[1:]
        assert mta.mails[0]["To"] == ", ".join(two)
        answers = [w.rest("POST", "/mail/test", {}) for _ in range(10)]
        assert [a.status for a in answers] == [200] * 9 + [429]
        assert 5 < int(answers[-1].headers["retry-after"]) <= 60
        assert len(mta.mails) == 10
        # in time, for a webhook or not
        far.mute = True
        began = time.monotonic()
        said = try_it(w, far, mail_tls="starttls", webhook_ca=f'"{cert}"')
        assert not said["delivered"] and "time" in said["why"].lower(), said
        assert 14 < time.monotonic() - began < 40
        far.done.set()


def test_a_node_without_is_told_of():
    """Of several nodes the one whose turn it is mails: so all or none."""
    with Mta() as mta, World(database=postgres.shared().database()) as w:
        mailing(w, mta.port)
        w.set_conf("node", '"a"')
        w.start()
        until(lambda: json.loads(w.cli(
            "--json", "mail", "test", check=False).stdout)["delivered"])

        def told():
            return "this one has no mail_to" in w.rest("GET", "/doctor").text
        assert not told()
        w.stop()
        w.set_conf("mail_to", "{}")
        w.start()
        assert told()
        # and no longer, once nobody has mailed for hours
        postgres.shared().sql(
            "UPDATE mintmark.doc SET body = decode(regexp_replace(encode(body, "
            "'escape'), '\"at\":[0-9]+', '\"at\":1'), 'escape') "
            "WHERE id = 'mail'",
            re.search(r"/(mm\d+)\?", w.database)[1])
        assert not told()


# ---- encrypted ----

def pair(folder, name="localhost"):
    cert, key = folder / "mta.crt", folder / "mta.key"
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert,
        "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
        "-days", "2")
    return cert, key


def try_it(w, mta, **more):
    w.stop()
    mailing(w, mta.port, **more)
    w.start()
    return json.loads(w.cli("--json", "mail", "test", check=False).stdout)


def test_encrypted(w, tmp_path):
    """STARTTLS or TLS at once, to a server that is who it says; never less
    than what is asked for."""
    cert, key = pair(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    stranger, its_key = pair(other)
    ca = f'"{cert}"'
    with Mta(cert, key) as mta, Mta(cert, key, smtps=True) as smtps, \
            Mta() as plain, Mta(stranger, its_key) as false:
        said = try_it(w, mta, mail_tls="starttls", webhook_ca=ca)
        assert said["delivered"], said
        assert mta.encrypted == [True]
        assert try_it(w, smtps, mail_tls="smtps")["delivered"]
        assert smtps.encrypted == [True]
        for mta in plain, false:
            said = try_it(w, mta, mail_tls="starttls")
            assert not said["delivered"] and not mta.mails, said
            assert not any(h.startswith("MAIL") for h in mta.heard)
    w.stop()
    mailing(w, w.mta.port, mail_tls="auto", webhook_ca='""')
    w.start()


# ---- a digest ----

def test_what_ends_soon_once_a_day(w):
    """In the morning; the same day no more, the next day again."""
    w.rest("POST", "/keys", {"name": "Grafäna", "roles": ["support"],
                             "ttl": "20d"})
    w.stop()
    mailing(w, w.mta.port, mail_digest="true")
    w.mta.mails.clear()
    now = datetime.datetime.now(datetime.timezone.utc)
    nine = now.replace(hour=9, minute=0) + datetime.timedelta(days=1)

    def at(when):
        w.start(env=faketime(f"+{int((when - now).total_seconds() // 60)}m"))
    at(nine)
    (m,) = until(lambda: w.mta.about("to renew or look at"))
    assert "- api-key " in m.text and "Grafäna" in m.text
    assert "mintmark key create" in m.text
    w.stop()
    at(nine + datetime.timedelta(hours=1))
    assert w.cli("mail", "test", check=False).returncode in (0, 7, 8)
    w.stop()
    assert len(w.mta.about("to renew or look at")) == 1
    at(nine + datetime.timedelta(days=1))
    until(lambda: len(w.mta.about("to renew or look at")) == 2)


# ---- another mail server ----

def test_a_mail_server_of_the_distribution(tmp_path):
    """msmtpd, which speaks SMTP and hands what it gets to a program."""
    if shutil.which("msmtpd") is None:
        pytest.skip("no msmtpd")
    (port,) = free_ports(1)
    box = tmp_path / "box"
    keep = tmp_path / "keep"
    keep.write_text(f"#!/bin/sh\ncat >> {box}\n")
    keep.chmod(0o755)
    daemon = subprocess.Popen(
        ["msmtpd", "--interface=127.0.0.1", f"--port={port}",
         f"--command={keep}"], start_new_session=True)
    try:
        with World(profile="\tbearer = true") as w:
            mailing(w, port, mail_server=f'"127.0.0.1:{port}"')
            w.start().product()
            until(lambda: json.loads(w.cli(
                "--json", "mail", "test", check=False).stdout)["delivered"])
            assert "test: nothing to do" in box.read_text()
            name, _ = conflict(w)
            until(lambda: f"device {name}" in box.read_text())
    finally:
        os.killpg(daemon.pid, 15)
        daemon.wait()
