#!/usr/bin/env python3
"""mintmark-agent used wrongly, hurried, watched and lied to.

Whatever happens: the exit status of the manual, with --json one JSON object
that says the same, and nowhere a word of the token's secret.
"""
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from servers import TOKEN, cacerts, make_files, psk, serve  # noqa: E402

ROOT = HERE.parents[2]
AGENT = os.path.abspath(sys.argv[1])
SECRET = TOKEN["text"].split("-", 2)[2]
DIGITS = SECRET.replace("-", "")[:32]
LEAKS = [DIGITS.encode(), SECRET[:20].encode(), TOKEN["psk13"].encode(),
         TOKEN["psk12"].encode(), bytes.fromhex(TOKEN["psk13"])]
HINT = "try mintmark-agent --help\n"


def no_secret(*what):
    for data in what:
        for leak in LEAKS:
            assert leak.lower() not in data.lower(), data


def agent(*argv, **kw):
    p = subprocess.run([AGENT, *map(str, argv)], capture_output=True,
                       timeout=60, **kw)
    no_secret(p.stdout, p.stderr)
    return p


def failure(p, status, words=""):
    """The JSON of a failure and the exit status say the same."""
    assert p.returncode == status, (p.returncode, p.stdout, p.stderr)
    said = json.loads(p.stdout)
    assert said["exit"] == status and words in said["detail"], said
    return said


def token(folder, data=None, mode=0o600, name="token"):
    path = folder / name
    path.write_bytes(data if data is not None else
                     TOKEN["text"].encode() + b"\n")
    path.chmod(mode)
    return path


def enrol(folder, port, *more, file=None, **kw):
    return agent("--json", "enrol", "--token-file", file or token(folder),
                 "--server", f"localhost:{port}", "--dir", folder / "id",
                 "--retry", "0", "--timeout", "10", *more, **kw)


def make_identity(d, server):
    slot = d / "a"
    slot.mkdir(parents=True)
    shutil.copy(d.parent / "key.pem", slot)
    for name in ["cert.pem", "chain.pem", "anchor.pem"]:
        shutil.copy(d.parent / "cert.pem", slot / name)
    (slot / "server").write_bytes(server)
    (d / "current").symlink_to("a")


def test_exit_statuses(folder):
    """One table: the code's, the manual's, the usage's."""
    header = (ROOT / "src/base/err.h").read_text()
    code = {int(x) for x in re.findall(
        r"X\(MM_\w+,\s+\d+,\s+(\d+), ", header)}
    own = re.findall(r"MM_AGENT_EXIT_\w+ (\d+)", (
        ROOT / "src/agent/agent.h").read_text())
    assert len(own) == 2
    code |= {int(x) for x in own}
    manual = (ROOT / "man/mintmark-agent.1").read_text()
    part = manual.split(".Sh EXIT STATUS")[1].split(".Sh ")[0]
    assert {int(x) for x in re.findall(r"^\.It (\d+)$", part, re.M)} == code
    usage = agent("--help").stdout.decode()
    line = usage.split("exit: ")[1]
    assert {int(x) for x in re.findall(r"(?:^|[,\n] ?)(\d+) ", line)} == code


def test_json_of_failures(folder):
    rows = [
        ([], 2), (["nonsense"], 2), (["enrol"], 2), (["renew"], 2),
        (["status", "--dir", ""], 2), (["status", "--dir="], 2),
        (["renew", "--dir", "d", "--retry", "-1"], 2),
        (["renew", "--dir", "d", "--timeout", "0"], 2),
        (["renew", "--dir", "d", "--renew-percent", "100"], 2),
        (["renew", "--dir", "d", "--deadline", "1e3"], 2),
        (["renew", "--dir", "d", "--label", "a b"], 2),
        (["status", "--dir", "d", "--now"], 2),
        (["status", "--dir", "d", "--\xff\x1b[2J"], 2),
        (["status", "--dir", "d", "extra"], 2),
        (["enrol", "--dir", "d", "--device", "--token-file", "t"], 2),
        (["enrol", "--dir", "/sys/mintmark", "--token-file",
          token(folder)], 1),  # cannot be written, not by root either
        (["status", "--dir", folder / "none"], 4),
        (["renew", "--dir", folder / "none"], 4),
        (["renew", "--dir", folder], 4),
        (["enrol", "--dir", folder / "id", "--token-file", folder / "none",
          "--server", "localhost:1"], 4),
        (["enrol", "--dir", "/proc/nobody/here", "--token-file",
          token(folder)], 4),
        (["enrol", "--dir", folder / "id", "--token-file", token(folder)], 2),
        (["enrol", "--dir", folder / "id", "--token-file", folder], 1),
        (["enrol", "--dir", folder / "id", "--token-file",
          token(folder, b"x" * 5000, name="long")], 6),
    ]
    for argv, status in rows:
        argv = [a.encode("latin-1") if isinstance(a, str) else a
                for a in argv]
        p = subprocess.run([AGENT, *argv, "--json"], capture_output=True)
        said = failure(p, status)
        assert re.fullmatch(r"[ -~]+", said["detail"]), said
        plain = subprocess.run([AGENT, *argv], capture_output=True)
        assert plain.returncode == status and plain.stdout == b"", plain
        assert plain.stderr.startswith(b"mintmark-agent: "), plain
        assert b"\x1b" not in plain.stderr
    assert not (folder / "a").exists(), "renew made a slot in any folder"
    assert json.loads(agent("--version", "--json").stdout)["version"]


def test_a_token_in_the_wrong_place(folder):
    """On the command line it is known to all; at least no log repeats it."""
    text = TOKEN["text"]
    for argv in [["enrol", text], [text], ["enrol", f"--token={text}"],
                 ["enrol", "--dir", folder / "id", "--token-file", text],
                 ["enrol", "--dir", folder / "id", "--tls", text.lower()]]:
        p = agent(*argv, "--json")
        failure(p, 2)
    assert not (folder / text).exists()


def test_forms_of_the_token_file(folder):
    """Right by the handshake: it ends at the anchor, not before."""
    text = TOKEN["text"].encode()
    server, port = serve(folder, psk(TOKEN, TOKEN["psk13"]) + ["-nocert"])
    try:
        for data in [text, text + b"\r\n", b"\r\n " + text + b" \r\n\r\n",
                     b"\xef\xbb\xbf" + text + b"\r\n", text.lower(),
                     text.replace(b"-", b" ").replace(b" ", b"-", 1),
                     b"\xef\xbb\xbf{\"token\": \"" + text + b"\"}\r\n",
                     b"mintmark:" + text + b"\n"]:
            failure(enrol(folder, port, file=token(folder, data)), 3,
                    "anchor")
        bad = text[:-1] + (b"0" if text[-1:] != b"0" else b"1")
        failure(enrol(folder, port, file=token(folder, bad)), 2, "mistyped")
        failure(enrol(folder, port, file=token(folder, b"")), 2)
        # what an interrupted erasure leaves is a token that is gone
        failure(enrol(folder, port, file=token(folder, bytes(95))), 4)
        # others may read it: said once, and no more
        p = enrol(folder, port, file=token(folder, mode=0o640))
        assert b"warning" in p.stderr and failure(p, 3)
        p = enrol(folder, port)
        assert b"warning" not in p.stderr and failure(p, 3)
    finally:
        server.kill()
        server.wait()


def test_modes_and_descriptors(folder):
    """umask 0, standard error closed: no key for others, no log in a file."""
    def before():
        os.umask(0)
        os.close(2)
    server, port = serve(folder, psk(TOKEN, TOKEN["psk13"]) + ["-nocert"])
    try:
        p = subprocess.run(
            [AGENT, "-v", "--json", "enrol", "--token-file", token(folder),
             "--server", f"localhost:{port}", "--dir", folder / "id",
             "--retry", "0"], stdout=subprocess.PIPE, preexec_fn=before)
    finally:
        server.kill()
        server.wait()
    failure(p, 3)
    for path in [folder / "id", *folder.glob("id/?")]:
        assert path.stat().st_mode & 0o7777 == 0o700, path
    assert (folder / "id/a/key.pem").stat().st_mode & 0o7777 == 0o600
    assert (folder / "id/lock").read_bytes() == b""
    key = (folder / "id/a/key.pem").read_bytes()
    assert key.startswith(b"-----BEGIN") and b"handshake" not in key
    names = sorted(str(f.relative_to(folder / "id"))
                   for f in folder.rglob("id/**/*"))
    assert names == ["a", "a/key.pem", "b", "lock"], names


def test_files_that_are_not_ours(folder):
    """What somebody put in the directory does not reach the terminal raw."""
    make_identity(folder / "id", b"ca\x1b[2J\xff:1\nforged  yes")
    p = agent("status", "--dir", folder / "id")
    assert p.returncode == 0 and b"\x1b" not in p.stdout, p
    assert b"\nforged" not in p.stdout and b"ca?[2J?:1" in p.stdout, p
    p = agent("status", "--json", "--dir", folder / "id")
    assert json.loads(p.stdout)["server"] == "ca?[2J?:1?forged  yes"


def test_two_at_once(folder):
    d = folder / "id"
    d.mkdir(0o700)
    with open(d / "lock", "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        failure(enrol(folder, 1), 5, "in use")


def test_folders_of_others(folder):
    d = folder / "id"
    d.mkdir()
    d.chmod(0o777)
    failure(enrol(folder, 1), 3, "written by others")
    d.chmod(0o700)
    os.mkdir(folder / "elsewhere", 0o700)
    (d / "b").symlink_to(folder / "elsewhere")
    failure(enrol(folder, 1), 3, "not a directory")
    assert not list((folder / "elsewhere").iterdir())


def answers(folder, rows):
    """Each row's bytes as the answer to cacerts."""
    server, port = serve(folder, psk(TOKEN, TOKEN["psk13"]) + ["-nocert"])
    try:
        for what, data, statuses in rows:
            (folder / ".well-known/est/cacerts").write_bytes(data)
            p = enrol(folder, port)
            assert p.returncode in statuses, (what, p.stdout, p.stderr)
            failure(p, p.returncode)
            assert (folder / "token").exists()
            assert not (folder / "id/current").exists()
    finally:
        server.kill()
        server.wait()


def test_cut_answers(folder):
    whole = cacerts(folder)
    answers(folder, [(f"cut at {n}", whole[:n], {7}) for n in
                     range(1, len(whole))])


def test_answers_out_of_measure(folder):
    head = b"HTTP/1.1 200 ok\r\nContent-Type: application/pkcs7-mime\r\n"
    length = b"Content-Length: %d\r\n\r\n"
    answers(folder, [
        ("length", head + length % 10**8, {6}),
        ("length of digits", head + b"Content-Length: " + b"9" * 99 +
         b"\r\n\r\n", {2}),
        ("content", head + length % 100000 + b"A" * 100000, {6}),
        ("chunks", head + b"Transfer-Encoding: chunked\r\n\r\n" +
         b"1000\r\n" + b"A" * 4096 + b"\r\n" + (b"1000\r\n" + b"A" * 4096 +
                                              b"\r\n") * 40, {6}),
        ("headers", head + b"X: y\r\n" * 10000, {6}),
        ("one header", head + b"X: " + b"y" * 50000, {6}),
        ("interim answers", b"HTTP/1.1 100 go on\r\n\r\n" * 1000, {2}),
        ("more than asked for", cacerts(folder) * 2, {2}),
        ("not HTTP", b"\x00" * 5000, {2}),
        ("no certificates", head + length % 4 + b"MAA=", {2}),
    ])


class Mute:
    """Accepts and says nothing, or a byte of a record now and then."""

    def __init__(self, drip=False):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.seen, self.over = threading.Event(), threading.Event()
        self.drip = drip
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        try:
            while True:
                peer = self.listener.accept()[0]
                self.seen.set()
                threading.Thread(target=self.serve, args=[peer],
                                 daemon=True).start()
        except OSError:
            pass

    def serve(self, peer):
        with peer:
            try:
                if self.drip:
                    peer.sendall(b"\x16\x03\x03\x3f\xff")
                while not self.over.wait(0.05):
                    if self.drip:
                        peer.sendall(b"\x02")
            except OSError:
                pass

    def close(self):
        self.over.set()
        self.listener.close()


def test_slow_servers(folder):
    for drip in [False, True]:
        mute = Mute(drip)
        try:
            for more in [["--timeout", "1"], ["--deadline", "1"],
                         ["--retry", "99", "--deadline", "1"]]:
                start = time.monotonic()
                p = enrol(folder, mute.port, *more)
                took = time.monotonic() - start
                failure(p, 7)
                assert 0.9 < took < 8, (drip, more, took)
            p = agent("enrol", "--token-file", token(folder), "--server",
                      f"localhost:{mute.port}", "--dir", folder / "id",
                      "--deadline", "1")
            assert p.returncode == 7 and b"deadline" in p.stderr, p
        finally:
            mute.close()


def test_interrupted_and_watched(folder):
    """Ctrl-C ends it at once; meanwhile nobody sees more than a file name."""
    mute = Mute()
    try:
        p = subprocess.Popen(
            [AGENT, "-v", "enrol", "--token-file", token(folder), "--server",
             f"localhost:{mute.port}", "--dir", folder / "id"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        assert mute.seen.wait(30)
        proc = pathlib.Path(f"/proc/{p.pid}")
        no_secret((proc / "cmdline").read_bytes(),
                  (proc / "environ").read_bytes())
        limits = (proc / "limits").read_text()
        assert re.search(r"core file size +0 +0 ", limits), limits
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=10)
        no_secret(out, err)
        assert p.returncode == -signal.SIGINT
        assert (folder / "token").exists()
        assert not (folder / "id/current").exists()
    finally:
        mute.close()
    failure(enrol(folder, 1), 7)


def main():
    tests = [(n, f) for n, f in globals().items() if n.startswith("test_")]
    for name, test in tests:
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            make_files(folder)
            start = time.monotonic()
            test(folder)
            print("ok  ", name, f"{time.monotonic() - start:.1f} s",
                  flush=True)
    return 0


sys.exit(main())
