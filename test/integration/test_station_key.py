"""A station whose own key is in a TPM or a PKCS#11 token: made there by enrol,
used for TLS, and in no file."""
import json

import pytest

from places import THERE, InToken, InTpm
from station import Station
from world import World, run

HOSTILE = True  # see world.py; the provider that it loads is sanitized, too
NAMED = b"BEGIN MINTMARK KEY"


@pytest.fixture(scope="module")
def centre():
    with World() as w:
        yield w.start().product()


@pytest.mark.parametrize("kind", [pytest.param(k, marks=pytest.mark.skipif(
    not THERE[k.name], reason="script/setup test installs it"))
    for k in (InTpm, InToken)])
def test_its_key_never_leaves(centre, tmp_path, monkeypatch, kind):
    plain = centre.key_and_csr(f"plain-{kind.name}")[0].read_bytes()
    place = kind(tmp_path / "place")
    for name in ("OPENSSL_MODULES", "OPENSSL_CONF", "SOFTHSM2_CONF"):
        if name in place.env:
            monkeypatch.setenv(name, place.env[name])
    s = None
    try:
        s = Station(centre, tmp_path / "s", f"in-{kind.name}", n=1,
                    more=f"key_in = \"{place.uri}\"\n")
        key = s.dir / "station.key"
        was = key.read_bytes()
        assert NAMED in was and key.stat().st_mode & 0o777 == 0o600
        s.plug()
        s.passes(f"KEY-{kind.name}")
        s.once(f"KEY-{kind.name}")
        for path in s.dir.rglob("*"):
            if path.is_file() and path.suffix != ".flash":
                assert b"PRIVATE KEY" not in path.read_bytes(), path
        # enrol once more is the same identity; without the chip there is none
        p = run(*s.argv("enrol", "--json"))
        assert not json.loads(p.stdout)["made"] and key.read_bytes() == was
        monkeypatch.setenv("OPENSSL_MODULES", str(tmp_path))
        p = run(*s.argv("enrol"), check=False)
        assert p.returncode != 0 and "mintmark-key is not" in p.stderr, p
        monkeypatch.setenv("OPENSSL_MODULES", place.env["OPENSSL_MODULES"])
        # a key of a file is not silently put in its place, nor thrown away
        key.write_bytes(plain)
        p = run(*s.argv("enrol"), check=False)
        assert p.returncode == 5 and "put it aside" in p.stderr, p
    finally:
        if s is not None:
            s.close()
        place.close()
