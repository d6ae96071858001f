"""Programs made of modules that Go's and Maven's own clients fetch."""
import os
import pathlib
import subprocess

import pytest

from peers import need
from world import run

SLOW = pathlib.Path(__file__).resolve().parent


def fetch(*argv, cwd, env=None):
    """What it says; a module that cannot be had is a skip with the reason."""
    p = subprocess.run([str(a) for a in argv], cwd=cwd, text=True,
                       capture_output=True, timeout=600,
                       env={**os.environ, **(env or {})})
    if p.returncode != 0:
        pytest.skip(f"{' '.join(argv[:2])} in {cwd.name}: " +
                    (p.stderr + p.stdout).strip()[-300:])
    return p.stdout


def go_module(name, folder, package="."):
    """slow/NAME built, or a program of what it requires; versions are pinned
    by go.sum."""
    need("go")
    flags = {"GOFLAGS": "-mod=readonly -buildvcs=false"}
    fetch("go", "mod", "download", cwd=SLOW / name, env=flags)
    run("go", "build", "-o", folder / name, package, cwd=SLOW / name,
        env={**os.environ, **flags}, timeout=600)
    return folder / name


def maven_classpath(name, source, folder):
    """slow/NAME/SOURCE compiled into folder; the class path to run it."""
    need("mvn", "java", "javac")
    fetch("mvn", "-q", "-B", "-ntp", "dependency:copy-dependencies",
          f"-DoutputDirectory={folder}", cwd=SLOW / name)
    path = os.pathsep.join(map(str, [folder, *folder.glob("*.jar")]))
    run("javac", "-Xlint:all,-path,-classfile", "-Werror", "-cp", path, "-d",
        folder, SLOW / name / source)
    return path
