"""Power cuts: what was not synced is gone, as far as a disk may lose it.

power.c, preloaded under server and signer, keeps a copy of each file as of
its last sync.  A cut kills everything and goes on from those copies.  What
was answered is still on record, and a signer whose journal lost its end takes
the lines up again from the ledger.  CUTS sets how many (default 4).
"""
import os
import pathlib
import random
import shutil
import subprocess
import time

import pytest

from promises import PROFILE, Witness
from test_kill import Load
from world import World

HERE = pathlib.Path(__file__).resolve().parent
CUTS = int(os.environ.get("CUTS", "4"))
DEVICES, VETERANS = 120, 16


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    so = tmp_path_factory.mktemp("shim") / "power.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-w", "-o", str(so),
                    str(HERE / "power.c"), "-ldl"], check=True)
    return so


def files(folder):
    return [p for p in folder.iterdir()
            if p.is_file() and not p.name.endswith(".tmp")]


def begin(w):
    """All that a set-up made is on the disk."""
    for d in (w.state / "server", w.state / "signer"):
        (d / ".durable").mkdir()
        for p in files(d):
            shutil.copy2(p, d / ".durable")


def lose(w):
    """Leaves what was synced; returns how many bytes were not."""
    lost = 0
    for d in (w.state / "server", w.state / "signer"):
        for p in files(d):
            lost += p.stat().st_size
            p.unlink()
        for p in files(d / ".durable"):
            lost -= p.stat().st_size
            shutil.copy2(p, d)
    return lost


def journal(w, kind):
    text = (w.state / "signer/journal.jsonl").read_text()
    return text.count(f'"kind":"{kind}"')


def test_cut_under_load_nothing_answered_is_lost(shim):
    rng = random.Random("cuts")
    env = {"LD_PRELOAD": str(shim),
           "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0"}
    with World(profile=PROFILE) as w:
        begin(w)
        w.start(env=env).product()
        t = Witness(w)
        names = t.enlist([f"P-{i}" for i in range(DEVICES - VETERANS)]) + \
            t.veterans([f"PV-{i}" for i in range(VETERANS)])
        rng.shuffle(names)
        recovered = 0
        with Load(t, names, CUTS) as load:
            while load.killed < CUTS:
                time.sleep(rng.uniform(0.3, 1.2))
                w.kill_all()
                load.killed += 1
                lose(w)
                w.start(env=env)
                recovered = max(recovered, journal(w, "recovered"))
            for th in load.threads:
                th.join(60)
        assert not load.wrong, load.wrong[:3]
        t.check()
        assert len(t.answers) == DEVICES
        assert recovered > 0, "no cut has cost the journal anything"
        w.stop()


def test_a_list_that_was_signed_is_in_the_journal(shim):
    """A certificate's line comes back from the ledger; a list's would not."""
    env = {"LD_PRELOAD": str(shim),
           "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0"}
    with World(profile=PROFILE) as w:
        begin(w)
        w.start(env=env).product()
        for _ in range(3):
            a = w.rest("POST", "/issuers/issuing/crl")
            assert a.status == 200, a
            w.kill_all()
            lose(w)
            w.start(env=env)
        assert Witness(w).reconciled()["crls"] >= 3
        w.stop()
