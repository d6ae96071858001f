"""Tokens of a whole run, batch or table; what is thawed, cancelled and minted
again, one by one and by selection."""
import base64
import csv
import io
import json
import re
import time

import pytest

import postgres
from test_batches import Factory
from test_operators import pages
from test_qr import read_code
from world import World, until


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request):
    database = postgres.shared().database() \
        if request.param == "postgresql" else None
    with World(profile="\tbearer = true", database=database) as w:
        w.set_conf("bulk_mint_above", 1000000)
        yield w.start().product()


def rows(path):
    return list(csv.DictReader(io.StringIO(path.read_text())))


def states(world, tokens):
    return [world.rest("GET", f"/tokens/{t['id']}").json["state"]
            for t in tokens]


def frozen(world, name, **more):
    """A token that a second key came with."""
    t = world.token(name, door="bearer", **more)
    for key in (name, name + "-other"):
        world.enrol_basic(t, world.key_and_csr(key)[1])
    assert states(world, [t]) == ["frozen"]
    return t


def entries(world, type_, token):
    """At least one, as soon as the ledger has it."""
    def look():
        return [i["entry"] for i in
                pages(world, None, f"/ledger/entries?type={type_}", 1000)
                if i["entry"]["token"] == token]
    return until(look)


# ---- where they come from ----

def test_a_run_of_serials(world, tmp_path):
    out = tmp_path / "run.csv"
    p = world.cli("token", "create", "--serials", "TR-{001..750}",
                  "--product", "thermo", "--out", out)
    assert "750 tokens minted, 0 refused" in p.stderr
    got = rows(out)
    assert [r["device"] for r in got] == [f"TR-{n:03}" for n in
                                          range(1, 751)]
    assert len({r["token"] for r in got}) == 750
    assert out.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("run", ["TR-{9..1}", "TR-1", "TR {1..2}",
                                 "TR-{1..99999999}"])
def test_what_is_no_run(world, run):
    p = world.cli("token", "create", "--serials", run, "--product", "thermo",
                  check=False)
    assert p.returncode != 0 and "mintmark:" in p.stderr and not p.stdout


def test_an_interrupted_run_goes_on(world, tmp_path):
    out = tmp_path / "half.csv"
    world.cli("token", "create", "--serials", "TH-{1..3}", "--product",
              "thermo", "--out", out)
    kept = out.read_text().splitlines(keepends=True)
    out.write_text("".join(kept[:3]) + kept[3][:40])  # torn in the last one
    world.cli("token", "create", "--serials", "TH-{1..5}", "--product",
              "thermo", "--out", out, "--resume")
    assert [r["device"] for r in rows(out)] == [f"TH-{n}" for n in
                                                range(1, 6)]


def test_one_source_is_said(world):
    for argv in ((), ("--device", "D", "--serials", "D-{1..2}"),
                 ("--batch", "b", "--csv", "-")):
        p = world.cli("token", "create", *argv, check=False)
        assert p.returncode == 2 and "say one of" in p.stderr
    p = world.cli("token", "create", "--serials", "D-{1..2}", "--qr-svg", "x",
                  check=False)
    assert p.returncode == 2 and "token label" in p.stderr


@pytest.fixture(scope="module")
def factory(world):
    return Factory(world)


@pytest.fixture
def batch(world, factory, request):
    """Two units passed, one failed, one scrapped; and its units' names."""
    tag = abs(hash(request.node.name)) % 10 ** 8
    key = factory.station(f"many-{tag}")
    b = factory.batch(9, scrap=2, shares=[
        {"station": f"many-{tag}", "share": 9}])
    serials = [f"{b['first_serial'][:-3]}{n:03}" for n in range(1, 5)]
    for s in serials:
        factory.csr[0] = base64.b64encode(
            world.key_and_csr(s)[1].read_bytes()).decode()
        assert factory.enrol(s, key=key, batch=b["id"]).status == 200
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    a = world.rest("POST", f"/batches/{b['id']}/units", {
        "station": f"many-{tag}", "units": [
            {"serial": s, "result": r, "at": at} |
            ({"reason": "dead"} if r != "passed" else {})
            for s, r in zip(serials, ("passed", "passed", "failed",
                                      "scrapped"))]}, key=key)
    assert a.status == 200, a
    return b["id"], serials


def test_a_batchs_units(world, batch, tmp_path):
    b, serials = batch
    a = world.rest("GET", f"/batches/{b}/units")
    assert [(u["device"], u["result"]) for u in a.json["items"]] == list(
        zip(serials, ("passed", "passed", "failed", "scrapped")))
    a = world.rest("GET", f"/batches/{b}/units?result=failed")
    assert [u["device"] for u in a.json["items"]] == [serials[2]]
    assert a.json["items"][0]["reason"] == "dead"
    one = world.rest("GET", f"/batches/{b}/units?limit=1")
    two = world.rest("GET", f"/batches/{b}/units?limit=3&after="
                     + one.json["next"])
    assert [u["device"] for u in two.json["items"]] == serials[1:]
    assert world.rest("GET", f"/batches/{b}/units?result=x").status == 400
    assert world.rest("GET", "/batches/none/units").status == 404
    p = world.cli("batch", "units", b, "--result", "passed")
    assert serials[0] in p.stdout and serials[2] not in p.stdout
    out = tmp_path / "batch.csv"
    world.cli("token", "create", "--batch", b, "--out", out)
    assert [r["device"] for r in rows(out)] == serials[:2]


def test_a_batch_that_has_made_nothing(world, factory, tmp_path):
    b = factory.batch(3)
    p = world.cli("token", "create", "--batch", b["id"], "--out",
                  tmp_path / "none.csv", check=False)
    assert p.returncode == 4 and "--serials" in p.stderr
    assert not (tmp_path / "none.csv").exists()


# ---- forms ----

def bitmap(svg, path):
    """Our SVG's modules, eight pixels each, for a reader."""
    side = int(re.search(r'viewBox="0 0 (\d+)', svg)[1])
    dark = [[0] * side for _ in range(side)]
    for x, y, n in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\d+z", svg):
        for i in range(int(n)):
            dark[int(y)][int(x) + i] = 1
    with open(path, "w") as f:
        f.write(f"P1\n{8 * side} {8 * side}\n")
        for row in dark:
            f.write((" ".join(str(b) for b in row for _ in range(8)) + "\n")
                    * 8)


def test_svg_of_one_and_of_many(world, tmp_path):
    svg, made = tmp_path / "one.svg", tmp_path / "one.json"
    world.cli("token", "create", "--device", "SV-1", "--product", "thermo",
              "--qr-svg", svg, "--out", made)
    assert svg.stat().st_mode & 0o777 == 0o600
    bitmap(svg.read_text(), tmp_path / "one.pbm")
    assert read_code(tmp_path / "one.pbm") == json.loads(
        made.read_text())["uri"]
    many, folder = tmp_path / "many.csv", tmp_path / "codes"
    world.cli("token", "create", "--serials", "SV-{2..4}", "--product",
              "thermo", "--out", many)
    world.cli("token", "label", many, "--format", "svg", "--out", folder)
    for r in rows(many):
        bitmap((folder / f"{r['device']}.svg").read_text(),
               tmp_path / "x.pbm")
        assert read_code(tmp_path / "x.pbm") == r["uri"]


# ---- made again ----

def test_made_again(world):
    t = world.token("RM-1", door="bearer")
    p = world.cli("--json", "token", "remint", t["id"], "--ttl", "1h",
                  "--reason", "label-torn")
    new = json.loads(p.stdout)
    assert new["device"] == "RM-1" and new["door"] == "bearer"
    assert states(world, [t, new]) == ["cancelled", "minted"]
    csr = world.key_and_csr("RM-1")[1]
    assert world.enrol_basic(t, csr).status == 403
    assert world.enrol_basic(new, csr).status == 200
    (e,) = entries(world, "token.cancelled", t["id"])
    assert e["reason"] == "label-torn"
    # claimed: what was issued stays somebody's
    a = world.rest("POST", f"/tokens/{new['id']}/remint", {})
    assert a.status == 409 and "claimed" in a.text


def test_made_again_keeps_its_key(world):
    t = world.token("RM-2", bound_spki_sha256="ab" * 32, ttl="1s")
    a = world.rest("POST", f"/tokens/{t['id']}/remint", {"ttl": "2h"})
    assert a.status == 201
    got = world.rest("GET", f"/tokens/{a.json['id']}").json
    assert got["bound_spki_sha256"] == "ab" * 32
    assert got["door"] == "handshake"
    again = world.rest("POST", f"/tokens/{t['id']}/remint", {})
    assert again.status == 201  # one that was cancelled already


# ---- many at once ----

def test_many_are_thawed(world):
    world.product("thaw-me", ldevid_profile="thermo")
    tokens = [frozen(world, f"TM-{n}", product="thaw-me") for n in range(3)]
    apart = frozen(world, "TM-apart")
    said = {"product": "thaw-me", "keep": True}
    look = world.rest("POST", "/tokens/thaw", said | {"dry_run": True})
    assert (look.json["found"], look.json["changed"]) == (3, 0)
    assert look.json["states"] == {"frozen": 3}
    assert {s["id"] for s in look.json["sample"]} == {t["id"] for t in tokens}
    assert states(world, tokens) == ["frozen"] * 3
    assert world.rest("POST", "/tokens/thaw", said).status == 400  # no reason
    p = world.cli("--json", "token", "thaw", "--keep", "--product",
                  "thaw-me", "--reason", "firmware-4-2", "--limit", "2",
                  "--yes")
    assert json.loads(p.stdout)["changed"] == 3
    assert states(world, tokens) == ["issued"] * 3
    assert states(world, [apart]) == ["frozen"]
    for t in tokens:
        (e,) = entries(world, "token.thawed", t["id"])
        assert e["reason"] == "firmware-4-2"
    # the first key's owner goes on, the other one freezes it again
    csr = world.dir / "TM-0.csr"
    assert world.enrol_basic(tokens[0], csr).status == 200


def test_many_are_cancelled(world):
    world.product("cancel-me", ldevid_profile="thermo")
    tokens = [world.token(f"CM-{n}", door="bearer", product="cancel-me")
              for n in range(4)]
    world.enrol_basic(tokens[0], world.key_and_csr("CM-0")[1])
    world.cli("token", "cancel", tokens[1]["id"], "--reason", "lost")
    p = world.cli("token", "cancel", "--product", "cancel-me", "--dry-run")
    assert "3 tokens would be changed" in p.stdout
    p = world.cli("token", "cancel", "--product", "cancel-me", check=False)
    assert p.returncode != 0 and "--reason" in p.stderr
    p = world.cli("token", "cancel", "--product", "cancel-me", "--reason",
                  "stolen", "--yes")
    assert "3 changed" in p.stdout
    assert states(world, tokens) == ["cancelled"] * 4
    assert world.enrol_basic(tokens[2], world.key_and_csr("CM-2")[1]
                             ).status == 403
    again = world.rest("POST", "/tokens/cancel", {"product": "cancel-me",
                                                  "reason": "stolen"})
    assert (again.json["found"], again.json["changed"]) == (0, 0)


def test_of_a_batch_and_of_a_time(world, batch, tmp_path):
    b, serials = batch
    before = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    out = tmp_path / "b.csv"
    world.cli("token", "create", "--batch", b, "--out", out)
    a = world.rest("POST", "/tokens/cancel", {
        "batch": b, "created_to": before, "reason": "x"})
    assert a.json["found"] == 0
    first = world.rest("POST", "/tokens/cancel?limit=1", {
        "batch": b, "created_from": before, "reason": "x"})
    assert first.json["changed"] == 1 and first.json["left"]
    rest = world.rest("POST", "/tokens/cancel?limit=1000&after="
                      + first.json["next"], {
                          "batch": b, "created_from": before, "reason": "x"})
    assert rest.json["changed"] == 1 and not rest.json["left"]
    # a key is of one request
    a = world.rest("POST", "/tokens/cancel?after=" + first.json["next"], {
        "batch": b, "reason": "x"})
    assert a.status == 400


@pytest.fixture(params=["run", "lengths", "list"])
def unmade(world, factory, request):
    """A batch that has made nothing, and three of its serial numbers."""
    tag = f"{request.param[:2]}{world.public}"
    names = {"run": [f"UN{tag}-{n:04}" for n in (1, 500, 999)],
             "lengths": [f"UN{tag}-{n}" for n in (8, 10, 111)],
             "list": [f"UN{tag}-{n}" for n in ("b", "a.1", "c")]}
    serials = {"run": {"serials": f"UN{tag}-{{0001..0999}}"},
               "lengths": {"serials": f"UN{tag}-{{8..111}}"},
               "list": {"serials": None, "serial_list": names["list"]}}
    b = factory.batch(3, **serials[request.param])
    return b["id"], names[request.param]


def test_of_a_batch_before_it_is_made(world, unmade):
    """Tokens that are out, and what they gave, are the batch's: whoever stole
    its boards has them."""
    b, names = unmade
    others = [n + "x" for n in names] + [names[0][:-1] + "-"]
    tokens, theirs = ([world.token(n, door="bearer") for n in these]
                      for these in (names, others))
    for t, n in ((tokens[1], names[1]), (theirs[1], others[1])):
        assert world.enrol_basic(t, world.key_and_csr(n)[1]).status == 200
    hold = {"action": "hold", "batch": b}
    look = world.rest("POST", "/certificates/revoke", {**hold,
                                                       "dry_run": True}).json
    assert [s["device"] for s in look["sample"]] == [names[1]], look
    assert world.rest("POST", "/certificates/revoke",
                      hold).json["changed"] == 1
    p = world.cli("token", "cancel", "--batch", b, "--dry-run")
    assert "3 tokens would be changed" in p.stdout
    next_, changed = "", []
    while next_ is not None:
        a = world.rest("POST", "/tokens/cancel?limit=1" + next_,
                       {"batch": b, "reason": "stolen"})
        changed.append(a.json["changed"])
        next_ = "&after=" + a.json["next"] if a.json["left"] else None
    assert sum(changed) == 3 and max(changed) == 1
    assert states(world, tokens) == ["cancelled"] * 3
    assert states(world, theirs) == ["minted", "issued", "minted", "minted"]
    p = world.cli("token", "cancel", "--product", "thermo", "--batch", b,
                  "--dry-run")
    assert "0 tokens would be changed" in p.stdout
    for path in ("/tokens/cancel", "/certificates/revoke"):
        a = world.rest("POST", path, {"batch": b + "x", "reason":
                                      "superseded"})
        assert a.status == 404, a


@pytest.mark.parametrize("body", [
    {"reason": "x"}, {"product": "thermo"}, {"product": "thermo", "keep": 1},
    {"product": "thermo", "reason": "A sentence, with a name in it"},
    {"device": "D", "reason": "x"}, {"batch": "../x", "reason": "x"},
    {"product": "thermo", "batch": None, "reason": "x"},
])
def test_what_selects_nothing_or_wrongly(world, body):
    assert world.rest("POST", "/tokens/cancel", body).status == 400


# ---- codes that are on labels already ----

def basic(world, user, password, csr):
    word = base64.b64encode(f"{user}:{password}".encode()).decode()
    return world.device_call(
        "POST", "/.well-known/est/simpleenroll",
        base64.b64encode(csr.read_bytes()), {
            "Authorization": "Basic " + word,
            "Content-Type": "application/pkcs10"})


def imported(world, tmp_path, table, *more, check=True):
    path = tmp_path / "codes.csv"
    path.write_text(table)
    return world.cli("token", "import", "--csv", path, *more, check=check)


def test_printed_codes_enrol(world, tmp_path):
    out = tmp_path / "in.csv"
    p = imported(world, tmp_path, "device,code,product\n"
                 "PC-1,WXYZ-1234,thermo\nPC-2,:weird:code,thermo\n",
                 "--out", out)
    assert "2 codes imported, 0 refused" in p.stderr
    assert "WXYZ" not in p.stdout + p.stderr + out.read_text()
    csr = world.key_and_csr("PC-1")[1]
    assert basic(world, "PC-1", "WXYZ-1235", csr).status == 401
    first = basic(world, "PC-1", "WXYZ-1234", csr)
    assert first.status == 200, first
    # an answer that was lost comes again, and the name has no case
    assert basic(world, "pc-1", "WXYZ-1234", csr).body == first.body
    # another key, as with any token
    other = world.key_and_csr("PC-1b")[1]
    assert basic(world, "PC-1", "WXYZ-1234", other).status == 409
    assert basic(world, "PC-2", ":weird:code",
                 world.key_and_csr("PC-2")[1]).status == 200
    ids = [r["id"] for r in rows(out)]
    assert states(world, [{"id": i} for i in ids]) == ["frozen", "issued"]


def test_nothing_that_is_stored_tells_a_code(world, tmp_path):
    code = "Find-Me-0815-4711"
    imported(world, tmp_path, f"device,code,product\nPC-3,{code},thermo\n")
    assert basic(world, "PC-3", code, world.key_and_csr("PC-3")[1]
                 ).status == 200
    kept = [p for p in world.dir.rglob("*") if p.is_file()]
    assert kept and not [p for p in kept if code.encode() in p.read_bytes()]


def test_one_code_at_a_time(world, tmp_path):
    table = "device,code,product\nPC-4,first-code,thermo\n"
    imported(world, tmp_path, table)
    p = imported(world, tmp_path, table.replace("first", "other"),
                 check=False)
    assert p.returncode != 0 and "it has a code" in p.stderr
    (t,) = world.rest("GET", "/tokens?device=PC-4").json["items"]
    world.cli("token", "cancel", t["id"])
    csr = world.key_and_csr("PC-4")[1]
    assert basic(world, "PC-4", "first-code", csr).status == 403  # cancelled
    imported(world, tmp_path, table.replace("first", "other"))
    assert basic(world, "PC-4", "first-code", csr).status == 401
    assert basic(world, "PC-4", "other-code", csr).status == 200


def test_an_import_whose_answer_was_lost(world, tmp_path):
    """The same again has the same tokens, claimed or not; another code, or
    other conditions, are no such thing."""
    table = "device,code,product\n" + "".join(
        f"PC-L{n},lost-code-{n},thermo\n" for n in range(3))

    def tokens(p):
        return {r["device"]: r["id"]
                for r in csv.DictReader(io.StringIO(p.stdout))}
    first = tokens(imported(world, tmp_path, table))
    assert tokens(imported(world, tmp_path, table)) == first
    n = len(world.rest("GET", "/tokens?device=PC-L0").json["items"])
    assert n == 1
    assert basic(world, "PC-L0", "lost-code-0",
                 world.key_and_csr("PC-L0")[1]).status == 200
    p = imported(world, tmp_path, table, check=False)
    assert p.returncode != 0 and "PC-L0" in p.stderr
    assert tokens(p) == {k: v for k, v in first.items() if k != "PC-L0"}
    # who goes on where --out ends
    out = tmp_path / "out.csv"
    rest = table.replace("PC-L0,lost-code-0,thermo\n", "")
    imported(world, tmp_path, rest, "--out", out)
    assert len(out.read_text().splitlines()) == 3
    out.write_text("".join(out.read_text().splitlines(True)[:2]))
    imported(world, tmp_path, rest, "--out", out, "--resume")
    assert {r["device"]: r["id"] for r in csv.DictReader(
        out.open())} == {k: first[k] for k in ("PC-L1", "PC-L2")}
    for other in ("lost-code-X", "LOST-CODE-1"):
        p = imported(world, tmp_path, "device,code,product\nPC-L1,"
                     f"{other},thermo\n", check=False)
        assert p.returncode != 0 and "it has a code" in p.stderr
    a = world.rest("POST", "/tokens", {
        "device": "PC-L1", "product": "thermo", "door": "bearer",
        "code": "lost-code-1", "bound_spki_sha256": "ab" * 32})
    assert a.status == 409, a


@pytest.mark.parametrize("table, said", [
    ("device,code\nPC-5,short\n", "8 to 64"),
    ("device,code\nPC-5,has a space\n", "8 to 64"),
    ("device,code\nPC-5," + "x" * 65 + "\n", "8 to 64"),
    ("device\nPC-5\n", '"code" is not among them'),
    ("device,code,door\nPC-5,long-enough,handshake\n", "door"),
])
def test_what_is_no_code(world, tmp_path, table, said):
    p = imported(world, tmp_path, table, check=False)
    assert p.returncode == 2 and said in p.stderr
    assert "has a space" not in p.stderr and "x" * 65 not in p.stderr


def test_a_code_is_of_the_compatible_door(world):
    a = world.rest("POST", "/tokens", {"device": "PC-6", "product": "thermo",
                                       "door": "handshake",
                                       "code": "some-code-1"})
    assert a.status == 400
    a = world.rest("POST", "/tokens", {"device": "PC-6", "product": "thermo",
                                       "code": "some-code-1"})
    assert a.status == 201 and "token" not in a.json and "uri" not in a.json
    assert a.json["door"] == "bearer" and "some-code-1" not in a.text


def test_codes_are_not_guessed(world, tmp_path):
    """Ten wrong ones: then the right one waits too, an alert goes out once,
    and other devices are as before."""
    imported(world, tmp_path, "device,code,product\n"
             "PC-7,right-code-7,thermo\nPC-8,right-code-8,thermo\n")
    csr = world.key_and_csr("PC-7")[1]
    got = [basic(world, "PC-7", f"wrong-code-{n}", csr).status
           for n in range(14)]
    assert got == [401] * 10 + [429] * 4
    a = basic(world, "PC-7", "right-code-7", csr)
    assert a.status == 429 and 1 <= int(a.headers["retry-after"]) <= 360
    assert basic(world, "PC-8", "right-code-8",
                 world.key_and_csr("PC-8")[1]).status == 200
    # one that has no code is counted and refused as a wrong one is
    got = [basic(world, "PC-none", f"wrong-code-{n}", csr).status
           for n in range(14)]
    assert got == [401] * 10 + [429] * 4
    def told():
        return [i["entry"]["reason"] for i in
                pages(world, None, "/ledger/entries?type=alert", 1000)
                if i["entry"].get("device") == "PC-7"]
    until(told)
    assert told() == ["too-many-wrong-codes"]
    p = world.cli("device", "why", "PC-7")
    assert "printed code" in p.stdout
