"""Files that a command names and cannot have: a sentence with the path, an
exit status that says whose turn it is, and a hint."""
import json
import os
import pathlib
import re
import tempfile

import pytest

from world import MINT, ROOT, run


def refused(*argv, **kw):
    """The error's object."""
    p = run(MINT, "--json", *argv, check=False, **kw)
    error = json.loads(p.stderr.splitlines()[-1])["error"]
    assert p.returncode == error["exit"] and p.stdout == "", p
    assert error["code"] != "internal", error
    return error


@pytest.mark.parametrize("argv", [
    "device import {}", "token create --csv {}", "profile check {}",
    "product schema p --set {}", "key create k --certificate {}",
    "batch create --serials-file {}", "group crl g {}", "device prove d {}",
    "ledger verify-receipt {} --key k", "ledger reconcile {}",
    "line check x {}", "ca install i --chain {}", "event follow --state {}",
    "--ca {} status", "--key-file {} status", "--context {} status",
    "--cert {} status", "status --cert-key {}"])
def test_a_folder_is_no_file(argv, tmp_path):
    error = refused(*argv.format(tmp_path).split(" "))
    assert error["exit"] == 2 and str(tmp_path) in error["reason"], error
    assert "is a folder" in error["reason"], error


def test_each_option_that_takes_a_file_is_looked_at():
    """The completion knows which do; the check goes by the same table."""
    known = set(re.findall(r"'(.*?)'\) kind='@file'",
                           run(MINT, "completion", "bash").stdout))
    command = None
    for line in (ROOT / "docs/reference/cli.md").read_text().splitlines():
        if line.startswith("## `mintmark "):
            words = line.split("`")[1].split(" ")[1:]
            command = " ".join(w for w in words if w.islower()) \
                if len(words) > 1 and words[1].islower() else words[0] + " "
        m = re.match(r"\| `(--\S+) (FILE|CSV)` ", line)
        if m and command:
            assert f"{command} {m[1]}" in known, (command, m[1])


@pytest.fixture
def folder():
    """That another user may look into."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield pathlib.Path(name)


@pytest.mark.parametrize("argv, mode", [
    ("device import {}", "r"), ("token create --csv {}", "r"),
    ("--context {} status", "r"), ("status --server https://x:1 --ca {}", "r"),
    ("profile check {}", "r"), ("ledger verify-receipt x --key {}", "r"),
    ("crl sync --once --url http://localhost:1 --ca {ca} --out {}/l", "w")])
def test_what_this_user_may_not_have(argv, mode, folder):
    path = folder / "mine"
    path.mkdir() if mode == "w" else path.write_text("id,product\n")
    path.chmod(0o555 if mode == "w" else 0)
    ca = folder / "ca"
    ca.write_text("none\n")
    ca.chmod(0o644)
    error = refused(*argv.format(path, ca=ca).split(" "),
                    preexec_fn=as_nobody, cwd="/")
    assert error["exit"] == 3 and "hint" in error, error
    assert "Permission denied" in error["reason"], error
    assert str(path) in error["reason"], error


def as_nobody():
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)


@pytest.mark.parametrize("path, code", [
    ("/dev/null/x", 2), ("/tmp/" + "x" * 300, 2), ("/nonexistent", 4)])
def test_a_path_that_leads_nowhere(path, code):
    assert refused("profile", "check", path)["exit"] == code


def test_a_table_that_cannot_be_read_to_its_end():
    """What was read so far is not all that there is."""
    p = run(MINT, "device", "import", "/proc/self/mem", "--format", "csv",
            check=False)
    assert p.returncode == 1 and "cannot be read" in p.stderr, p
