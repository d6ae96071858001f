"""The QR code of a token's URI, read again by a reader that is not ours."""
import json
import os
import pty
import re
import subprocess

from world import MINT, run

SIDE = re.compile("\x1b\\[38;5;16;48;5;231m(.*?)\x1b\\[0m")
HALF = {" ": (0, 0), "\u2580": (1, 0), "\u2584": (0, 1), "\u2588": (1, 1)}


def read_code(path):
    return run("zbarimg", "--quiet", "--raw", "--nodbus", path).stdout.strip()


def create(world, name, *more, check=True):
    return world.cli("--json", "token", "create", "--device", name,
                     "--product", "thermo", *more, check=check)


def on_terminal(argv):
    """What a program writes to a terminal."""
    ours, its = pty.openpty()
    p = subprocess.Popen([str(a) for a in argv], stdout=its)
    os.close(its)
    out = b""
    try:
        while part := os.read(ours, 65536):
            out += part
    except OSError:  # the last writer has closed it
        pass
    os.close(ours)
    assert p.wait(30) == 0, out
    return out.decode()


def draw(text, path):
    """The half blocks as a bitmap, eight pixels a module."""
    rows = []
    for line in SIDE.findall(text):
        for half in (0, 1):
            rows.append([HALF[c][half] for c in line])
    assert len(rows) >= len(rows[0]) and len({len(r) for r in rows}) == 1
    for quiet in (*rows[:4], *[r[:4] + r[-4:] for r in rows]):
        assert not any(quiet), "the quiet zone is not quiet"
    with open(path, "w") as f:
        f.write(f"P1\n{8 * len(rows[0])} {8 * len(rows)}\n")
        for row in rows:
            f.write((" ".join(str(b) for b in row for _ in range(8)) + "\n")
                    * 8)


def test_on_a_terminal(world, tmp_path):
    shown = on_terminal([MINT, "--context", world.context, "token", "create",
                         "--device", "QR-1", "--product", "thermo", "--qr"])
    uri = re.search(r"mintmark:\S+", shown)[0]
    draw(shown, tmp_path / "shown.pbm")
    assert read_code(tmp_path / "shown.pbm") == uri
    assert uri[9:].split("?")[0] not in world.log()


def test_as_a_picture(world, tmp_path):
    png = tmp_path / "token.png"
    made = json.loads(create(world, "QR-2", "--qr-png", png).stdout)
    assert read_code(png) == made["uri"]
    assert png.stat().st_mode & 0o777 == 0o600
    assert made["token"] not in world.log()


def test_with_a_token_file(world, tmp_path):
    png, out = tmp_path / "token.png", tmp_path / "token.json"
    create(world, "QR-3", "--qr-png", png, "--out", out)
    assert read_code(png) == json.loads(out.read_text())["uri"]


def test_a_picture_replaces_nothing(world, tmp_path):
    png = tmp_path / "token.png"
    png.write_text("mine")
    p = create(world, "QR-4", "--qr-png", png, check=False)
    assert p.returncode != 0 and png.read_text() == "mine"
    assert json.loads(p.stdout)["token"], "the token itself is not lost"


def test_refused_before_a_token_is_made(world, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text("device\nQR-5\n")
    for argv in (["--device", "QR-5", "--product", "thermo", "--qr"],
                 ["--csv", rows, "--out", tmp_path / "o", "--qr-png",
                  tmp_path / "p"]):
        p = world.cli("token", "create", *argv, check=False)
        assert p.returncode == 2 and "--qr" in p.stderr, p
    assert world.rest("GET", "/tokens?device=QR-5").json["items"] == []
