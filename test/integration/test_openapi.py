"""docs/reference/openapi.json against the running server: every operation with
its example, and with what it must refuse."""
import base64
import json
import os
import re
import subprocess

import jsonschema
import pytest

import possession
from world import ROOT

FILE = ROOT / "docs/reference/openapi.json"
API = json.loads(FILE.read_text())
# statuses that any request can have, whatever its operation
ANYWHERE = {"405", "408", "414", "431"}
OPERATIONS = [(method, path, op) for path, item in API["paths"].items()
              for method, op in item.items()
              if method not in ("parameters", "servers")]
IDS = [op["operationId"] for _, _, op in OPERATIONS]
# what undoes what others need comes last
ORDER = {"post": 0, "put": 1, "patch": 2, "get": 3, "delete": 5}
LAST = {"retireDevice": 9, "transferDevice": 8.8, "repairDevice": 8.9, "revokeCertificate": 8, "revokeCertificates": 7.5, "holdCertificate": 6,
        "releaseCertificate": 7, "cancelToken": 8, "thawToken": 7,
        "remintToken": 7.6,
        "revokeKey": 8, "eraseKey": 8.5, "enrolDevice": 0.5,
        "proveDevice": 0.6, "indexSchema": 4,
        "checkSchema": 4, "createStation": 0.7, "shareBatch": 4,
        "trustStation": 0.8, "syncStation": 4,
        "extendBatch": 4, "pauseBatch": 4.1, "openBatch": 4.2,
        "closeBatch": 8, "removeStation": 9, "orderBatch": 4.3,
        "reportUnits": 4.3, "listInGroup": 2, "extendGroup": 4,
        "releaseInGroup": 4, "revokedOfGroup": 4,
        "openGroup": 4.05, "pauseGroup": 4.3, "closeGroup": 8}
# there, but nothing that an operation's example would name
NOTHING = {"id": dict.fromkeys(("devices", "tokens", "keys"), "WALK-1") | {
    "webhooks": "wh_0000000000000000", "approvals": "0" * 16,
    "batches": "nosuch", "stations": "nosuch", "groups": "nosuch"}, "serial": {"certificates": "0" * 32}}
# an example that cannot succeed where nothing went wrong before
REFUSED = {"thawToken": 409, "testMail": 404, "transferDevice": 409,
           "retryDeadLetter": 404, "getApproval": 404,
           "approve": 404, "refuse": 404, "syncStation": 403,
           "acceptQuarantined": 404, "rejectQuarantined": 404,
           "approveComer": 404, "refuseComer": 404,
           "releaseInGroup": 404, "revokedOfGroup": 409,
           "renewKey": 403}


def resolve(node):
    while "$ref" in node:
        target = API
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


# one for all: each would look through the whole file for its own
RESOLVER = jsonschema.RefResolver("", API)


def validate(value, schema):
    jsonschema.Draft4Validator(schema, resolver=RESOLVER).validate(value)


def check(op, answer):
    """Status, type and body are as the file says."""
    status = str(answer.status)
    assert answer.status < 500 or answer.status == 503, answer
    if status in ANYWHERE and status not in op["responses"]:
        return validate(answer.json, {"$ref": "#/components/schemas/Problem"})
    assert status in op["responses"], answer
    response = resolve(op["responses"][status])
    for name in response.get("headers", ()):
        assert name.lower() in answer.headers, (name, answer)
    if "content" not in response:
        assert answer.body == b""
        return None
    (kind, content), = response["content"].items()
    assert answer.headers["content-type"].split(";")[0] == kind, answer
    if "json" in kind:
        validate(answer.json, content["schema"])
    return answer


def rest(world, method, path, body=None, **more):
    """As World.rest, where the file says that the path is."""
    item = API["paths"].get(path.split("?")[0])
    base = {"base": ""} if item and "servers" in item else {}
    return world.rest(method, path, body, **base, **more)


def body_of(op):
    return next(iter(op["requestBody"]["content"].values())) \
        if "requestBody" in op else None


@pytest.fixture(scope="module")
def names(world):
    """What stands for the paths' parameters, filled in as things are made."""
    world.product()
    return {"name": {"products": "walker", "profiles": "thermo",
                     "issuers": world.rest("GET", "/issuers").json["items"][
                         0]["name"]},
            "id": {"devices": "WALK-1", "approvals": "0" * 16,
                   "batches": "walk", "stations": "walk-line",
                   "groups": "walkers"}, "serial": {}, "index": {
                "ledger": "0", "webhooks": "0"}, "device": {
                "batches": "WK-001", "groups": "WALK-7"}, "path": {
                "ledger": "0/000.p/1"}, "entry": {"stations": "7"}}


def fill(path, names, other=None):
    noun = path.split("/")[1]
    return re.sub(r"\{(\w+)\}", lambda m: other or names[m[1]][noun], path)


def learn(op, answer, names):
    """Ids that later operations need."""
    oid = op["operationId"]
    if oid == "createTokens":
        names["id"]["tokens"] = answer.json["id"]
    elif oid == "createWebhook":
        names["id"]["webhooks"] = answer.json["id"]
    elif oid == "createKey":
        names["id"]["keys"] = answer.json["id"]
    elif oid == "enrolDevice":
        names["serial"]["certificates"] = answer.json["serial"]


def example_of(world, op, names):
    content = body_of(op)
    if content is None:
        return None
    text = json.dumps(content["example"])
    if "@CSR" in text:
        _, csr = world.key_and_csr("WALK-1")
        text = text.replace("@CSR", base64.b64encode(
            csr.read_bytes()).decode())
    if "@LINE" in text:
        text = text.replace("@LINE", world.rest("POST", "/keys", {
            "name": "line", "roles": ["line"]}).json["id"])
    if "@SIGNATURE" in text:
        serial = names["serial"]["certificates"]
        text = json.dumps(possession.proof(
            world.dir / "WALK-1.key", possession.der_of(world, serial),
            serial))
    if op["operationId"] != "enrolDevice":
        validate(json.loads(text), content["schema"])
    return text


def rank(row):
    method, _, op = row
    return LAST.get(op["operationId"], ORDER[method])


def test_every_example_works(world, names):
    for method, path, op in sorted(OPERATIONS, key=rank):
        a = rest(world, method.upper(), fill(path, names),
                 example_of(world, op, names))
        check(op, a)
        want = REFUSED.get(op["operationId"])
        assert a.status == want if want else a.status < 300, (method, path, a)
        if a.status < 300:
            learn(op, a, names)
        if method == "get":
            h = rest(world, "HEAD", fill(path, names))
            assert h.status == a.status and h.body == b"", (path, h)


def test_filters_are_taken(world, names):
    """Each parameter that an operation has, with a value of its schema."""
    hook = world.rest("POST", "/webhooks", {"url": "https://localhost:9/x"})
    names["id"]["webhooks"] = hook.json["id"]
    for method, path, op in OPERATIONS:
        for p in map(resolve, op.get("parameters", ())):
            if p["in"] != "query" or method != "get":
                continue
            s = p["schema"]
            value = s["enum"][0] if "enum" in s else {
                "integer": "2", "boolean": "true"}.get(s["type"], "1")
            if s.get("format") == "date-time":
                value = "2026-01-01T00:00:00Z"
            if "pattern" in s:
                value = "ab" * 32
            value = p.get("example", value)
            if p["name"] == "where":
                value = "hw_rev=B2"
            if p["name"] == "type":
                value = "token."
            if p["name"] == "after" and path not in (
                    "/audit", "/events", "/ledger/entries") \
                    and "history" not in path:
                continue
            a = world.rest("GET", f"{fill(path, names)}?{p['name']}={value}")
            assert a.status == 200, (path, p["name"], a)
            check(op, a)


@pytest.mark.parametrize("method, path, op", OPERATIONS, ids=IDS)
def test_what_any_operation_refuses(world, names, method, path, op):
    where = fill(path, {**names, **NOTHING})
    body = None if body_of(op) is None else "{}"
    a = rest(world, method.upper(), where, body, key="")
    assert a.status == 401
    check(op, a)
    for query in ("?nosuch=1", "?limit=1&nosuch=", "?%00=1"):
        a = rest(world, method.upper(), where + query, body)
        assert a.status in (400, 404), (query, a)
        check(op, a)
    a = rest(world, "TRACE", where)
    assert 400 <= a.status < 500


HOSTILE = ["%00", "%ff", "..%2f..", "%2e%2e", "x" * 300, "x" * 9000,
           "%3Dcmd%7C", "%27%22%3B--", "%C0%AF", "{}", "%E2%80%AE", "%20x"]


@pytest.mark.parametrize("method, path, op", [
    row for row in OPERATIONS if "{" in row[1]],
    ids=[op["operationId"] for _, path, op in OPERATIONS if "{" in path])
def test_hostile_names(world, method, path, op):
    for name in HOSTILE:
        a = world.rest(method.upper(), fill(path, None, name),
                       None if body_of(op) is None else "{}")
        assert 400 <= a.status < 500, (name, a)
        check(op, a)


# as values of filters, keys of pages, and conditions
HOSTILE_VALUES = HOSTILE + ["-1", "1e999", "99999999999999999999", "0x10",
                            "a%3D%3D%3B%3B%3B", "%3B%3B%3B", "%5E%3D",
                            "a%3E%3C%3D1", "%25%25n", "a" * 1100, "%", "%zz",
                            "' OR 1%3D1--", "a%26limit%3D1"]


@pytest.mark.parametrize("method, path, op", [
    row for row in OPERATIONS if row[0] == "get" and any(
        resolve(p)["in"] == "query" for p in row[2].get("parameters", ()))],
    ids=[op["operationId"] for m, _, op in OPERATIONS if m == "get" and any(
        resolve(p)["in"] == "query" for p in op.get("parameters", ()))])
def test_hostile_values(world, names, method, path, op):
    """Refused, or no different from a name that is none."""
    where = fill(path, {**names, **NOTHING})
    for p in map(resolve, op["parameters"]):
        if p["in"] != "query":
            continue
        for value in HOSTILE_VALUES:
            a = world.rest("GET", f"{where}?{p['name']}="
                           f"{value.replace(' ', '%20')}")
            assert a.status < 500, (p["name"], value, a)
            check(op, a)


BAD_BODIES = ["[]", "{", "null", '"x"', '{"nosuch":1}',
              '{"a":1,"a":2}', b'{"a":"\xff"}', b'{"a\x00":1}',
              '{"a":"\\u0000"}', '{"a":"\\ud800"}', "[" * 10000,
              '{"a":' * 10000, "{}x", b"\xef\xbb\xbf{}", "-", "1e999",
              '{"a":1e999}', "x" * (10 << 20)]


@pytest.mark.parametrize("method, path, op", [
    row for row in OPERATIONS if body_of(row[2])],
    ids=[op["operationId"] for _, _, op in OPERATIONS if body_of(op)])
def test_bad_bodies(world, names, method, path, op):
    where = fill(path, {**names, **NOTHING})
    for body in BAD_BODIES:
        a = world.rest(method.upper(), where, body)
        assert 400 <= a.status < 500, (body[:40], a)
        check(op, a)


def test_no_operation_passes_over_a_member(world, names):
    """Not one that is not known, whether or not it takes a body: who misspells
    one hears of it, and what it was sent to is as it was."""
    csr = base64.b64encode(world.key_and_csr("WALK-9")[1].read_bytes())
    world.rest("POST", "/products", {"name": names["name"]["products"]})
    made = {
        "devices": world.rest("POST", "/devices", {
            "id": "WALK-9", "product": "thermo"}).json["id"],
        "tokens": world.token("WALK-8")["id"],
        "keys": world.rest("POST", "/keys", {
            "name": "walk", "roles": ["auditor"]}).json["id"],
        "webhooks": world.rest("POST", "/webhooks", {
            "url": "https://localhost:9/x"}).json["id"]}
    serial = world.rest("POST", "/devices/WALK-9/enrol",
                        {"csr": csr.decode()}).json["serial"]
    mine = {**names, "id": {**names["id"], **made},
            "serial": {"certificates": serial}}
    read = ["/devices/WALK-9", f"/tokens/{made['tokens']}",
            f"/certificates/{serial}", f"/webhooks/{made['webhooks']}"]

    def seen():  # but how delivery does, which goes on meanwhile
        got = [world.rest("GET", path).json for path in read]
        return [{k: v for k, v in o.items() if k != "delivery"} for o in got]
    before = seen()
    keys = world.rest("GET", "/keys").json
    for method, path, op in sorted(OPERATIONS, key=rank):
        if method not in ("post", "put", "patch"):
            continue
        a = rest(world, method.upper(), fill(path, mine), {"nosuch": 1})
        assert a.status == 400, (method, path, a)
        check(op, a)
    assert before == seen()
    assert keys == world.rest("GET", "/keys").json


def wrong_values(schema):
    """Values that a member's schema excludes."""
    schema = resolve(schema)
    if "oneOf" in schema:
        return []
    wrong = {"string": [1, [], {}, True], "integer": ["x", [], 1.5],
             "boolean": ["x", 1], "array": ["x", {}, 1],
             "object": ["x", [], 1]}[schema["type"]][:]
    if "pattern" in schema:
        wrong.append("\u202e =cmd|' /C calc'!A0")
    if "enum" in schema:
        wrong.append("nosuch")
    if "maxLength" in schema:
        wrong.append("x" * (schema["maxLength"] + 1))
    return wrong


@pytest.mark.parametrize("method, path, op", [
    row for row in OPERATIONS if body_of(row[2])],
    ids=[op["operationId"] for _, _, op in OPERATIONS if body_of(op)])
def test_wrong_members(world, names, method, path, op):
    content = body_of(op)
    schema = resolve(content["schema"])
    if "oneOf" in schema:
        schema = resolve(schema["oneOf"][0])
    where = fill(path, {**names, **NOTHING})
    for name, member in schema.get("properties", {}).items():
        for value in wrong_values(member):
            a = world.rest(method.upper(), where, {**content["example"],
                                                   name: value})
            assert 400 <= a.status < 500, (name, value, a)
            check(op, a)


def test_routes_and_file_are_the_same(world):
    """The server's own table, as its source has it."""
    text = (ROOT / "src/server/rest.c").read_text()
    table = text.split("mm_operators_routes[] = {")[1].split("\n};")[0]
    found = {(m[0], m[1]) for m in re.findall(
        r'(?:MM_HTTP_)?(GET|ONE|POST|WATCHED|PUT|PATCH|DELETE)[(,]\s*API "([^"]+)"',
        table)}
    assert len(found) == table.count("API \"")
    methods = {"ONE": "get", "WATCHED": "post"}
    routes = {(methods.get(m, m.lower()), p) for m, p in found}
    mine = {(m, re.sub(r"\{path\}", "*", re.sub(r"\{(?!path)\w+\}", ":", p)))
            for m, p, _ in OPERATIONS if "servers" not in API["paths"][p]}
    assert routes == mine


def test_it_is_served(world):
    a = world.rest("GET", "/openapi.json")
    assert a.body == FILE.read_bytes()


def test_405_says_what_is_allowed(world):
    a = world.rest("DELETE", "/devices/x")
    assert a.status == 405
    assert {"GET", "PUT", "PATCH"} <= set(a.headers["allow"].replace(
        ",", " ").split())


def test_it_is_openapi():
    lint = ROOT / "var/venv/bin/openapi-spec-validator"
    if not lint.exists():
        pytest.skip("script/setup test installs the validator")
    p = subprocess.run([lint, FILE], capture_output=True, text=True,
                       timeout=60)
    assert p.returncode == 0, p.stdout + p.stderr


PARTS = 8


def not_now():
    """Operations whose limits other commits try."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, text=True,
                          capture_output=True, timeout=60).stdout.strip()
    part = int(os.environ.get("MINTMARK_PART") or head[:8] or "0", 16) % PARTS
    print(f"MINTMARK_PART={part:x}")
    return [oid for i, oid in enumerate(sorted(IDS)) if i % PARTS != part]


def test_generated_requests(world, tmp_path):
    """Schemathesis makes up requests from the file, the same ones each time: one
    of each operation here, and for an eighth of them, with each change of the
    tree another, all limits of all their parameters.  All of that and more in
    the long form (script/soak): MINTMARK_PHASES, _EXAMPLES, _SEED, _PART."""
    tool = ROOT / "var/venv/bin/schemathesis"
    if not tool.exists():
        pytest.skip("script/setup test installs schemathesis")
    conf = tmp_path / "schemathesis.toml"
    hooks = ROOT / "test/integration/generated.py"
    conf.write_text(f'hooks = "{hooks}"\nrequest-timeout = 60\n[headers]\n'
                    f'Authorization = "Bearer {world.admin_key}"\n'
                    '[checks.not_a_server_error]\n'
                    'expected-statuses = ["2xx", "3xx", "4xx", "503"]\n' + (
                        "" if "MINTMARK_PHASES" in os.environ else
                        "[[operations]]\nphases.coverage.enabled = false\n"
                        f"include-operation-id = {json.dumps(not_now())}\n"))
    p = subprocess.run(
        [tool, "--config-file", conf, "run", FILE, "--url",
         f"https://localhost:{world.operators}/api/v1", "--tls-verify",
         world.anchor, "--phases",
         os.environ.get("MINTMARK_PHASES", "examples,coverage,fuzzing"),
         "--max-examples", os.environ.get("MINTMARK_EXAMPLES", "1"),
         "--continue-on-failure",
         "--seed", os.environ.get("MINTMARK_SEED", "1"),
         "--exclude-path", "/metrics",  # it has a base of its own
         "--checks",
         "not_a_server_error,status_code_conformance,"
         "content_type_conformance,response_schema_conformance,"
         "later_says_when"],
        capture_output=True, text=True, timeout=3600, cwd=tmp_path)
    told = p.stdout[max(0, p.stdout.find("= ERRORS =")):]
    if "= FAILURES =" in p.stdout:
        told = p.stdout[p.stdout.find("= FAILURES ="):]
    assert p.returncode == 0, told[:6000] + p.stderr[-2000:]
