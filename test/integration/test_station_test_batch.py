"""A batch of a test CA at a station that works online: its boards stay open,
and one is made over and over where the batch says so."""
import pytest

from station import Station

LEAKS = True


def batch(world, name, **more):
    a = world.rest("POST", "/batches", {
        "id": name, "product": "thermo", "quantity": 5, "until":
        "2099-01-01T00:00:00Z", "serials": f"{name}-{{1..5}}", **more})
    assert a.status == 201, a
    return a.json


@pytest.fixture
def line(world, tmp_path):
    made = []

    def line(name, **more):
        batch(world, name, **more)
        s = Station(world, tmp_path / name, name, n=1)
        keys = world.rest("GET", "/keys").json["items"]
        (key,) = [k["id"] for k in keys if k["name"] == name]
        a = world.rest("POST", "/stations", {"id": name, "key": key})
        assert a.status == 201, a
        made.append(s)
        s.conf.write_text(f"batch = {name}\n" + s.conf.read_text())
        return s

    yield line
    for s in made:
        s.close()


def again(s, serial):
    """Another key under its label."""
    s.unplug()
    s.blank(1)
    s.plug()
    return s.provision(serial)


def results(world, name):
    units = world.rest("GET", f"/batches/{name}/units").json["items"]
    return {u["device"]: (u["result"], u["spki_sha256"]) for u in units}


def test_a_test_batch_leaves_boards_open(line):
    s = line("open-1")
    s.plug()
    s.passes("open-1-1")
    assert s.fact("open-1-1", "lock_state") == "open"
    assert "locked" not in [r["state"] for r in s.rows()]
    # and its label is one board's, as ever
    code, a = again(s, "open-1-1")
    assert (code, a["reason"]) == (22, "key-gone"), a


def test_one_label_for_many_keys(line, world):
    s = line("flash-1", on_conflict="replace")
    s.plug()
    s.passes("flash-1-1")
    for _ in range(2):
        code, a = again(s, "flash-1-1")
        assert code == 0 and not a["again"], a
        # nothing of it waits for a person at the centre
        (last,) = [c for c in s.certificates("flash-1-1")
                   if c["serial"] == a["serial"]]
        assert last["state"] == "confirmed"
        want = {"flash-1-1": ("passed", last["spki_sha256"])}
        assert results(world, "flash-1") == want
    made = s.certificates("flash-1-1")
    assert len({c["spki_sha256"] for c in made}) == 3


def test_a_batch_that_says_no_such_words(world):
    for more, what in (({"on_conflict": "ask"}, "on_conflict"),
                       ({"lock": "sometimes"}, "lock")):
        a = world.rest("POST", "/batches", {
            "id": "words", "product": "thermo", "quantity": 1, "until":
            "2099-01-01T00:00:00Z", "serials": "words-{1..1}", **more})
        assert a.status == 400 and what in a.text, a
    assert batch(world, "words", lock="never")["locks"] is False
