"""Every operation of the API is reached by a command.  The commands run against the real server; between the two stands what
writes down each request."""
import contextlib
import http.server
import json
import re
import ssl
import threading

import pytest

from world import MINT, ROOT, run

API = json.loads((ROOT / "docs/reference/openapi.json").read_text())
OPERATIONS = {op["operationId"]: (method.upper(), path)
              for path, item in API["paths"].items()
              for method, op in item.items()
              if method not in ("parameters", "servers")}

# the command, as it reads after "mintmark"; what is in braces is made before
COMMANDS = {
    "status": "status",
    "doctor": "doctor",
    "metrics": "metrics",
    "openapi": "openapi",
    "whoami": "key whoami",
    "renewKey": "key renew",
    "listProfiles": "profile list",
    "getProfile": "profile show thermo",
    "checkProfiles": "profile check {profile} --loaded",
    "listProducts": "product list",
    "createProduct": "product create op-product --ldevid-profile thermo",
    "getProduct": "product show thermo",
    "replaceProduct": "product update thermo --description x",
    "getSchema": "product schema thermo",
    "putSchema": "product schema thermo --set {schema}",
    "indexSchema": "product schema thermo --set {schema}",
    "checkSchema": "product schema thermo --check {schema}",
    "dropSchema": "product schema thermo --remove",
    "listDevices": "device list",
    "createDevice": "device create op-device --product thermo",
    "importDevices": "device import {csv}",
    "getDevice": "device show {device}",
    "patchDevice": "device update {device} --attributes {{}}",
    "replaceDevice": "device update {device} --product thermo --replace",
    "deviceHistory": "device history {device}",
    "deviceAttempts": "device why {device}",
    "enrolDevice": "device enrol {device} --csr {csr}",
    "proveDevice": "device prove {device} {proof}",
    "deviceReceipt": "device receipt {device}",
    "listTokens": "token list",
    "createTokens": "token create --device op-device-2 --product thermo",
    "getToken": "token show {token}",
    "cancelToken": "token cancel {token}",
    "thawToken": "token thaw {token} --keep",
    "remintToken": "token remint {token}",
    "cancelTokens": "token cancel --product op-product --dry-run",
    "thawTokens": "token thaw --product op-product --keep --dry-run",
    "listCertificates": "cert list",
    "getCertificate": "cert show {serial}",
    "holdCertificate": "cert hold {serial}",
    "releaseCertificate": "cert release {serial}",
    "revokeCertificate": "cert revoke {serial}",
    "revokeCertificates": "cert revoke --product op-product --dry-run",
    "listIssuers": "ca list",
    "getIssuer": "ca show issuing",
    "signCrl": "ca crl issuing",
    "listKeys": "key list",
    "createKey": "key create op-key --role auditor",
    "revokeKey": "key revoke {key}",
    "eraseKey": "key erase {key}",
    "listApprovals": "approval list",
    "getApproval": "approval show 0000000000000000",
    "approve": "approval approve 0000000000000000",
    "refuse": "approval refuse 0000000000000000",
    "audit": "audit",
    "listEvents": "event list",
    "checkpoint": "ledger checkpoint",
    "tile": "ledger verify",
    "ledgerKey": "ledger key",
    "receipt": "ledger receipt 0",
    "listEntries": "ledger entries --listed --limit 1",
    "listWebhooks": "webhook list",
    "createWebhook": "webhook create https://localhost:9/",
    "getWebhook": "webhook show {webhook}",
    "replaceWebhook": "webhook change {webhook} --types token.minted",
    "pauseWebhook": "webhook pause {webhook}",
    "resumeWebhook": "webhook resume {webhook}",
    "rotateWebhook": "webhook rotate {webhook}",
    "replayWebhook": "webhook replay {webhook} --from 0",
    "testWebhook": "webhook test {webhook}",
    "listDeadLetters": "webhook dead-letters {webhook}",
    "retryDeadLetter": "webhook dead-letters {webhook} --retry 1",
    "removeWebhook": "webhook remove {webhook}",
    "getAuthorise": "authorise show",
    "rotateAuthorise": "authorise rotate",
    "expiry": "expiry",
    "ends": "expiry",
    "getMail": "mail show",
    "testMail": "mail test",
    "transferDevice": "device transfer {device} --product op-product "
                      "--reason sold --yes",
    "repairDevice": "device repair {device} --reason rma --yes",
    "retireDevice": "device retire {device} --yes",
    "listBatches": "batch list",
    "createBatch": "batch create --product thermo --quantity 1 --until 30d "
                   "--serials OC-{{1..9}}",
    "getBatch": "batch show {batch}",
    "pauseBatch": "batch pause {batch} --reason lunch",
    "openBatch": "batch open {batch}",
    "extendBatch": "batch extend {batch} --quantity 3 --reason more",
    "shareBatch": "batch share {batch} {station}=1",
    "listUnits": "batch units {batch}",
    "reportUnits": "batch scrap {batch} OB-1",
    "listPeople": "batch people {batch}",
    "showConfiguration": "batch configuration {batch} OB-1",
    "reportBatch": "batch report {batch}",
    "orderBatch": "batch order {batch} --station {station} --extension",
    "closeBatch": "batch close {batch}",
    "listConfigurations": "config list",
    "putProductConfiguration": "config set --product thermo "
    "--template {schema}",
    "showProductConfiguration": "config show --product thermo",
    "checkProductConfiguration": "config check --product thermo",
    "dropProductConfiguration": "config remove --product thermo",
    "putBatchConfiguration": "config set --batch {batch} "
    "--template {schema}",
    "showBatchConfiguration": "config show --batch {batch}",
    "checkBatchConfiguration": "config check --batch {batch}",
    "dropBatchConfiguration": "config remove --batch {batch}",
    "putDeviceConfiguration": "config set --device {device} "
    "--template {schema}",
    "showDeviceConfiguration": "config show --device {device}",
    "checkDeviceConfiguration": "config check --device {device}",
    "dropDeviceConfiguration": "config remove --device {device}",
    "listConfiguredDevices": "config devices thermo",
    "previewConfiguration": "config preview {device}",
    "getOrdersKey": "station pin",
    "listStations": "station list",
    "createStation": "station create op-station-2 --key {key}",
    "getStation": "station show {station}",
    "trustStation": "station trust {station} {ledger}",
    "getStationSync": "station sync {station} {export}",
    "syncStation": "station sync {station} {export}",
    "listQuarantine": "station quarantine {station}",
    "acceptQuarantined": "station quarantine {station} --accept 1 --reason x",
    "rejectQuarantined": "station quarantine {station} --reject 1 --reason x",
    "removeStation": "station remove {station}",
    "listGroups": "group list",
    "createGroup": "group create op-group-2 --product thermo --quantity 1 "
                   "--until 30d",
    "getGroup": "group show {group}",
    "openGroup": "group open {group}",
    "pauseGroup": "group pause {group} --reason lunch",
    "extendGroup": "group extend {group} --quantity 3 --reason more",
    "listInGroup": "group add {group} --device {device} --key " + "ab" * 32,
    "listGroupDevices": "group devices {group}",
    "getGroupReport": "group report {group}",
    "listWaiting": "group waiting {group}",
    "approveComer": "group approve {group} {device} " + "ab" * 32,
    "refuseComer": "group refuse {group} {device} " + "ab" * 32,
    "releaseInGroup": "group release {group} {device} --reason reset",
    "revokedOfGroup": "group crl {group} {csv}",
    "closeGroup": "group close {group}",
}


def test_every_operation_has_a_command():
    assert COMMANDS.keys() == OPERATIONS.keys()


class Forward(http.server.BaseHTTPRequestHandler):
    """Asks the server the same, and writes down what."""
    protocol_version = "HTTP/1.1"

    def forward(self):
        n = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(n)
        head = {k: v for k, v in self.headers.items()
                if k.lower() not in ("host", "connection")}
        world = self.server.world
        self.server.asked.append((self.command, self.path))
        with contextlib.closing(world.https(world.operators)) as conn:
            a = world.ask(conn, self.command, self.path, body, head)
        self.send_response(a.status)
        for k, v in a.headers.items():
            if k not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(k, v)
        self.send_header("Content-Length", str(len(a.body)))
        self.end_headers()
        self.wfile.write(a.body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def recorder(world):
    """(command line -> what it asked for)"""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Forward)
    server.world, server.asked, server.daemon_threads = world, [], True
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(world.state / "server/tls.crt",
                        world.state / "server/tls.key")
    server.socket = ctx.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def asked(*argv):
        server.asked.clear()
        p = run(MINT, "--context", world.context, "--server",
                f"https://localhost:{server.server_address[1]}", *argv,
                check=False)
        return list(server.asked), p

    try:
        yield asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def made(world):
    """What the commands name."""
    schema = world.dir / "op-schema.json"
    schema.write_text('{"type": "object"}')
    csv = world.dir / "op.csv"
    csv.write_text("id,product\nop-imported,thermo\n")
    _, csr = world.key_and_csr("op-made")
    path = world.dir / "op.pem"
    run("openssl", "req", "-inform", "DER", "-in", csr, "-out", path)
    token = world.token("op-made")
    device = world.rest("POST", "/devices", {"id": "op-enrolled",
                                             "product": "thermo"})
    assert device.status == 201, device
    hook = world.rest("POST", "/webhooks", {"url": "https://localhost:9/"})
    key = world.rest("POST", "/keys", {"name": "op", "roles": ["auditor"]})
    line = world.rest("POST", "/keys", {"name": "op-l", "roles": ["line"]})
    for at, body in (
            ("/stations", {"id": "op-station", "key": line.json["id"]}),
            ("/batches", {"id": "op-batch", "product": "thermo", "quantity": 2,
                          "serials": "OB-{1..9}",
                          "shares": [{"station": "op-station", "share": 2}],
                          "until": "2099-01-01T00:00:00Z"}),
            ("/groups", {"id": "op-group", "product": "thermo", "quantity": 2,
                         "kind": "certificates", "range": "OG-{1..9}",
                         "until": "2099-01-01T00:00:00Z"})):
        a = world.rest("POST", at, body)
        assert a.status == 201, a
    a = world.rest("POST", "/batches/op-batch/units", {
        "station": "op-station", "units": [{
            "serial": "OB-1", "result": "failed", "reason": "no-answer",
            "at": "2026-01-01T00:00:00Z"}]})
    assert a.status == 200, a
    proof = world.dir / "op-proof.json"
    proof.write_text(json.dumps({"serial": "00" * 16, "nonce": "00" * 32,
                                 "hardware": "31", "signature": "00"}))
    profile = world.dir / "op-profile.conf"
    profile.write_text('profile "spare" {\n\tissuer = "issuing"\n}\n')
    ledger = API["paths"]["/stations/{id}/trust"]["post"]["requestBody"][
        "content"]["application/json"]["example"]["key"]
    a = world.rest("POST", "/stations/op-station/trust", {"key": ledger})
    assert a.status == 200, a
    export = world.dir / "op.jsonl"
    export.write_text('{"v":1,"station":"op-station","from":0}\n'
                      '{"size":0,"checkpoint":"none"}\n')
    return {"ledger": ledger, "export": export, "proof": proof,
            "profile": profile,
            "batch": "op-batch", "station": "op-station",
            "group": "op-group", "schema": schema, "csv": csv, "csr": path, "device": "op-enrolled",
            "token": token["id"], "serial": "0" * 32,
            "webhook": hook.json["id"], "key": key.json["id"]}


def pattern(path):
    """/devices/{id} as it is asked for; a tile's path has parts."""
    return re.compile("(/api/v1)?" + re.sub(
        r"{(\w+)}", lambda m: ".+" if m[1] == "path" else "[^/]+", path))


# by a client certificate alone, which is not handed through: test_own_cert.py
@pytest.mark.parametrize("name", [n for n in COMMANDS if n != "renewKey"])
def test_the_command_reaches_it(name, recorder, made):
    """With whatever answer: that is others' tests."""
    method, path = OPERATIONS[name]
    argv = [a.format(**made) for a in COMMANDS[name].split(" ")]
    asked, p = recorder(*argv)
    assert any(m == method and pattern(path).fullmatch(at.split("?")[0])
               for m, at in asked), (asked, p)


def test_a_change_is_made_to_the_version_that_was_seen(world):
    hook = json.loads(world.cli("--json", "webhook", "create",
                                "https://localhost:9/v").stdout)
    one = hook["version"]
    new = json.loads(world.cli(
        "--json", "webhook", "change", hook["id"], "--batch", "yes",
        "--types", "token.minted,device.", "--if-version", one).stdout)
    assert new["batch"] and new["types"] == ["token.minted", "device."]
    assert new["url"] == "https://localhost:9/v"
    for argv in (["webhook", "change", hook["id"], "--batch", "no"],
                 ["webhook", "pause", hook["id"]],
                 ["webhook", "remove", hook["id"]]):
        p = world.cli(*argv, "--if-version", one, check=False)
        assert p.returncode == 5 and "changed" in p.stderr, p
    p = world.cli("webhook", "change", hook["id"], "--batch", "maybe",
                  check=False)
    assert p.returncode == 2, p
    new = json.loads(world.cli("--json", "webhook", "change", hook["id"],
                               "--types", "").stdout)
    assert new["types"] == [] and new["batch"]
    world.cli("device", "create", "op-version", "--product", "thermo")
    shown = json.loads(world.cli("--json", "device", "show",
                                 "op-version").stdout)["version"]
    update = ["device", "update", "op-version", "--if-version", shown,
              "--attributes"]
    world.cli(*update, '{"a":1}')
    p = world.cli(*update, '{"a":2}', check=False)
    assert p.returncode == 5, p
    assert world.rest("GET", "/devices/op-version").json["attributes"] == {
        "a": 1}


def test_a_receipt_by_its_index(world):
    out, key = world.dir / "entry.receipt", world.dir / "entry.key"
    key.write_text(world.cli("ledger", "key").stdout)
    world.cli("ledger", "receipt", "0", "--out", out)
    said = json.loads(world.cli("--json", "ledger", "verify-receipt", out,
                                "--key", key).stdout)
    assert said["verified"] and said["index"] == 0
    p = world.cli("ledger", "receipt", "99999999", check=False)
    assert p.returncode != 0 and p.stdout == ""


def test_whoami(world):
    me = json.loads(world.cli("--json", "key", "whoami").stdout)
    assert "admin" in me["roles"]
    assert me["id"] == world.rest("GET", "/whoami").json["id"]


def test_what_a_server_says_of_profiles(world):
    path = world.dir / "loaded.conf"
    path.write_text('profile "spare" {\n\tissuer = "nobody"\n}\n')
    p = world.cli("profile", "check", path, "--loaded", check=False)
    assert "no such issuer" in p.stdout, p
    p = world.cli("profile", "check", world.conf, "--loaded", check=False)
    assert p.returncode == 2 and "profile blocks alone" in p.stderr, p


def test_what_is_not_named_is_emptied(world):
    world.cli("device", "create", "op-whole", "--product", "thermo",
              "--attributes", '{"a":1}')
    world.cli("device", "update", "op-whole", "--product", "thermo",
              "--replace")
    got = world.rest("GET", "/devices/op-whole").json
    assert "attributes" not in got, got


def test_entries_as_they_are_listed(world):
    p = world.cli("--json", "ledger", "entries", "--listed", "--limit", "2")
    assert [e["index"] for e in json.loads(p.stdout)] == [0, 1]
    for wrong in (["--listed", "--since", "0"], ["--after", "0"]):
        p = world.cli("ledger", "entries", *wrong, check=False)
        assert p.returncode == 2, p
