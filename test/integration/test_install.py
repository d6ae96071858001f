"""What meson install puts where, as docs/install.md says."""
import re
import shutil
import stat
import subprocess

import pytest

from world import BUILD, ROOT, STATION, run

PAGE = ROOT / "docs/install.md"
UNITS = {"mintmarkd", "mintmark-station", "mintmark-agent",
         "mintmark-crl-sync"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The root of a machine that has it, whatever prefix this build has."""
    top = tmp_path_factory.mktemp("install")
    run("meson", "install", "-C", BUILD, "--no-rebuild", "--quiet",
        "--destdir", top)
    return top


def prefix(place):
    (at,) = place.rglob("sbin/mintmarkd")
    return at.parent.parent


def test_programs_pages_and_completions(place):
    usr = prefix(place)
    programs = ["bin/mintmark", "bin/mintmark-agent", "bin/mintmark-station",
                "sbin/mintmarkd", "libexec/mintmark/mintmark-signer",
                "libexec/mintmark/mintmark-keeper"]
    pages = {p.name for p in (ROOT / "man").iterdir()}
    shared = [f"share/man/man{p[-1]}/{p}" for p in pages] + [
        "share/bash-completion/completions/mintmark",
        "share/bash-completion/completions/mintmark-agent",
        "share/bash-completion/completions/mintmark-station",
        "share/zsh/site-functions/_mintmark",
        "share/doc/mintmark/examples/station.conf"]
    assert len(pages) == 6
    for names, mode in ((programs, 0o755), (shared, 0o644),
                        ([f"lib/systemd/system/{u}.service" for u in UNITS],
                         0o644)):
        for name in names:
            assert stat.S_IMODE((usr / name).stat().st_mode) == mode, name
    for path in place.rglob("*"):  # nothing else may be run or written
        mode = path.lstat().st_mode
        assert not mode & (stat.S_ISUID | stat.S_ISGID | 0o022), path
    assert not (place / "etc").exists()
    run(usr / "bin/mintmark", "--version")


def test_units_start_what_is_there(place):
    """Under /usr, as the page says to build."""
    usr = prefix(place)
    for unit in UNITS:
        text = (usr / f"lib/systemd/system/{unit}.service").read_text()
        program, = re.findall(r"^ExecStart=/usr/(\S+)", text, re.M)
        assert (usr / program).exists(), unit
        assert unit + ".service" in PAGE.read_text()
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    for unit in ("mintmarkd", "mintmark-station"):
        p = subprocess.run(
            ["systemd-analyze", "verify", "--man=no",
             usr / f"lib/systemd/system/{unit}.service"],
            text=True, capture_output=True)
        wrong = [x for x in p.stderr.splitlines() if unit in x and
                 "is not executable" not in x]
        assert not wrong, wrong


def test_the_example_is_a_configuration(place, tmp_path):
    conf = (prefix(place) / "share/doc/mintmark/examples/station.conf"
            ).read_text()
    own = tmp_path / "station.conf"
    own.write_text(conf.replace("/var/lib/mintmark-station", str(tmp_path)))
    p = run(STATION, "status", "--config", own, "--json", check=False)
    assert p.returncode == 0, p
    own.write_text(own.read_text() + "nosuch = 1\n")
    p = run(STATION, "status", "--config", own, "--json", check=False)
    assert p.returncode == 2, p
