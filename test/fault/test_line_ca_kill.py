"""Killed while a line CA is made; wants a build with -Dfaults=true.

Whatever had happened by then: who asks again gets an order with a line CA,
each certificate that was signed is somebody's in the ledger or an orphan on the
list of the CA above, and journal, ledger and database agree."""
import json
import pathlib
import subprocess
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1] / "integration"))
from test_line_cas import (add_lines, agrees, ask, batch, ca_of,  # noqa: E402
                           certificate, crl, made, stations)
from test_offline_order import Line  # noqa: E402
from test_steps import died, has_faults  # noqa: E402
from world import DAEMON, World, until  # noqa: E402

pytestmark = pytest.mark.skipif(
    not DAEMON.exists() or not has_faults(),
    reason="needs a build with -Dfaults=true")


@pytest.fixture(scope="module")
def centre():
    with World() as w:
        w.set_conf("journal_sync", "true")
        add_lines(w)
        yield Line(w)


def signed(w):
    text = (w.state / "signer/journal.jsonl").read_text()
    return [x for x in map(json.loads, text.splitlines())
            if x.get("profile") == "line+ca@1"]


# Before its line, behind it, before it is stored, and before it is assigned.
@pytest.mark.parametrize("n, place, orphans", [
    (1, "line", 0), (2, "line-made", 1), (3, "line-store", 1),
    (4, "line-stored", 0)])
def test_killed_while_it_is_made(centre, tmp_path, n, place, orphans):
    w, name = centre.w, f"kill-{n}"
    pem = certificate(tmp_path, name)
    stations(w, [name])
    batch(w, f"k{n}", [name])
    before = {x["serial"] for x in signed(w)}
    had = {e["serial"] for e in centre.entries("signature.orphaned")}
    w.stop()
    w.start(env={"MINTMARK_DIE_AT": f"{place}:1"})
    try:
        ask(w, f"k{n}", name, pem)
    except OSError:
        pass
    until(lambda: died(w))
    w.kill_all()
    w.start()
    a = ask(w, f"k{n}", name, pem)
    assert a.status == 200, a
    ca, _ = ca_of(a.json)
    assert made(centre)[ca]["serial"] in {x["serial"] for x in signed(w)}
    until(lambda: crl(w, ca))
    lost = {x["serial"] for x in signed(w)} - before - {
        made(centre)[ca]["serial"]}
    assert len(lost) == orphans, (place, lost)
    until(lambda: {e["serial"] for e in centre.entries(
        "signature.orphaned")} - had == lost)
    until(lambda: all(on_list(w, "lines", x) for x in lost))
    agrees(w)


def on_list(w, issuer, serial):
    text = subprocess.run(["openssl", "crl", "-inform", "DER", "-noout",
                           "-text"], input=crl(w, issuer), check=True,
                          capture_output=True).stdout.decode()
    return serial.upper() in text.replace(":", "")
