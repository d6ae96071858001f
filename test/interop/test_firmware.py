"""What docs/firmware.md shows: its commands run, its program is built and made
at a station, and what it cites is in the source that other tests run."""
import os
import pty
import re
import subprocess
import tty

import test_cortex
from smpline import Line
from test_cortex import Unit, world  # noqa: F401 (a fixture)
from world import BUILD, ROOT

PAGE = (ROOT / "docs/firmware.md").read_text()
SIM = BUILD / "examples/linux-sim"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S)


def programs():
    return [b for b in blocks("c") if "#include" in b]


def test_the_commands_run(tmp_path):
    script, = blocks("sh")
    p = subprocess.run(
        ["bash", "-meuo", "pipefail", "-c", script],
        cwd=tmp_path, text=True, capture_output=True, timeout=60,
        env={**os.environ, "PATH": f"{SIM}:{os.environ['PATH']}"})
    assert p.returncode == 0, p.stderr
    assert p.stdout.count('"result":"done"') == 2, p.stdout


def test_the_program_is_made_at_a_station(world, tmp_path):  # noqa: F811
    text, = programs()
    (tmp_path / "main.c").write_text(text)
    command, = re.findall(r"^    (gcc .*)$", PAGE, re.M)
    subprocess.run(command.replace("build/test", str(BUILD)).replace(
        "-I device", f"-I {ROOT}/device -Wall -Wextra -Werror -o device")
        .split(), cwd=tmp_path, check=True)
    station, terminal = pty.openpty()
    tty.setraw(terminal)
    with subprocess.Popen([tmp_path / "device", os.ttyname(terminal),
                           tmp_path / "flash"]) as device:
        try:
            assert Unit(world, "afternoon").take(Line(station))["hw"] == \
                b"AFTERNOON-1"
        finally:
            device.kill()
            os.close(station)
            os.close(terminal)


def test_what_is_cited_is_in_the_source():
    cited = [b for b in blocks("c") if "#include" not in b]
    assert len(cited) == 5
    sources = [f.read_text() for f in (ROOT / "examples").glob("*/*.c")]
    for block in cited:
        assert any(block in s for s in sources), block


def test_the_sizes_are_those_that_images_are_held_to():
    rows = re.findall(r"^\| `(\w+)`.*?\| (\d+) \| (\d+) \| (\d+) \|", PAGE,
                      re.M)
    assert {kind: (int(flash), int(ram)) for kind, flash, ram, _ in rows} == \
        test_cortex.MOST
    assert int(rows[2][3]) == test_cortex.HEAP_MOST
