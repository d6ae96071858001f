"""What the interoperability tests share: CAs of any key type, and small
programs made with other people's libraries."""
import os
import pathlib
import shutil
import subprocess
from unittest import mock

import pytest

import world
from world import World, run

PROGRAMS = pathlib.Path(__file__).resolve().parent / "programs"
KINDS = ("p256", "p384", "ed25519", "rsa2048")
ANY_KEY = '\tkeys = { "p256", "p384", "ed25519", "rsa2048" }'


def keyed(key_type, **kw):
    """A World whose root and issuing CA have keys of this type."""
    def init(*argv, **how):
        return run(*argv, "--key-type", key_type, **how)
    with mock.patch.object(world, "run", init):
        return World(**kw)


def need(*programs):
    for p in programs:
        if shutil.which(p) is None:
            pytest.skip(f"no {p} on this machine")


def build_c(source, exe, *libs, header):
    """programs/SOURCE with a library; skips where its header is missing."""
    if not pathlib.Path("/usr/include", header).exists():
        pytest.skip(f"no {header}: its Debian package is not installed")
    run("cc", "-std=c17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
        "-o", exe, PROGRAMS / source, *libs)
    return exe


def build_go(source, exe):
    """programs/SOURCE, a Go program of the standard library only."""
    need("go")
    run("go", "build", "-o", exe, PROGRAMS / source, timeout=300,
        env={**os.environ, "GOPROXY": "off",
             "GOFLAGS": "-mod=mod -buildvcs=false"})
    return exe


def build_java(source, folder, classpath=""):
    """programs/SOURCE's classes in a folder."""
    need("java", "javac")
    run("javac", "-Xlint:all", "-Werror", "-cp", classpath or folder, "-d",
        folder, PROGRAMS / source)
    return folder


def says(argv, stdin=None, timeout=60):
    """(whether the program ended well, all that it said)."""
    p = subprocess.run([str(a) for a in argv], input=stdin,
                       capture_output=True, timeout=timeout)
    return p.returncode == 0, (p.stdout + p.stderr).decode("utf-8", "replace")


def confirm(w, pem, key):
    a = w.device_call("POST", "/.well-known/mintmark/confirm", b"", cert=pem,
                      key=key)
    assert a.status == 204, a
