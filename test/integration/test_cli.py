"""The command line as a person uses it, against a running server."""
import base64
import contextlib
import fcntl
import hashlib
import http.server
import json
import os
import pty
import re
import signal
import sqlite3
import ssl
import struct
import subprocess
import termios
import threading
import time

import pytest

from world import MINT, World, run

LEAKS = True


def test_every_command_has_help_and_is_in_the_usage():
    usage = run(MINT, "help").stdout
    rows = [line.split() for line in usage.splitlines()
            if line.startswith("  ") and line[2] not in "- "]
    assert len(rows) > 35
    for words in rows:
        argv = [words[0]]
        if words[1].islower() and words[0] in usage and \
                f"  {words[0]} {words[1]} " in usage.replace("\n", "  "):
            argv.append(words[1])
        p = run(MINT, *argv, "--help", check=False)
        assert p.returncode == 0 or words[0] in ("man", "reference"), words


def on_terminal(columns, *argv, timeout=20):
    """Status and output of a program on a terminal so wide."""
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
    p = subprocess.Popen([str(a) for a in (MINT, *argv)], stdin=side,
                         stdout=side, stderr=side)
    os.close(side)
    data = b""
    while True:
        try:
            got = os.read(main, 65536)
        except OSError:  # EIO: nobody has the other side any more
            got = b""
        if not got:
            break
        data += got
    os.close(main)
    return p.wait(timeout), data.decode().replace("\r\n", "\n")


def answering(answers, *argv):
    """The same, of somebody who answers: [(what is asked, the answer)]."""
    here, there = pty.openpty()
    p = subprocess.Popen([str(a) for a in (MINT, *argv)], stdin=there,
                         stdout=subprocess.PIPE, stderr=there)
    os.close(there)
    said = ""
    ends = threading.Timer(30, p.kill)  # if it waits for something else
    ends.start()
    for question, answer in answers:
        while question not in said:
            try:
                said += os.read(here, 4096).decode()
            except OSError:
                pytest.fail(f"it ended before {question!r}: {said}")
        said = said[said.index(question) + len(question):]
        os.write(here, answer.encode() + b"\n")
    out = p.stdout.read().decode()
    os.close(here)
    ends.cancel()
    return p.wait(20), out


@pytest.mark.parametrize("argv", [
    ["help"], ["token"], ["token", "create", "--help"], ["-h"],
    ["help", "device", "import"], ["ledger", "reconcile", "-h"],
])
@pytest.mark.parametrize("columns", [60, 80])
def test_help_fits_the_terminal(argv, columns):
    status, shown = on_terminal(columns, *argv)
    assert status == 0, shown
    for line in shown.splitlines():
        assert len(line) < columns or line.startswith("usage:"), line
    told = run(MINT, *argv).stdout  # no terminal: 80 columns
    assert told.split() == shown.split()
    assert max(map(len, told.splitlines()[1:])) < 80


def test_help_is_about_what_was_asked():
    whole = run(MINT, "help").stdout
    of_create = run(MINT, "token", "create", "--help").stdout
    assert run(MINT, "-h").stdout == run(MINT, "--help").stdout == whole
    assert run(MINT, "help", "token", "create").stdout == of_create
    assert run(MINT, "token", "create", "-h").stdout == of_create
    assert run(MINT, "help", "token").stdout == run(MINT, "token").stdout
    p = run(MINT, "help", "tokn", check=False)
    assert p.returncode == 2 and "no such command: tokn" in p.stderr, p


@pytest.mark.parametrize("argv, status, says", [
    ([], 2, "usage"),
    (["nonsense"], 2, "no such command"),
    (["token", "nonsense"], 2, "hint: \"mintmark token\""),
    (["ledger", "reconcile"], 4, "hint: --config FILE"),
    (["ca", "root"], 4, "hint: --config FILE"),
    (["token", "show"], 2, "missing TOKEN"),
    (["token", "create"], 2, "say one of --device DEVICE"),
    (["token", "create", "--devise", "x"], 2, "unknown option --devise"),
    (["token", "create", "--device"], 2, "--device wants DEVICE"),
    (["status"], 2, "which server?"),
    (["completion", "fish"], 2, "want bash or zsh"),
    (["ledger", "verify", "/nonexistent"], 4, "neither a directory"),
    (["ledger", "verify-receipt", "/x"], 2, "missing --key"),
    (["ledger", "entries", "--type", "nope"], 2, "there is no"),
])
def test_wrong_usage_is_told_with_its_exit_status(argv, status, says,
                                                  monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    p = run(MINT, *argv, check=False)
    assert p.returncode == status, p
    assert says in p.stderr


def test_init_dry_run_writes_nothing(tmp_path):
    p = run(MINT, "init", "--dry-run", "--test", "--name", "Acme", "--dir",
            tmp_path / "etc", "--state", tmp_path / "state")
    assert 'profile "device" {' in p.stdout
    assert list(tmp_path.iterdir()) == []


def test_init_asks_and_asks_again(tmp_path):
    """Until an answer is one; then it does as if all had been options."""
    status, out = answering([
        ("The maker's name: ", ""),
        ("missing --name", "Acme"),
        ("Root CA: new or external [new]: ", "http://pki.acme.example"),
        ("is too long", "none"),
        ('want new or external, not "none"', "new"),
        ("Key type of the CAs [p256]: ", "dsa"),
        ("Key type of the CAs [p256]: ", "p384"),
        ("Public URL, written into every certificate "
         "[http://localhost:8080]: ", "https://x"),
        ("want http://", "http://pki.acme.example"),
        ("Names of this server, with commas [localhost,127.0.0.1]: ", ""),
        (f"[sqlite:{tmp_path}/st/server/mintmark.db]: ", "mysql://x"),
        ("want sqlite:", f"sqlite:{tmp_path}/st/server/other.db"),
        ("A first product [device]: ", "A B"),
        ("a-z 0-9", "thermo"),
        ("The first administrator [admin]: ", "")],
        "init", "--dry-run", "--test", "--dir", tmp_path / "etc", "--state",
        tmp_path / "st")
    assert status == 0, out
    for line in ("maker          Acme (test CA)", "root           new, p384",
                 "public URL     http://pki.acme.example",
                 f'database = "sqlite:{tmp_path}/st/server/other.db"',
                 'profile "thermo" {'):
        assert line in out.splitlines(), out


def test_init_asks_a_production_ca_for_a_url_that_lasts(tmp_path):
    status, _ = answering([
        ("Public URL, written into every certificate: ",
         "http://localhost:8080"),
        ("use a DNS name of your own", "http://pki.acme.example"),
        ("[pki.acme.example]: ", ""), ("Database", ""),
        ("A first product", ""), ("The first administrator", "")],
        "init", "--dry-run", "--name", "Acme", "--root", "new", "--key-type",
        "p256", "--dir", tmp_path / "etc", "--state", tmp_path / "st",
        "--server-user", "nobody", "--signer-user", "root", "--audit-group",
        "nogroup")
    assert status == 0


@pytest.mark.parametrize("how, per_minute", [
    (["--test"], 0),
    (["--public-url", "http://pki.example.com", "--server-user", "daemon",
      "--signer-user", "nobody", "--audit-group", "nogroup"], 6000)])
def test_init_gives_a_production_profile_ceilings(how, per_minute, tmp_path):
    p = run(MINT, "init", "--dry-run", *how, "--name", "Acme", "--dir",
            tmp_path / "e", "--state", tmp_path / "s")
    assert f"per_minute = {per_minute}\n" in p.stdout


@pytest.mark.parametrize("url", ["http://localhost:8080", "http://127.0.0.1",
                                 "http://[::1]:80", "http://pki",
                                 "http://LOCALHOST.:8080",
                                 "http://foo.localhost"])
def test_init_refuses_a_public_url_that_cannot_last(url, tmp_path):
    p = run(MINT, "init", "--dry-run", "--name", "Acme", "--public-url", url,
            "--dir", tmp_path / "e", "--state", tmp_path / "s", check=False)
    assert p.returncode == 3
    assert "--public-url" in p.stderr and "hint" in p.stderr


def init_argv(tmp_path, *more):
    phrase = tmp_path / "phrase"
    if not phrase.exists():
        phrase.write_text("correct horse battery staple\n")
    return [MINT, "init", "--yes", "--name", "Acme", "--dir",
            tmp_path / "ca/etc", "--state", tmp_path / "ca/state",
            "--passphrase-file", phrase, *more]


PRODUCTION = ["--public-url", "http://pki.example.com", "--server-user",
              "daemon", "--signer-user", "nobody", "--audit-group", "nogroup"]


@pytest.mark.parametrize("how, status, says", [
    (["--test", "--public-url", "http://localhost/x?y"], 2, "public_url"),
    (["--test", "--database", "mysql:foo"], 2, "database"),
    (["--test", "--database", "postgresql://u@127.0.0.1:1/x"], 7, "database"),
    (["--test", "--devices-listen", "nonsense"], 2, "devices_listen"),
    (["--test", "--host", "localhost,no_name!"], 2, "--host"),
    (["--test", "--host", "*.example.com"], 2, "--host"),
    (["--test", "--server-user", "no-such-user"], 4, "adduser"),
    (["--test", "--dir", "/dev/null/here"], 2, "Not a directory"),
    ([*PRODUCTION, "--host", "localhost,pki.example.com"], 2, "devices_url"),
    ([*PRODUCTION[:2], "--server-user", "daemon", "--signer-user", "daemon",
      "--audit-group", "nogroup"], 2, "two different users"),
])
def test_init_finds_what_is_wrong_before_it_makes_anything(how, status, says,
                                                           tmp_path):
    argv = init_argv(tmp_path, *how)
    if "--dir" in how:
        at = argv.index("--dir")
        del argv[at:at + 2]
    (tmp_path / "ca").mkdir()
    for dry in ["--dry-run"], []:
        p = run(*argv, *dry, check=False)
        assert p.returncode == status and says in p.stderr, p
        assert list((tmp_path / "ca").iterdir()) == []


def test_a_dry_init_looks_at_targets_and_passphrase(world, tmp_path):
    p = run(*init_argv(tmp_path, "--test", "--dry-run"))
    p = run(*init_argv(tmp_path, "--dry-run", "--public-url",
                       "http://pki.example.com.", *PRODUCTION[2:]))
    assert "https://pki.example.com:8443" in p.stdout
    argv = init_argv(tmp_path, "--test", "--dry-run")
    (tmp_path / "phrase").write_text("ab\n")
    p = run(*argv, check=False)
    assert p.returncode == 2 and "2 characters" in p.stderr
    p = run(MINT, "init", "--test", "--dry-run", "--name", "Acme", "--dir",
            world.etc, "--state", tmp_path / "s", check=False)
    assert p.returncode == 5 and "there already" in p.stderr


@pytest.mark.parametrize("kept", [False, True])
def test_an_init_that_fails_halfway_leaves_nothing(kept, tmp_path):
    """The database's folder is none: only mintmarkd finds that."""
    if kept:
        (tmp_path / "ca/etc").mkdir(parents=True)
        (tmp_path / "ca/etc/mine").write_text("x")
    (tmp_path / "file").write_text("")
    p = run(*init_argv(tmp_path, "--test", "--database",
                       f"sqlite:{tmp_path}/file/x.db"), check=False)
    assert p.returncode != 0 and "removed again" in p.stderr, p
    left = {str(f.relative_to(tmp_path)) for f in tmp_path.rglob("*")}
    assert left - {"ca"} == {"phrase", "file"} | (
        {"ca/etc", "ca/etc/mine"} if kept else set())
    p = run(*init_argv(tmp_path, "--test", "--product", "cam"))
    assert "product create cam --ldevid-profile cam" in p.stdout


def test_an_address_of_ipv6_has_brackets_in_urls(tmp_path):
    p = run(MINT, "init", "--test", "--dry-run", "--name", "A", "--host",
            "2001:db8::1,localhost", "--dir", tmp_path / "e", "--state",
            tmp_path / "s")
    assert 'devices_url = "https://[2001:db8::1]:8443"' in p.stdout


def test_init_does_not_overwrite(world):
    before = world.conf.read_bytes()
    p = run(MINT, "init", "--test", "--yes", "--name", "Acme", "--dir",
            world.etc, "--state", world.state, "--passphrase-file",
            world.passphrase, check=False)
    assert p.returncode == 5 and "there already" in p.stderr
    assert world.conf.read_bytes() == before


def test_a_token_is_made_listed_and_cancelled(world):
    made = json.loads(world.cli("--json", "token", "create", "--device",
                                "CLI-1", "--product", "thermo").stdout)
    assert made["token"].startswith("mm1-") and made["uri"]
    shown = world.cli("token", "show", made["id"]).stdout
    assert made["token"] not in shown and "CLI-1" in shown
    assert "CLI-1" in world.cli("token", "list", "--device", "CLI-1").stdout
    world.cli("token", "cancel", made["id"])
    p = world.cli("--json", "token", "show", made["id"])
    assert json.loads(p.stdout)["state"] == "cancelled"


def test_tokens_in_bulk_resume_where_they_ended(world, tmp_path):
    csv, out = tmp_path / "in.csv", tmp_path / "out.csv"
    csv.write_text("device,product\r\n" + "".join(
        f"B-{i},thermo\r\n" for i in range(700)))
    p = world.cli("token", "create", "--csv", csv, "--dry-run")
    assert "700 rows would be minted" in p.stderr
    world.cli("token", "create", "--csv", csv, "--out", out)
    rows = out.read_text().splitlines()
    assert len(rows) == 701 and rows[1].startswith("B-0,mm1-")
    again = world.cli("token", "create", "--csv", csv, "--out", out,
                      check=False)
    assert again.returncode == 5 and "--resume" in again.stderr
    out.write_text("\n".join(rows[:301]) + "\n")
    world.cli("token", "create", "--csv", csv, "--out", out, "--resume")
    assert len(out.read_text().splitlines()) == 701


def live(world, product):
    """Tokens that could be used, by device."""
    items, after = [], ""
    while after is not None:
        a = world.rest("GET", f"/tokens?limit=1000&product={product}"
                       f"&state=minted{after and '&after=' + after}").json
        items, after = items + a["items"], a.get("next")
    return sorted(t["device"] for t in items)


def test_a_resumed_run_mints_no_device_twice(world, tmp_path):
    """Rows that were refused are not in --out; then they are mended."""
    world.product("resume", ldevid_profile="thermo")
    csv, out = tmp_path / "in.csv", tmp_path / "out.csv"
    names = [f"RS-{i}" for i in range(500)]
    def rows(bad):
        csv.write_text("device,product,profile\n" + "".join(
            f"{n},resume,{'nope' if i < bad else ''}\n"
            for i, n in enumerate(names)))
    rows(10)
    p = world.cli("token", "create", "--csv", csv, "--out", out, check=False)
    assert p.returncode == 5 and "10 refused" in p.stderr
    rows(0)
    world.cli("token", "create", "--csv", csv, "--out", out, "--resume")
    assert live(world, "resume") == sorted(names)
    made = [r.split(",")[0] for r in out.read_text().splitlines()[1:]]
    assert sorted(made) == sorted(names)


def test_a_torn_last_row_is_cut_and_made_again(world, tmp_path):
    csv, out = tmp_path / "in.csv", tmp_path / "out.csv"
    names = ["TO-1", "-TO-2", "TO-3", "-TO-4"]
    csv.write_text("device,product\n" + "".join(f"{n},thermo\n"
                                               for n in names))
    world.cli("token", "create", "--csv", csv, "--out", out)
    whole = out.read_bytes()
    head = whole.index(b"\n") + 1
    last = whole[:-1].rindex(b"\n") + 1
    # around each end of a cell; between them one cut is as good as another
    ends = [i for i, c in enumerate(whole) if c in b",\n"]
    cuts = {at for at in [*range(head), *range(last, len(whole) + 1)]
            if at % 16 == 0 or any(-1 <= at - i <= 2 for i in ends)}
    for at in sorted(cuts):
        out.write_bytes(whole[:at])
        p = world.cli("token", "create", "--csv", csv, "--out", out,
                      "--resume")
        torn = last < at < len(whole) - 1
        assert ("was torn" in p.stderr) == torn, (at, p.stderr)
        text = out.read_bytes()
        rows = text.decode().splitlines()
        assert text.endswith(b"\n") and rows[0].split(",")[0] == "device"
        made = [r.split(",") for r in rows[1:]]
        assert [r[0].strip("\"'") for r in made] == names, (at, rows)
        assert all(len(r) == 5 and "&a=" in r[4] for r in made), (at, rows)
        if at >= last:
            assert text[:last] == whole[:last]
            assert (text == whole) == (at >= len(whole) - 1), at


def test_an_interrupted_run_ends_between_two_requests(world, tmp_path):
    """What was minted is in the file; --resume makes the rest."""
    world.product("intr", ldevid_profile="thermo")
    csv, out = tmp_path / "in.csv", tmp_path / "out.csv"
    names = [f"IN-{i}" for i in range(5000)]
    csv.write_text("device,product\n" + "".join(f"{n},intr\n"
                                               for n in names))
    argv = ["token", "create", "--csv", csv, "--out", out]
    p = subprocess.Popen([MINT, "--context", world.context, *argv],
                         stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 30
    while not out.exists() or out.stat().st_size < 1000:
        assert time.monotonic() < end and p.poll() is None
        time.sleep(0.001)
    p.send_signal(signal.SIGINT)
    said = p.communicate(timeout=30)[1]
    assert p.returncode == -signal.SIGINT, said
    assert "interrupted" in said and "--resume" in said
    made = [r.split(",")[0] for r in out.read_text().splitlines()[1:]]
    assert 0 < len(made) < len(names) and made == names[:len(made)]
    assert live(world, "intr") == sorted(made)
    status, shown = on_terminal(60, "--context", world.context, *argv,
                                "--resume", timeout=60)
    assert status == 0 and live(world, "intr") == sorted(names)
    # a line that breaks cannot be drawn over
    assert all(len(frame) < 60 for line in shown.splitlines()
               for frame in line.split("\r")
               if frame.startswith("rows ")), shown


def test_another_file_is_not_cut(world, tmp_path):
    csv, out = tmp_path / "in.csv", tmp_path / "notes"
    csv.write_text("device,product\nNC-1,thermo\n")
    for text in ("a line of mine", "serial,x\n1,2\n3"):
        out.write_text(text)
        p = world.cli("token", "create", "--csv", csv, "--out", out,
                      "--resume", check=False)
        assert p.returncode == 2 and out.read_text() == text, p
    assert world.rest("GET", "/tokens?device=NC-1").json["items"] == []


def test_a_device_with_two_rows_has_two_tokens_also_when_resumed(world,
                                                                 tmp_path):
    csv, out = tmp_path / "in.csv", tmp_path / "out.csv"
    csv.write_text("device,product\n" + "TW-1,thermo\n" * 2 + "TW-2,thermo\n")
    out.write_text("device,id,token,expires,uri\nTW-1,x,x,x,x\n")
    world.cli("token", "create", "--csv", csv, "--out", out, "--resume")
    made = [r.split(",")[0] for r in out.read_text().splitlines()[1:]]
    assert made == ["TW-1", "TW-1", "TW-2"]


def test_a_file_that_cannot_be_made_is_found_before_minting(world, tmp_path):
    p = world.cli("token", "create", "--device", "OUT-1", "--product",
                  "thermo", "--out", "/nonexist/x", check=False)
    assert p.returncode == 4, p
    assert world.rest("GET", "/tokens?device=OUT-1").json["items"] == []
    out = tmp_path / "t"
    p = world.cli("token", "create", "--device", "OUT-1", "--product", "none",
                  "--out", out, check=False)
    assert p.returncode == 4 and not out.exists()
    world.cli("token", "create", "--device", "OUT-1", "--product", "thermo",
              "--out", out)
    assert json.loads(out.read_text())["device"] == "OUT-1"
    assert out.stat().st_mode & 0o7777 == 0o600
    p = world.cli("token", "create", "--device", "OUT-1", "--out", out,
                  check=False)
    assert p.returncode == 5 and "nothing is overwritten" in p.stderr
    assert len(world.rest("GET", "/tokens?device=OUT-1").json["items"]) == 1


def test_a_dry_run_names_every_bad_row(world, tmp_path):
    csv = tmp_path / "in.csv"
    csv.write_text("device,product,ttl\nA-1,thermo,1h\nbad id,thermo,\n"
                   "A-3,nope,\nA-4\nA-5,thermo,0\nA-6,thermo,\n")
    p = world.cli("token", "create", "--csv", csv, "--dry-run", check=False)
    assert p.returncode == 2 and "2 rows would be minted" in p.stderr
    for row, words in [(2, "not a device id"), (3, "no such product"),
                       (4, "not as many cells"), (5, "ttl")]:
        assert f"row {row}: {words}" in p.stderr, p.stderr
    assert "--resume" not in p.stderr
    p = world.cli("token", "create", "--csv", csv, check=False)
    assert p.returncode == 2 and "4: not as many" in p.stderr
    assert world.rest("GET", "/tokens?device=A-1").json["items"] == []


@pytest.mark.parametrize("how", [["--ttl", "0"], ["--ttl", "0h"]])
def test_a_token_for_no_time_is_refused(world, how):
    p = world.cli("token", "create", "--device", "TTL-0", "--product",
                  "thermo", *how, check=False)
    assert p.returncode == 2 and "ttl" in p.stderr
    a = world.rest("POST", "/tokens", {"device": "TTL-0", "product": "thermo",
                                       "ttl": how[1]})
    assert a.status == 400, a


def test_a_new_device_wants_its_product_and_is_told_so(world):
    p = world.cli("token", "create", "--device", "NOWHERE-1", check=False)
    assert p.returncode == 4 and "--product PRODUCT" in p.stderr


@pytest.fixture
def busy(world, tmp_path):
    """The server behind a gate that lets the n-th POST only pass, and says
    when to come again to the others."""
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
        "-addext", "subjectAltName=DNS:localhost", "-keyout", tmp_path / "k",
        "-out", tmp_path / "c")
    state = {"refuse": [], "seen": 0}

    class Gate(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state["seen"] += 1
            if state["refuse"]:
                status, more, text = state["refuse"].pop(0), \
                    {"Retry-After": "1"}, b'{"detail":"the ceiling"}'
            else:
                a = world.rest("POST", self.path[len("/api/v1"):], body)
                status, more, text = a.status, {}, a.body
            self.send_response(status)
            for k, v in {**more, "Content-Length": len(text)}.items():
                self.send_header(k, str(v))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args):
            pass

    gate = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gate)
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(tmp_path / "c", tmp_path / "k")
    gate.socket = ctx.wrap_socket(gate.socket, server_side=True)
    thread = threading.Thread(target=gate.serve_forever, daemon=True)
    thread.start()
    state["argv"] = ["--server", f"https://localhost:{gate.server_port}",
                     "--ca", tmp_path / "c"]
    yield state
    gate.shutdown()
    gate.server_close()
    thread.join(10)


def test_a_bulk_run_waits_when_the_server_asks_it_to(world, busy, tmp_path):
    csv, out = tmp_path / "in.csv", tmp_path / "out.csv"
    csv.write_text("device,product\n" + "".join(
        f"WT-{i},thermo\n" for i in range(600)))
    busy["refuse"] = [429, 503]
    p = world.cli(*busy["argv"], "token", "create", "--csv", csv, "--out", out)
    assert "asks to wait (the ceiling)" in p.stderr
    assert p.stderr.count("asks to wait") == 1 and busy["seen"] == 4
    assert len(out.read_text().splitlines()) == 601


def test_an_import_ends_where_a_request_is_refused_whole(world, busy, tmp_path):
    array = tmp_path / "in.json"
    array.write_text(json.dumps([{"id": f"RW-{i}", "product": "no-such"}
                                 for i in range(4001)]))
    busy["refuse"] = [413] * 3
    p = world.cli(*busy["argv"], "device", "import", array, check=False)
    assert p.returncode == 6 and "the ceiling" in p.stderr, p
    assert busy["seen"] == 3 and "row " not in p.stderr, p


@pytest.mark.parametrize("text, says", [
    ("device\n", "0 tokens"), ("serial\nA\n", "not among them"),
    ("device\nbad id!\n", "row 1"),
    ("device,product\nA\n", "not as many cells"),
    ('device\n"A\n', "quote not closed"),
    ("device,product,bound-key\nA,thermo,00\n", 'column "bound-key"'),
    ("device,product,device\nA,thermo,B\n", 'column "device" twice'),
])
def test_a_bad_csv_is_told_by_row(world, tmp_path, text, says):
    csv = tmp_path / "in.csv"
    csv.write_text(text)
    p = world.cli("token", "create", "--csv", csv, check=False)
    assert says in p.stderr


def test_names_are_checked_and_problems_carry_a_request_id(world):
    p = world.cli("device", "show", "NOBODY", check=False)
    assert p.returncode == 4 and "request id:" in p.stderr
    p = world.cli("product", "create", "Bad Name", check=False)
    assert p.returncode == 2


def test_keys_are_shown_once_and_have_roles(world, tmp_path):
    made = json.loads(world.cli("--json", "key", "create", "line 3",
                                "--role", "line").stdout)
    file = tmp_path / "key"
    file.write_text(made["key"] + "\n")
    assert made["key"] not in world.cli("key", "list").stdout
    p = run(MINT, "--context", world.context, "--key-file", file, "key",
            "list", check=False)
    assert p.returncode == 3
    hint = re.search(r'hint: "mintmark (.*)" says which roles', p.stderr)
    p = run(MINT, "--context", world.context, "--key-file", file,
            *hint[1].split())
    assert re.search(r"roles +line\n", p.stdout), p.stdout
    world.cli("key", "revoke", made["id"])
    p = run(MINT, "--context", world.context, "--key-file", file, "status",
            check=False)
    assert p.returncode == 8


def test_the_ledger_verifies_and_its_copy_too(world, tmp_path):
    key = tmp_path / "key"
    key.write_text(world.cli("ledger", "key").stdout)
    keep = tmp_path / "kept"
    world.cli("ledger", "verify", "--key", key, "--keep", keep)
    world.cli("device", "create", "LV-1", "--product", "thermo")
    p = world.cli("ledger", "verify", "--key", key, "--keep", keep)
    assert "are those of last time" in p.stdout
    copy = tmp_path / "copy"
    world.cli("ledger", "export", "--format", "tiles", "--out", copy)
    world.cli("ledger", "verify", copy, "--key", key)
    tile = next((copy / "tile/entries").rglob("*/*"))
    tile.write_bytes(tile.read_bytes().replace(b"thermo", b"thermx", 1))
    p = world.cli("ledger", "verify", copy, "--key", key, check=False)
    assert p.returncode == 9 and "hint" in p.stderr
    assert "(unverified)" in p.stderr


def test_a_url_may_end_in_a_slash(world):
    url = f"https://localhost:{world.operators}/"
    world.cli("ledger", "verify", url, "--ca", world.anchor, "--key-file",
              world.etc / "admin.key")
    world.cli("--server", url, "key", "whoami")
    p = world.cli("--server", "https://", "key", "whoami", check=False)
    assert p.returncode == 2 and "want https://host:port" in p.stderr, p


def test_the_first_fault_of_a_ledger_is_the_one_that_is_told(world, tmp_path):
    """Its bundles are checked by several threads, in whatever order."""
    csv = tmp_path / "tokens.csv"
    csv.write_text("device,product\n" + "".join(
        f"FF-{i},thermo\n" for i in range(700)))
    world.cli("token", "create", "--csv", csv, "--out", tmp_path / "out")
    copy = tmp_path / "copy"
    for _ in range(100):  # until the tree is signed with them in it
        if int(world.cli("ledger", "checkpoint").stdout.split("\n")[1]) > 512:
            break
        time.sleep(0.1)
    world.cli("ledger", "export", "--format", "tiles", "--out", copy)
    later = copy / "tile/entries/001"
    assert later.is_file()
    whole = later.read_bytes()
    faults = [(lambda: later.unlink(), "cannot open"),
              (lambda: later.write_bytes(whole[:-1]), "want 256 entries"),
              (lambda: later.write_bytes(whole.replace(b'{"v"', b'["v"', 1)),
               "entry 256:")]
    for spoil, said in faults:
        spoil()
        p = world.cli("ledger", "verify", copy, check=False)
        assert p.returncode == 9 and said in p.stderr, p
        first = copy / "tile/entries/000"
        kept = first.read_bytes()
        first.write_bytes(kept.replace(b'{"v"', b'["v"', 1))
        p = world.cli("ledger", "verify", copy, check=False)
        assert p.returncode == 9 and "entry 0:" in p.stderr, p
        first.write_bytes(kept)


def test_a_failed_check_is_told_from_a_refusal(world, tmp_path):
    """A key of the line may not read the ledger: 3, and no alarm."""
    made = json.loads(world.cli("--json", "key", "create", "line 9",
                                "--role", "line").stdout)
    (tmp_path / "line").write_text(made["key"] + "\n")
    p = world.cli("--key-file", tmp_path / "line", "ledger", "verify",
                  check=False)
    assert p.returncode == 3 and "by accident" not in p.stderr, p
    key = tmp_path / "key"
    key.write_text(world.cli("ledger", "key").stdout)
    for i, (what, status) in enumerate([
            ("tile/entries", 9), ("tile/0", 9), ("checkpoint", 4)]):
        copy = tmp_path / f"gone{i}"
        world.cli("ledger", "export", "--format", "tiles", "--out", copy)
        path = copy / what
        path = path if path.is_file() else next(
            f for f in path.rglob("*") if f.is_file())
        path.unlink()
        p = world.cli("ledger", "verify", copy, "--key", key, check=False)
        assert p.returncode == status, (what, p)
        assert ("by accident" in p.stderr) == (status == 9), p
    for text in [b"garbage\n", b""]:
        (copy / "checkpoint").write_bytes(text)
        p = world.cli("ledger", "verify", copy, "--key", key, check=False)
        assert p.returncode == 9 and "by accident" in p.stderr, p
    p = world.cli("ledger", "verify", "--key", "/nonexistent", check=False)
    assert p.returncode == 4


def test_a_receipt_that_does_not_verify_is_exit_9(world, tmp_path):
    key = tmp_path / "key"
    key.write_text(world.cli("ledger", "key").stdout)
    for text in ["{}", "not JSON"]:
        (tmp_path / "receipt").write_text(text)
        p = world.cli("ledger", "verify-receipt", tmp_path / "receipt",
                      "--key", key, check=False)
        assert p.returncode == 9, p
    p = world.cli("ledger", "verify-receipt", tmp_path / "none", "--key", key,
                  check=False)
    assert p.returncode == 4


def test_a_whole_token_never_travels_in_a_path(world):
    made = world.token("PATH-1")
    for text in made["token"], made["token"].lower(), made["uri"]:
        p = world.cli("--json", "token", "show", text)
        assert json.loads(p.stdout)["id"] == made["id"]
        assert "only its id" in p.stderr
        assert made["token"][-20:] not in p.stderr
    world.cli("token", "cancel", made["token"])
    p = world.cli("--json", "token", "show", made["id"])
    assert json.loads(p.stdout)["state"] == "cancelled" and p.stderr == ""
    assert world.cli("token", "show", "nonsense", check=False).returncode == 2


def test_dry_runs_say_what_would_happen(world):
    world.token("DRY-1")
    csr = world.key_and_csr("DRY-1")[1]
    run("openssl", "req", "-inform", "DER", "-in", csr, "-out",
        world.dir / "dry.pem")
    made = json.loads(world.cli("--json", "device", "enrol", "DRY-1", "--csr",
                                world.dir / "dry.pem").stdout)
    s = made["serial"]
    p = world.cli("cert", "revoke", s, "--dry-run", "--reason", "superseded")
    assert s in p.stdout and "would be revoked" in p.stdout
    assert "superseded" in p.stdout and "DRY-1" in p.stdout
    for bad in "nope", "certificateHold", "removeFromCRL":
        for dry in ["--dry-run"], []:
            p = world.cli("cert", "revoke", s, *dry, "--reason", bad,
                          check=False)
            assert p.returncode == 2, p
    p = world.cli("device", "retire", "DRY-1", "--dry-run")
    assert "DRY-1 would be retired" in p.stdout and "1 certificate " in p.stdout
    p = world.cli("--json", "device", "retire", "DRY-1", "--dry-run")
    assert json.loads(p.stdout)["would_be"] == "retired"
    assert world.rest("GET", f"/certificates/{s}").json["state"] != "revoked"
    assert world.rest("GET", "/devices/DRY-1").json["state"] != "retired"
    world.cli("device", "retire", "DRY-1")
    assert world.rest("GET", "/devices/DRY-1").json["state"] == "retired"
    p = world.cli("device", "retire", "DRY-1", "--dry-run")
    assert "already" in p.stdout
    p = world.cli("cert", "revoke", s, "--dry-run")
    assert "already" in p.stdout


@pytest.mark.parametrize("words, state", [([], "no"), (["--yes"], "yes")])
def test_a_person_is_asked_before_a_device_is_retired(world, words, state):
    name = f"ASK-{state}"
    world.cli("device", "create", name, "--product", "thermo")
    here, there = pty.openpty()
    os.write(here, b"n\n")
    p = subprocess.run([str(MINT), "--context", str(world.context), "device",
                        "retire", name, *words], stdin=there, stderr=there,
                       stdout=subprocess.PIPE, timeout=30)
    os.close(there)
    os.close(here)
    assert p.returncode == (0 if words else 3)
    now = world.rest("GET", f"/devices/{name}").json["state"]
    assert (now == "retired") == bool(words)


def test_long_work_shows_how_far_it_is(world, tmp_path):
    """A bar, a rate and the time left, for what takes over a second."""
    argv = ("--context", world.context, "token", "create", "--product",
            "thermo", "--serials", "BAR-{1..3000}", "--out", tmp_path / "out")
    server = world.children()["server"]
    os.kill(server, signal.SIGSTOP)
    goes_on = threading.Timer(1.3, os.kill, (server, signal.SIGCONT))
    goes_on.start()
    try:
        status, said = on_terminal(100, *argv, timeout=60)
    finally:
        goes_on.join()
    assert status == 0
    drawn = [re.fullmatch(r"rows \[(#*)\.*\] (\d+)/3000  (\d+)/s  (\d+) s "
                          r"left *", line)
             for line in said.split("\n")[0].strip("\r").split("\r")]
    assert len(drawn) > 1 and all(drawn), said
    done = [int(m[2]) for m in drawn]
    assert done == sorted(done) and done[0] < done[-1] == 3000
    assert len(drawn[-1][1]) == 24 and int(drawn[-1][4]) == 0
    # who does not look at a terminal, or does not want it, is shown none
    assert "#" not in world.cli("token", "create", "--product", "thermo",
                                "--serials", "BAR-{3001..3002}").stderr


def test_reasons_that_complete_are_taken(world):
    words = run(MINT, "complete", "reason").stdout.split()
    assert "keyCompromise" in words
    world.cli("device", "create", "RSN-1", "--product", "thermo")
    csr = world.key_and_csr("RSN-1")[1]
    run("openssl", "req", "-inform", "DER", "-in", csr, "-out",
        world.dir / "rsn.pem")
    s = json.loads(world.cli("--json", "device", "enrol", "RSN-1", "--csr",
                             world.dir / "rsn.pem").stdout)["serial"]
    for word in words:
        world.cli("cert", "revoke", s, "--dry-run", "--reason", word)
    assert not {"unknown", "certificateHold", "removeFromCRL"} & set(words)


def test_a_closed_bearer_door_is_explained():
    with World(profile="\tbearer = false") as w:
        w.start().product()
        p = w.cli("token", "create", "--device", "BEAR-1", "--product",
                  "thermo", "--door", "bearer", check=False)
    assert p.returncode == 3 and "hint: a bearer token needs" in p.stderr, p


def test_an_update_keeps_what_it_does_not_name(world):
    world.cli("product", "create", "upd", "--ldevid-profile", "thermo",
              "--description", "first", "--hw-type-oid", "1.2.3")
    def shown():
        return json.loads(world.cli("--json", "product", "show",
                                    "upd").stdout)
    before = shown()
    world.cli("product", "update", "upd", "--description", "second")
    assert shown() == {**before, "description": "second", "version": 2}
    world.cli("product", "update", "upd", "--description", "")
    assert shown() == {**before, "description": "", "version": 3}
    assert world.cli("product", "update", "nope", "--description", "x",
                     check=False).returncode == 4


def test_lists_say_when_a_thing_was_created(world):
    world.cli("device", "create", "CR-1", "--product", "thermo")
    a = world.rest("GET", "/devices/CR-1").json["created"]
    assert a[:19] in world.cli("device", "list", "--limit", "0").stdout
    a = world.rest("GET", "/products/thermo").json["created"]
    assert a[:19] in world.cli("product", "list").stdout


def test_a_server_that_answers_is_not_asked_whether_it_runs(world):
    """No checkpoint is signed while the signer stands still."""
    world.product("still", ldevid_profile="thermo")
    signer = world.children()["signer"]
    os.kill(signer, signal.SIGSTOP)
    try:
        world.cli("device", "create", "STILL-1", "--product", "still")
        size = world.rest("GET", "/status").json["ledger"]["size"]
        p = world.cli("ledger", "receipt", str(size - 1), check=False)
    finally:
        os.kill(signer, signal.SIGCONT)
    assert p.returncode == 7 and "no checkpoint covers" in p.stderr, p
    assert "mintmark doctor" in p.stderr and "running" not in p.stderr, p


def test_a_list_that_is_cut_goes_on_where_it_ended(world):
    ids = [f"CUT-{i}" for i in range(7)]
    world.product("cut", ldevid_profile="thermo")
    for d in ids:
        world.cli("device", "create", d, "--product", "cut")
    got, after = [], []
    while True:
        p = world.cli("device", "list", "--product", "cut", "--limit", "3",
                      *after)
        rows = p.stdout.splitlines()[1:]
        got += [r.split()[0] for r in rows]
        assert len(rows) <= 3
        if "there are more" not in p.stderr:
            break
        after = ["--after", re.search(r"--after (\S+),", p.stderr)[1]]
    assert got == ids
    whole = world.cli("--json", "device", "list", "--product", "cut",
                      "--limit", "0")
    assert [d["id"] for d in json.loads(whole.stdout)] == ids
    quiet = world.cli("--quiet", "device", "list", "--product", "cut",
                      "--limit", "3")
    assert quiet.stderr == "" and len(quiet.stdout.splitlines()) == 4


def test_a_list_goes_over_pages(world, tmp_path):
    world.product("paged", ldevid_profile="thermo")
    csv = tmp_path / "devices.csv"
    ids = [f"PG-{i:04}" for i in range(1003)]
    csv.write_text("id,product\n" + "".join(f"{d},paged\n" for d in ids))
    world.cli("device", "import", csv)
    for limit, want in (0, 1003), (1001, 1001), (2000, 1003):
        p = world.cli("--json", "device", "list", "--product", "paged",
                      "--limit", str(limit))
        assert [d["id"] for d in json.loads(p.stdout)] == ids[:want]
    p = world.cli("device", "list", "--product", "paged", "--limit", "1001")
    assert [r.split()[0] for r in p.stdout.splitlines()[1:]] == ids[:1001]
    assert "--after PG-1000," in p.stderr


def test_a_list_of_nothing_is_one(world):
    none = world.cli("--json", "token", "list", "--device", "NOBODY").stdout
    assert json.loads(none) == []
    none = world.cli("token", "list", "--device", "NOBODY").stdout
    assert none.split() == ["TOKEN", "DEVICE", "PRODUCT", "STATE", "DOOR",
                            "EXPIRES"]


def test_lengths_of_time_are_for_people(world):
    """Seconds in JSON; in a table as a configuration has them."""
    p = world.rest("GET", "/profiles/thermo").json
    assert (p["lifetime"], p["backdate"], p["grace"]) == (31536000, 3600, 0)
    shown = dict(line.split(None, 1) for line in world.cli(
        "profile", "show", "thermo").stdout.splitlines() if " " in
        line.strip())
    assert (shown["lifetime"], shown["backdate"], shown["grace"]) == \
        ("365d", "1h", "0")
    listed = world.cli("profile", "list").stdout.splitlines()[1].split()
    assert listed[0] == "thermo" and listed[5] == "365d", listed


@pytest.mark.parametrize("noun, states", [
    ("token", "minted issued confirmed frozen cancelled expired"),
    ("cert", "issued confirmed superseded held revoked orphaned"),
    ("device", "active retired")])
def test_a_state_that_is_none_hears_which_there_are(world, noun, states):
    p = world.cli(noun, "list", "--state", "broken", check=False)
    assert p.returncode == 2 and f"there are: {states}" in p.stderr, p.stderr


def test_quiet_keeps_what_is_shown_once(world):
    p = world.cli("--quiet", "key", "create", "q", "--role", "support")
    assert re.search(r"^key +mmk_[0-9a-f]{16}_", p.stdout, re.M)
    assert p.stderr == ""


def test_a_rotated_secret_comes_with_what_to_do(world):
    made = json.loads(world.cli("--json", "webhook", "create",
                                "https://example.com/h").stdout)
    p = world.cli("webhook", "rotate", made["id"])
    assert "whsec_" in p.stdout and "24 hours" in p.stderr
    p = world.cli("webhook", "rotate", "wh_0123456789abcdef", check=False)
    assert p.returncode == 4 and "24 hours" not in p.stderr
    world.cli("webhook", "remove", made["id"])


@pytest.mark.parametrize("argv, code, status", [
    (["nonsense"], "malformed", 2), (["token", "nonsense"], "malformed", 2),
    (["token", "create"], "malformed", 2), (["token", "show"], "malformed", 2),
    (["device", "show", "NOBODY"], "not-found", 4),
    (["ledger", "verify", "/dev/null"], "not-found", 4),
])
def test_a_failure_is_json_too(world, argv, code, status):
    p = world.cli("--json", *argv, check=False)
    assert p.returncode == status and p.stdout == ""
    e = json.loads(p.stderr)["error"]
    assert e["code"] == code and e["exit"] == status and e["reason"]
    assert ("request_id" in e) == (argv[0] == "device")
    assert "hint" in e or argv[1:] == ["create"] or argv[0] == "ledger"


def test_a_terminal_gets_no_orders_from_the_server(world):
    bad = "a\x1b[2Jb\x7fc\u009bd\ne"
    a = world.rest("POST", "/products", {"name": "esc", "description": bad,
                                         "ldevid_profile": "thermo"})
    assert a.status == 201, a
    for argv in ["product", "list"], ["product", "show", "esc"]:
        out = world.cli(*argv).stdout
        assert not set(out) & {"\x1b", "\x7f", "\x9b"}, out
    for argv in ["product", "list"], ["product", "show", "esc"]:
        out = world.cli("--json", *argv).stdout
        assert not set(out) & {"\x1b", "\x7f", "\x9b"}, out
        shown = json.loads(out)
        shown = shown if argv[1] == "show" else \
            next(p for p in shown if p["name"] == "esc")
        assert shown["description"] == bad
    p = world.cli("device", "show", "x\x1b[2Jy", check=False)
    assert p.returncode != 0 and "\x1b" not in p.stderr
    p = world.cli("--json", "device", "show", "x\x9b2J\x7fy", check=False)
    said = json.loads(p.stderr)["error"]["reason"]
    assert p.returncode != 0 and not set(p.stderr) & {"\x7f", "\x9b"}, p
    assert said


def a_receipt(where, entry):
    """Of a ledger of one's own that has but that entry: (receipt, key)."""
    key = where / "ed25519"
    run("openssl", "genpkey", "-algorithm", "ed25519", "-out", key)
    public = subprocess.run(
        ["openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"],
        capture_output=True, check=True).stdout[-32:]
    name = "evil.example/\u009b2J"
    number = hashlib.sha256(f"{name}\n\x01".encode() + public).digest()[:4]
    b64 = lambda b: base64.b64encode(b).decode()  # noqa: E731
    text = f"{name}\n1\n" + b64(hashlib.sha256(
        b"\0" + entry.encode()).digest()) + "\n"
    (where / "text").write_text(text)
    run("openssl", "pkeyutl", "-sign", "-inkey", key, "-rawin", "-in",
        where / "text", "-out", where / "sig")
    note = text + "\n\u2014 " + name + " " + b64(
        number + (where / "sig").read_bytes()) + "\n"
    (where / "receipt").write_text(json.dumps({
        "v": 1, "entry": entry, "index": 0, "proof": [], "checkpoint": note,
        "chain": ""}))
    (where / "key").write_text(f"{name}+{number.hex()}+" +
                               b64(b"\1" + public) + "\n")
    return where / "receipt", where / "key"


def test_a_receipt_gives_no_orders(world, tmp_path):
    """A ledger may sign what it likes."""
    entry = ('{"v":1,"type":"alert","at":"2026-11-23T05:00:00.000Z",'
             '"time_source":"system","reason":"a\x7fb\u009b2Jc"}')
    receipt, key = a_receipt(tmp_path, entry)
    for more in [], ["--json"]:
        p = world.cli(*more, "ledger", "verify-receipt", receipt, "--key",
                      key)
        assert not set(p.stdout) & {"\x1b", "\x7f", "\x9b"}, p.stdout
        assert "a\\u007fb\\u009b2Jc" in p.stdout
    assert json.loads(p.stdout)["entry"] == json.loads(entry)


def test_entries_give_no_orders(tmp_path):
    """Changed in the database, while it is served."""
    with World(database=f"sqlite:{tmp_path}/own.db") as w:
        w.start().product()
        with contextlib.closing(sqlite3.connect(tmp_path / "own.db")) as db:
            db.execute("UPDATE entry SET json = CAST(replace(CAST(json AS "
                       "TEXT), '\"role\":\"admin', '\"role\":\"a' || "
                       "char(127) || 'b' || char(155)) AS BLOB)")
            db.commit()
        out = w.cli("ledger", "entries", "--type", "operator.created").stdout
        assert not set(out) & {"\x1b", "\x7f", "\x9b"}, out
        assert json.loads(out)["entry"]["role"] == "a\x7fb\x9b"


def test_export_is_jsonl_and_csv(world, tmp_path):
    out = tmp_path / "e.jsonl"
    world.cli("ledger", "export", "--out", out)
    lines = [json.loads(s) for s in out.read_text().splitlines()]
    assert [e["index"] for e in lines] == list(range(len(lines)))
    assert lines[0]["entry"]["type"] == "ledger.opened"
    csv = tmp_path / "e.csv"
    world.cli("ledger", "export", "--out", csv, "--format", "csv", "--type",
              "ledger.opened")
    rows = csv.read_text().splitlines()
    assert len(rows) == 2 and ",ledger.opened," in rows[1]


def signed(world):
    """All that is entered is under a checkpoint: a receipt waits for it."""
    size = world.rest("GET", "/audit?limit=1").json["items"][0]["index"]
    world.cli("ledger", "receipt", str(size))


def test_entries_are_asked_for_as_events_are(world):
    for d in ("ENT-1", "ENT-2"):
        world.token(d)
    signed(world)

    def types(*argv):
        out = world.cli("ledger", "entries", "--limit", "0", *argv).stdout
        return [json.loads(s)["entry"]["type"] for s in out.splitlines()]

    assert types("--device", "ent-1") == ["device.created", "token.minted"]
    assert types("--device", "ENT-1", "--type", "token.,alert") == [
        "token.minted"]
    p = world.cli("ledger", "entries", "--type", "nosuch", check=False)
    assert p.returncode == 2 and "nosuch" in p.stderr
    p = world.cli("ledger", "entries", "--type", "token.minted", "--limit",
                  "1")
    first = json.loads(p.stdout)["index"]
    assert f"--since {first + 1}" in p.stderr
    p = world.cli("ledger", "entries", "--type", "token.minted", "--limit",
                  "1", "--since", str(first + 1))
    assert json.loads(p.stdout)["index"] > first


def test_an_export_that_fails_leaves_no_file(world, tmp_path):
    out = tmp_path / "e.jsonl"
    p = world.cli("ledger", "export", "--out", out, "--from", tmp_path,
                  check=False)
    assert p.returncode != 0 and not out.exists()
    p = world.cli("ledger", "export", "--out", tmp_path, check=False)
    assert p.returncode == 5 and tmp_path.is_dir()


def test_few_entries_are_few_requests():
    """Of a ledger of any length."""
    with World() as w:
        w.start().product()
        for i in range(3):
            w.rest("POST", "/tokens", {"tokens": [
                {"device": f"F-{i}-{n}", "product": "thermo"}
                for n in range(100)]})
        signed(w)
        before = len(w.log().splitlines())
        p = w.cli("ledger", "entries", "--limit", "2")
        assert len(p.stdout.splitlines()) == 2
        w.rest("GET", "/nothing")  # its line comes after those before it

        def lines(of):
            return [s for s in w.log().splitlines()[before:] if of in s]
        for _ in range(100):
            if lines("/nothing") and lines("/tile/"):
                break
            time.sleep(0.05)
        assert len(lines("/tile/")) == 1, lines("/tile/")


def test_reconcile_agrees(world):
    p = world.cli("--json", "ledger", "reconcile", "--config", world.conf)
    assert json.loads(p.stdout)["agree"] is True


@pytest.mark.parametrize("argv", [
    ["status"], ["ca", "list"], ["profile", "list"],
    ["profile", "show", "thermo"], ["product", "list"],
    ["product", "show", "thermo"], ["device", "list"], ["token", "list"],
    ["cert", "list"], ["ledger", "checkpoint"], ["ledger", "key"],
    ["webhook", "list"], ["key", "list"], ["approval", "list"],
], ids=" ".join)
def test_what_reads_prints_text_or_json(world, argv):
    text = world.cli(*argv)
    assert text.stdout.strip() and "error" not in text.stderr
    p = world.cli("--json", *argv)
    assert isinstance(json.loads(p.stdout), (dict, list)), p
    assert p.stderr == ""


def test_the_ledgers_texts_as_json(world):
    for what in "key", "checkpoint":
        text = world.cli("ledger", what).stdout
        assert json.loads(world.cli("--json", "ledger", what).stdout)[
            what].strip() == text.strip()


@pytest.mark.parametrize("argv", [["help"], ["token"], ["--version"],
                                  ["token", "create", "--help"], ["man"]])
def test_output_that_cannot_be_written_is_a_failure(argv):
    with open("/dev/full", "w") as full:
        p = subprocess.run([MINT, *argv], stdout=full, stderr=subprocess.PIPE,
                           text=True, timeout=20)
    assert p.returncode == 1 and p.stderr.count("cannot write") == 1, p


def test_who_reads_no_more_is_no_failure_to_tell(world):
    p = subprocess.run(f"'{MINT}' --context '{world.context}' ledger entries "
                       "--limit 0 | head -1; echo ${PIPESTATUS[0]}", shell=True,
                       executable="/bin/bash", capture_output=True, text=True,
                       timeout=30, check=True)
    assert p.stdout.splitlines()[1] in ("0", "141") and p.stderr == "", p


def test_a_table_that_is_not_there_was_not_begun(world):
    p = world.cli("device", "import", "/nonexistent.csv", check=False)
    assert p.returncode == 4 and "registered" not in p.stderr, p


# what stands on the line, and what of it is offered
COMPLETIONS = [
    (["tok"], {"token"}, {"status"}),
    (["token", ""], {"create", "list", "thaw"}, {"--device"}),
    (["token", "create", "--do"], {"--door"}, {"--csv"}),
    (["token", "create", "--door", ""], {"handshake", "bearer"}, {"--csv"}),
    (["--ce"], {"--cert", "--cert-key"}, {"--ca"}),
    (["--cert", "/x", "token", ""], {"create"}, {"--device"}),
    (["token", "--server", "https://h:8444", ""], {"create"}, {"token"}),
    (["--server", "https://h:8444", "token", "create", "--door", ""],
     {"handshake"}, {"create"}),
    (["status", ""], {"--help"}, {"create"}),
]


def offered_by_bash(script, words):
    broken = []  # as readline breaks them
    for w in words:
        broken += [p for p in re.split("([:=]+)", w) if p] or [""]
    line = " ".join(f"'{w}'" for w in broken)
    script += (f"COMP_WORDS=(mintmark {line}); COMP_CWORD={len(broken)}\n"
               "_mintmark; printf '%s\\n' \"${COMPREPLY[@]}\"\n")
    return run("bash", "-c", script).stdout.split()


def offered_by_zsh(script, words):
    line = " ".join(f"'{w}'" for w in words)
    script = ("compdef() { :; }\n_files() { :; }\n"
              "compadd() { shift; print -l -- $@; }\n" + script +
              f"words=(mintmark {line}); CURRENT={len(words) + 1}\n"
              "_mintmark\n")
    got = run("zsh", "-f", "-c", script).stdout.split()
    return [w for w in got if w.startswith(words[-1])]  # compadd's own part


@pytest.mark.parametrize("shell, offered", [("bash", offered_by_bash),
                                            ("zsh", offered_by_zsh)])
def test_completion(shell, offered):
    script = run(MINT, "completion", shell).stdout
    for words, some, none in COMPLETIONS:
        got = set(offered(script, words))
        assert got >= some and not got & none, (words, got)
