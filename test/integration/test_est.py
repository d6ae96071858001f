"""EST (RFC 7030, RFC 8951) as real clients speak it: curl, strongSwan,
OpenSSL, GnuTLS, and others' habits byte for byte."""
import base64
import hashlib
import re
import shutil
import socket
import ssl
import subprocess
import textwrap

import pytest

from tokens import http_request, psk, s_client, token_request
from world import World, basic_of, run, serial_of, x509

EST = "/.well-known/est"
PKCS10 = "application/pkcs10"


def basic(token):
    user, secret = basic_of(token["token"])
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()


def b64(path, width=64, end="\n"):
    """A request's base64 in lines; width 0: one."""
    text = base64.b64encode(path.read_bytes()).decode()
    if not width:
        return text.encode()
    return (end.join(textwrap.wrap(text, width)) + end).encode()


def certs_of(body):
    """PEM of a base64 certs-only PKCS#7."""
    p = subprocess.run(["openssl", "pkcs7", "-inform", "DER", "-print_certs"],
                       input=base64.b64decode(body), capture_output=True,
                       check=True)
    return re.findall("-----BEGIN.*?-----END CERTIFICATE-----",
                      p.stdout.decode(), re.S)


def enrolled(w, name, **kw):
    """(certificate, key) of a device that has confirmed."""
    key, csr = w.key_and_csr(name, **kw)
    a = w.enrol_basic(w.token(name, door="bearer"), csr)
    assert a.status == 200, a
    pem = w.save_p7(a, name)
    a = w.device_call("POST", "/.well-known/mintmark/confirm", b"",
                      cert=pem, key=key)
    assert a.status == 204, a
    return pem, key


# ---- what anyone may read ----

@pytest.mark.parametrize("path", [EST + "/cacerts", EST + "/thermo/cacerts"])
def test_cacerts(world, path):
    a = world.device_call("GET", path)
    assert a.status == 200
    assert a.headers["content-type"] == "application/pkcs7-mime"
    assert a.headers["content-transfer-encoding"] == "base64"
    assert int(a.headers["content-length"]) == len(a.body)
    assert max(map(len, a.text.splitlines())) == 64
    pems = certs_of(a.body)
    assert world.anchor.read_text().strip() in [p.strip() for p in pems]


def test_csrattrs(world):
    a = world.device_call("GET", EST + "/thermo/csrattrs")
    assert a.status in (200, 204), a
    if a.status == 200:
        assert a.headers["content-type"] == "application/csrattrs"
        p = run("openssl", "asn1parse", "-inform", "DER", "-in",
                write(world, "csrattrs", base64.b64decode(a.body)))
        assert "SEQUENCE" in p.stdout


def test_csrattrs_without_a_label():
    """Of the default label; where there is none the product decides, and what
    it will be of is not known of a client that has not said who it is."""
    with World() as w:
        w.start()
        a = w.device_call("GET", EST + "/csrattrs")
        assert a.status == 204 and a.body == b"", a
        labelled = w.device_call("GET", EST + "/thermo/csrattrs")
        assert labelled.status == 200
        w.stop()
        w.set_conf("default_label", '"thermo"')
        w.start()
        a = w.device_call("GET", EST + "/csrattrs")
        assert a.status == 200 and a.body == labelled.body, a


def write(world, name, data):
    path = world.dir / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("method, path, status", [
    ("GET", EST + "/nosuch/cacerts", 404),
    ("GET", EST + "/UPPER/cacerts", 404),
    ("GET", EST + "/" + "x" * 40 + "/cacerts", 404),
    ("POST", EST + "/fullcmc", 404),
    ("POST", EST + "/cacerts", 405),
    ("GET", EST + "/simpleenroll", 405),
    ("GET", EST, 404),
])
def test_paths(world, method, path, status):
    a = world.device_call(method, path, b"" if method == "POST" else None)
    assert a.status == status, a
    if status == 405:
        assert a.headers["allow"]


# ---- bodies ----

LAYOUTS = {
    "64 columns": lambda p: b64(p),
    "76 columns, CRLF": lambda p: b64(p, 76, "\r\n"),
    "one line": lambda p: b64(p, 0),
    "one line, LF": lambda p: b64(p, 0) + b"\n",
    "PEM": lambda p: run("openssl", "req", "-inform", "DER", "-in",
                         p).stdout.encode(),
    "DER": lambda p: p.read_bytes(),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("more", [
    {}, {"Content-Transfer-Encoding": "base64"},
    {"Content-Type": PKCS10 + "; charset=us-ascii"}])
def test_every_layout_gets_the_same_certificate(world, layout, more, request):
    name = "LAY-" + hashlib.sha256(
        request.node.name.encode()).hexdigest()[:12]
    t = world.token(name, door="bearer")
    csr = world.key_and_csr(name)[1]
    head = {"Content-Type": PKCS10, "Authorization": basic(t), **more}
    a = world.device_call("POST", EST + "/simpleenroll", LAYOUTS[layout](csr),
                          head)
    assert a.status == 200, a
    assert a.headers["content-type"] == \
        "application/pkcs7-mime; smime-type=certs-only"
    assert world.enrol_basic(t, csr).body == a.body
    pem = world.save_p7(a, name)
    assert f"CN={name}" in x509(pem, "-subject", "-nameopt", "RFC2253")
    run("openssl", "verify", "-x509_strict", "-CAfile", world.anchor,
        "-untrusted", chain(world), pem)


def chain(world):
    a = world.device_call("GET", EST + "/cacerts")
    return write(world, "chain.pem", "\n".join(certs_of(a.body)).encode())


def test_chunked_and_expect_and_1_0(world):
    """globalsign/est sends chunks, curl a 100-continue, old ones HTTP/1.0."""
    for name, how in [("CH-1", ["-H", "Transfer-Encoding: chunked"]),
                      ("CH-2", ["-H", "Expect: 100-continue"]),
                      ("CH-3", ["--http1.0"])]:
        t = world.token(name, door="bearer")
        csr = world.key_and_csr(name)[1]
        body = write(world, name + ".b64", b64(csr))
        user, secret = basic_of(t["token"])
        p = run("curl", "-sS", "--cacert", world.anchor, "-u",
                f"{user}:{secret}", "-H", f"Content-Type: {PKCS10}",
                "--data-binary", f"@{body}", *how, "-w", "%{http_code}",
                "-o", world.dir / "out",
                f"https://localhost:{world.devices}{EST}/simpleenroll")
        assert p.stdout == "200", (name, p)


@pytest.mark.parametrize("what, body, head, status, says", [
    ("no type", b"AA", {}, 415, "application/pkcs10"),
    ("wrong type", b"AA", {"Content-Type": "text/plain"}, 415, "pkcs10"),
    ("empty", b"", {"Content-Type": PKCS10}, 400, "malformed-request"),
    ("not base64", b"!!!!", {"Content-Type": PKCS10}, 400,
     "malformed-request"),
    ("not a request", b"MAMCAQA=", {"Content-Type": PKCS10}, 400,
     "malformed-request"),
    ("too long", None, {"Content-Type": PKCS10}, 413, ""),
])
def test_wrong_bodies_spend_nothing(world, what, body, head, status, says):
    name = "WB-" + what.replace(" ", "-")
    body = b"A" * 20000 if body is None else body
    t = world.token(name, door="bearer")
    a = world.device_call("POST", EST + "/simpleenroll", body,
                          {"Authorization": basic(t), **head})
    assert a.status == status and says in a.text, a
    assert a.headers["content-type"].startswith("text/plain")
    assert world.rest("GET", f"/tokens/{t['id']}").json["state"] == "minted"


def test_a_request_not_signed_with_its_own_key(world):
    t = world.token("POP-1", door="bearer")
    der = bytearray(world.key_and_csr("POP-1")[1].read_bytes())
    der[-1] ^= 1
    a = world.device_call("POST", EST + "/simpleenroll",
                          base64.b64encode(bytes(der)),
                          {"Authorization": basic(t), "Content-Type": PKCS10})
    assert a.status == 400, a
    assert world.rest("GET", f"/tokens/{t['id']}").json["state"] == "minted"


@pytest.mark.parametrize("kind", ["p384", "rsa", "ed25519"])
def test_a_key_type_that_the_profile_does_not_take(world, kind):
    t = world.token(f"KT-{kind}", door="bearer")
    a = world.enrol_basic(t, world.key_and_csr(f"KT-{kind}", kind=kind)[1])
    assert a.status == 403 and "key-type-not-allowed" in a.text, a


def der(tag, *parts):
    body = b"".join(parts)
    n = len(body)
    head = bytes([n]) if n < 128 else \
        bytes([0x80 | (n.bit_length() + 7) // 8]) + \
        n.to_bytes((n.bit_length() + 7) // 8, "big")
    return bytes([tag]) + head + body


def algorithm(oid):
    return der(0x30, der(6, bytes.fromhex(oid)))


def ml_dsa(oid, key_n, signature_n):
    """A request as a client with OpenSSL 3.5 makes it, by RFC 9881 4 and 5:
    in all but its numbers."""
    info = der(0x30, der(2, b"\0"), der(0x30), der(
        0x30, algorithm(oid), der(3, b"\0" + b"\x5a" * key_n)), der(0xa0))
    return der(0x30, info, algorithm(oid),
               der(3, b"\0" + b"\xa5" * signature_n))


ML_DSA = {"ML-DSA-44": ("608648016503040311", 1312, 2420),
          "ML-DSA-65": ("608648016503040312", 1952, 3309),
          "ML-DSA-87": ("608648016503040313", 2592, 4627)}


@pytest.mark.parametrize("name", ML_DSA)
def test_an_ml_dsa_request_hears_what_is_missing(world, name):
    """OpenSSL 3.0 cannot verify it; the client can do something about it."""
    request = ml_dsa(*ML_DSA[name])
    t = world.token(f"PQ-{name}", door="bearer")
    csr = write(world, "pq.der", request)
    said = f"{name} is not accepted: want P-256, P-384, Ed25519 or RSA"
    a = world.enrol_basic(t, csr)
    assert a.status == 403 and "key-type-not-allowed" in a.text, a
    assert said in a.text
    a = world.rest("POST", f"/devices/PQ-{name}/enrol",
                   {"csr": base64.b64encode(request).decode()})
    assert a.status == 403 and said in a.json["detail"], a
    assert world.rest("GET", f"/tokens/{t['id']}").json["state"] == "minted"


def test_a_signature_of_another_kind_is_named(world):
    """A good key, and over it a signature that nobody here can verify."""
    was = world.key_and_csr("PQ-S")[1].read_bytes()
    ecdsa = bytes.fromhex("300a06082a8648ce3d040302")
    assert was.count(ecdsa) == 1
    info = was[2 if was[1] < 128 else 2 + (was[1] & 0x7f):was.rindex(ecdsa)]
    csr = write(world, "pqs.der", der(
        0x30, info, algorithm(ML_DSA["ML-DSA-65"][0]),
        der(3, b"\0" + b"\xa5" * 3309)))
    t = world.token("PQ-S", door="bearer")
    a = world.enrol_basic(t, csr)
    assert a.status == 403, a
    assert "a signature by ML-DSA-65 is not accepted" in a.text


def test_pem_is_taken_and_noted(world):
    for layout, noted in [("PEM", True), ("64 columns", False)]:
        name = f"NOTE-{len(layout)}"
        t = world.token(name, door="bearer")
        csr = world.key_and_csr(name)[1]
        a = world.device_call(
            "POST", EST + "/simpleenroll", LAYOUTS[layout](csr),
            {"Content-Type": PKCS10, "Authorization": basic(t)})
        assert a.status == 200, a
        line = f"event=pem-request id={a.headers['x-request-id']} "
        assert (line in world.log()) == noted, layout


# ---- who asks ----

def test_401_offers_basic_where_the_profile_allows_it(world):
    csr = world.key_and_csr("NA-1")[1]
    a = world.device_call("POST", EST + "/simpleenroll", b64(csr),
                          {"Content-Type": PKCS10})
    assert a.status == 401 and a.body == b""
    assert a.headers["www-authenticate"].startswith("Basic realm=")
    a = world.device_call("POST", EST + "/simpleenroll", b64(csr),
                          {"Content-Type": PKCS10,
                           "Authorization": "Basic bW0xLXg6eA=="})
    assert a.status == 401 and "reason: " in a.text


def test_403_where_it_does_not():
    with World() as w:
        w.start().product()
        csr = w.key_and_csr("NB-1")[1]
        for path in (EST + "/simpleenroll", EST + "/thermo/simpleenroll"):
            a = w.device_call("POST", path, b64(csr),
                              {"Content-Type": PKCS10})
            assert a.status == 403 and "www-authenticate" not in a.headers
            assert "reason: " in a.text
        a = w.device_call("POST", EST + "/simpleenroll", b64(csr),
                          {"Content-Type": PKCS10,
                           "Authorization": "Basic bW0xLTAwOng="})
        assert a.status == 403 and "token-needs-handshake" in a.text


def test_a_token_with_its_own_devices_certificate(world):
    """The token is the authority; the certificate agrees with it."""
    pem, key = enrolled(world, "TC-1")
    t = world.token("TC-1", door="bearer")
    csr = world.key_and_csr("TC-1b", cn="TC-1")[1]
    a = world.device_call("POST", EST + "/simpleenroll", b64(csr),
                          {"Content-Type": PKCS10, "Authorization": basic(t)},
                          cert=pem, key=key)
    assert a.status == 200, a
    c = world.rest("GET",
                   f"/certificates/{serial_of(world.save_p7(a, 'TC-1b'))}")
    assert c.json["authority"] == f"token:{t['id']}"


def test_a_refusal_is_two_lines_for_people(world):
    t = world.token("RF-1")
    a = world.enrol_basic(t, world.key_and_csr("RF-1")[1])
    first, second = a.text.splitlines()
    assert first == "reason: token-needs-handshake"
    assert second.endswith(".") and len(second) > 20
    assert a.headers["content-type"].startswith("text/plain")


# ---- renewal ----

def reenrol(w, pem, key, csr, label=""):
    return w.device_call("POST", f"{EST}/{label}simplereenroll", b64(csr),
                         {"Content-Type": PKCS10}, cert=pem, key=key)


@pytest.mark.parametrize("label", ["", "thermo/"])
def test_renewal_replaces_and_the_old_one_works_until_then(world, label):
    name = "RN-" + (label.strip("/") or "default")
    pem, key = enrolled(world, name)
    key2, csr2 = world.key_and_csr(name + "b", cn=name)
    a = reenrol(world, pem, key, csr2, label)
    assert a.status == 200, a
    assert reenrol(world, pem, key, csr2, label).body == a.body
    pem2 = world.save_p7(a, name + "b")
    state = lambda p: world.rest(
        "GET", f"/certificates/{serial_of(p)}").json["state"]
    assert (state(pem), state(pem2)) == ("confirmed", "issued")
    assert world.device_call("GET", "/.well-known/mintmark/receipt", cert=pem,
                             key=key).status == 200
    assert world.device_call("POST", "/.well-known/mintmark/confirm", b"",
                             cert=pem2, key=key2).status == 204
    assert (state(pem), state(pem2)) == ("superseded", "confirmed")
    again = reenrol(world, pem, key, world.key_and_csr(name + "c",
                                                       cn=name)[1], label)
    assert again.status == 403 and "clone-suspected" in again.text, again


def test_any_use_of_the_certificate_confirms_it(world):
    key, csr = world.key_and_csr("CF-1")
    pem = world.save_p7(world.enrol_basic(
        world.token("CF-1", door="bearer"), csr), "CF-1")
    a = world.device_call("GET", EST + "/cacerts", cert=pem, key=key)
    assert a.status == 200
    conn = world.https(world.devices, pem, key)
    for _ in range(100):  # not waited for by the request itself
        c = world.rest("GET", f"/certificates/{serial_of(pem)}").json
        if c["state"] == "confirmed":
            break
        world.ask(conn, "GET", EST + "/csrattrs")
    conn.close()
    assert c["state"] == "confirmed"


def test_renewal_names(world):
    pem, key = enrolled(world, "NM-1")
    csr = world.key_and_csr("NM-2", cn="somebody-else")[1]
    a = reenrol(world, pem, key, csr)
    assert a.status == 403 and "names-differ" in a.text, a


def test_renewal_with_the_same_key_is_the_profiles_word(world):
    pem, key = enrolled(world, "SK-1")
    a = reenrol(world, pem, key, world.dir / "SK-1.csr")
    assert a.status == 403 and "same-key-not-allowed" in a.text, a


def test_an_operational_certificate_does_not_enrol(world):
    pem, key = enrolled(world, "LD-1")
    csr = world.key_and_csr("LD-1b", cn="LD-1")[1]
    a = world.device_call("POST", EST + "/simpleenroll", b64(csr),
                          {"Content-Type": PKCS10}, cert=pem, key=key)
    assert a.status == 403 and "not-an-idevid" in a.text, a


IDEVID = """
profile "factory" {
	kind = "idevid"
	issuer = "issuing"
	lifetime = "10y"
	bearer = true
}
"""


def test_idevid_to_ldevid():
    """Factory certificate by token, operational one by mutual TLS with it."""
    with World(profile="\tbearer = true", extra=IDEVID) as w:
        w.start()
        a = w.rest("POST", "/products", {
            "name": "thermo", "ldevid_profile": "thermo",
            "idevid_profile": "factory"})
        assert a.status == 201, a
        t = w.token("ID-1", door="bearer", profile="factory")
        key, csr = w.key_and_csr("ID-1")
        a = w.enrol_basic(t, csr, label="factory")
        assert a.status == 200, a
        pem = w.save_p7(a, "ID-1")
        key2, csr2 = w.key_and_csr("ID-1b", cn="ID-1")
        a = w.device_call("POST", EST + "/simpleenroll", b64(csr2),
                          {"Content-Type": PKCS10}, cert=pem, key=key)
        assert a.status == 200, a
        c = w.rest("GET", "/certificates/" +
                   serial_of(w.save_p7(a, "ID-1b"))).json
        assert c["profile"].startswith("thermo@") and not c["idevid"]
        a = reenrol(w, pem, key, w.key_and_csr("ID-1c", cn="ID-1")[1])
        assert a.status == 403 and "idevid-cannot-renew" in a.text, a


# ---- serverkeygen ----

def test_serverkeygen(world):
    t = world.token("KG-1", door="bearer")
    csr = world.key_and_csr("KG-1")[1]
    a = world.enrol_basic(t, csr, path="serverkeygen")
    assert a.status == 200, a
    kind, boundary = a.headers["content-type"].split("; boundary=")
    assert kind == "multipart/mixed"
    parts = a.body.split(b"--" + boundary.encode())
    assert parts[0] == b"" and parts[3].strip() == b"--"
    heads = [p.split(b"\r\n\r\n")[0].decode() for p in parts[1:3]]
    assert "application/pkcs8" in heads[0]
    assert "application/pkcs7-mime; smime-type=certs-only" in heads[1]
    bodies = [base64.b64decode(p.split(b"\r\n\r\n")[1]) for p in parts[1:3]]
    key = write(world, "kg.key", bodies[0])
    pem = write(world, "kg.crt", certs_of(base64.b64encode(
        bodies[1]))[0].encode())
    pub = run("openssl", "pkey", "-inform", "DER", "-in", key, "-pubout"
              ).stdout
    assert pub == x509(pem, "-pubkey")
    c = world.rest("GET", f"/certificates/{serial_of(pem)}").json
    assert c["key_origin"] == "server"


def test_serverkeygen_is_the_profiles_word():
    with World(profile="\tbearer = true") as w:
        w.start().product()
        a = w.enrol_basic(w.token("KG-2", door="bearer"),
                          w.key_and_csr("KG-2")[1], path="serverkeygen")
        assert a.status == 403, a


# ---- one JSON call ----

def test_json_enrol(world):
    t = world.token("JS-1", door="bearer")
    csr = run("openssl", "req", "-inform", "DER", "-in",
              world.key_and_csr("JS-1")[1]).stdout
    body = {"csr": csr, "label": "thermo"}
    import json
    a = world.device_call("POST", "/api/v1/enrol", json.dumps(body),
                          {"Content-Type": "application/json",
                           "Authorization": basic(t)})
    assert a.status == 200, a
    got = a.json
    pem = write(world, "js.crt", got["certificate"].encode())
    assert serial_of(pem) == got["serial"] and got["device"] == "JS-1"
    assert got["chain"].startswith("-----BEGIN CERTIFICATE-----")
    assert got["replayed"] is False and got["index"] > 0
    bad = world.device_call("POST", "/api/v1/enrol", "{}",
                            {"Content-Type": "application/json"})
    assert bad.status == 400 and bad.json["reason"] == "malformed-request"
    assert bad.headers["content-type"] == "application/problem+json"


# ---- tls-unique and the exporter ----

def csr_with_challenge(w, name, challenge):
    key, csr = w.dir / f"{name}.key", w.dir / f"{name}.csr"
    conf = w.dir / f"{name}.cnf"
    conf.write_text("[req]\nprompt=no\ndistinguished_name=dn\n"
                    "attributes=at\n[dn]\nCN=" + name + "\n[at]\n"
                    "challengePassword=" + challenge + "\n")
    run("openssl", "req", "-new", "-nodes", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-config", conf, "-keyout", key,
        "-outform", "DER", "-out", csr)
    return csr


NO_EXTENDED_MASTER_SECRET = 1  # SSL_OP_...; Python has no name for it


def conn_1_2(w, options=0):
    ctx = w.tls()
    ctx.maximum_version = ssl.TLSVersion.TLSv1_2
    ctx.options |= options
    import http.client
    c = http.client.HTTPSConnection("127.0.0.1", w.devices, context=ctx)
    c.connect()
    return c


@pytest.mark.parametrize("right", [True, False])
def test_tls_unique(world, right):
    name = f"TU-{right}"
    t = world.token(name, door="bearer")
    conn = conn_1_2(world)
    unique = conn.sock.get_channel_binding("tls-unique")
    if not right:
        unique = bytes(12)
    csr = csr_with_challenge(world, name, base64.b64encode(unique).decode())
    a = world.enrol_basic(t, csr, conn=conn)
    conn.close()
    assert a.status == (200 if right else 403), a
    if not right:
        assert "channel-binding-missing-or-wrong" in a.text


def test_tls_unique_counts_with_extended_master_secret_only(world):
    """Without, two connections can have the same one (RFC 7627 1)."""
    t = world.token("TU-3", door="bearer")
    csr = csr_with_challenge(world, "TU-3",
                             base64.b64encode(bytes(12)).decode())
    conn = conn_1_2(world, NO_EXTENDED_MASTER_SECRET)
    assert world.enrol_basic(t, csr, conn=conn).status == 200
    conn.close()


def by_exporter(w, name, wrong):
    """The answer to a request with its connection's RFC 9266 binding."""
    t = w.token(name, door="bearer")
    p = subprocess.Popen(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{w.devices}",
         "-CAfile", w.anchor, "-tls1_3", "-ign_eof", "-keymatexport",
         "EXPORTER-Channel-Binding", "-keymatexportlen", "32"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL)
    with p:
        for line in p.stdout:
            if b"Keying material: " in line:
                break
        value = bytes.fromhex(line.split()[-1].decode())
        if wrong:
            value = bytes([value[0] ^ 1]) + value[1:]
        csr = csr_with_challenge(w, name, base64.b64encode(value).decode())
        return p.communicate(http_request(
            "POST", EST + "/simpleenroll", b64(csr), Content_Type=PKCS10,
            Authorization=basic(t)), timeout=60)[0].decode()


def test_the_exporter_where_the_profile_wants_it():
    with World(profile="bearer = true\n\trequire_tls_exporter = true") as w:
        w.start().product()
        assert "HTTP/1.1 200 OK" in by_exporter(w, "BX-1", wrong=False)
        missing = w.enrol_basic(w.token("BX-3", door="bearer"),
                                w.key_and_csr("BX-3")[1])
        for said in (by_exporter(w, "BX-2", wrong=True),
                     f"{missing.status} {missing.text}"):
            assert "403" in said and \
                "channel-binding-missing-or-wrong" in said, said


def test_another_challenge_is_ignored(world):
    t = world.token("TU-2", door="bearer")
    csr = csr_with_challenge(world, "TU-2", "hello")
    assert world.enrol_basic(t, csr).status == 200


# ---- real clients ----

def curl(world, token, csr, *more):
    user, secret = basic_of(token["token"])
    body = write(world, "curl.b64", b64(csr))
    return run("curl", "-sS", "--cacert", world.anchor, "-u",
               f"{user}:{secret}", "-H", f"Content-Type: {PKCS10}",
               "--data-binary", f"@{body}", "-w", "%{http_code}", "-o",
               world.dir / "curl.out", *more,
               f"https://localhost:{world.devices}{EST}/simpleenroll").stdout


@pytest.mark.parametrize("more", [
    [], ["--tls-max", "1.2"],
    ["--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"],
    ["--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-CHACHA20-POLY1305"]])
def test_curl(world, more, request):
    name = "CU-" + hashlib.sha256(request.node.name.encode()).hexdigest()[:8]
    t = world.token(name, door="bearer")
    assert curl(world, t, world.key_and_csr(name)[1], *more) == "200"


@pytest.mark.skipif(not shutil.which("pki"), reason="strongswan-pki")
def test_strongswan():
    """5.9.8 cannot read wrapped bodies and sends no label."""
    with World(profile="\tbearer = true") as w:
        w.set_conf("est_wrap", "false")
        if "est_wrap" not in w.conf.read_text():
            w.conf.write_text("est_wrap = false\n" + w.conf.read_text())
        w.start().product()
        t = w.token("SW-1", door="bearer")
        user, secret = basic_of(t["token"])
        key = w.dir / "sw.key"
        run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-outform", "DER", "-out", key)
        req = subprocess.run(
            ["pki", "--req", "--in", str(key), "--type", "ecdsa", "--dn",
             "CN=SW-1"], capture_output=True, check=True).stdout
        csr = write(w, "sw.req", req)
        anchor = write(w, "root.der", ssl.PEM_cert_to_DER_cert(
            w.anchor.read_text()))
        a = w.device_call("GET", EST + "/cacerts")
        sub = certs_of(a.body)
        issuing = [ssl.PEM_cert_to_DER_cert(p) for p in sub
                   if p.strip() != w.anchor.read_text().strip()]
        more = []
        for i, der in enumerate(issuing):
            more += ["--cacert", str(write(w, f"sub{i}.der", der))]
        p = subprocess.run(
            ["pki", "--est", "--url", f"https://localhost:{w.devices}",
             "--in", str(csr), "--cacert", str(anchor), *more, "--userpass",
             f"{user}:{secret}"], capture_output=True, timeout=60)
        assert p.returncode == 0, p.stderr
        pem = w.dir / "sw.crt"
        run("openssl", "x509", "-inform", "DER", "-in",
            write(w, "sw.der", p.stdout), "-out", pem)
        assert "CN=SW-1" in x509(pem, "-subject", "-nameopt", "RFC2253")


GNUTLS_13 = ("NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:"
             "+CHACHA20-POLY1305:+ECDHE-PSK:+PSK")


@pytest.mark.skipif(not shutil.which("gnutls-cli"), reason="gnutls-bin")
def test_gnutls_by_token(world):
    """On 1.3 only: gnutls-cli 3.7.9 crashes while it prints an ECDHE-PSK
    handshake of 1.2 that succeeded."""
    t = world.token("GN-1")
    identity, key = psk(t["token"])
    csr = world.key_and_csr("GN-1")[1]
    req = http_request("POST", EST + "/simpleenroll", b64(csr),
                       Content_Type=PKCS10)
    p = subprocess.run(
        ["gnutls-cli", "--no-ca-verification", "--pskusername", identity,
         "--pskkey", key, "--priority", GNUTLS_13, "--logfile", "/dev/null",
         "-p", str(world.devices), "127.0.0.1"], input=req,
        capture_output=True, timeout=30)
    assert b"HTTP/1.1 200" in p.stdout, (p.stdout, p.stderr)


@pytest.mark.skipif(not shutil.which("gnutls-cli"), reason="gnutls-bin")
def test_gnutls_by_certificate(world):
    pem, key = enrolled(world, "GN-C")
    req = http_request("GET", "/.well-known/mintmark/receipt")
    p = subprocess.run(
        ["gnutls-cli", "--x509cafile", str(world.anchor), "--x509certfile",
         str(pem), "--x509keyfile", str(key), "--logfile", "/dev/null", "-p",
         str(world.devices), "localhost"], input=req, capture_output=True,
        timeout=30)
    assert b"HTTP/1.1 200" in p.stdout, (p.stdout, p.stderr)


# ---- certificates that are wrong are told so in HTTP ----

def test_a_foreign_certificate_hears_why(world):
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x", "-keyout",
        world.dir / "fx.key", "-out", world.dir / "fx.crt")
    csr = world.key_and_csr("FX-1")[1]
    a = reenrol(world, world.dir / "fx.crt", world.dir / "fx.key", csr)
    assert a.status == 403 and "certificate-unknown" in a.text, a


def test_a_stale_ticket_is_a_certificate_connection(world):
    """A pre_shared_key that is no token of ours does not decide."""
    out = s_client(world.devices, "-psk_identity", "Client_identity", "-psk",
                   "ab" * 32, "-tls1_3", "-CAfile", str(world.anchor))[1]
    assert b"BEGIN CERTIFICATE" in out


def test_token_and_renewal_in_one(world):
    """The whole life with OpenSSL's own client: token, then certificate."""
    t = world.token("OS-1")
    key, csr = world.key_and_csr("OS-1")
    out = token_request(world.devices, t["token"], http_request(
        "POST", EST + "/simpleenroll", b64(csr), Content_Type=PKCS10))[1]
    assert b"200 OK" in out
    pem = write(world, "os.crt", certs_of(
        out.split(b"\r\n\r\n", 1)[1])[0].encode())
    out = s_client(world.devices, "-cert", str(pem), "-key", str(key),
                   "-CAfile", str(world.anchor), "-quiet", "-ign_eof",
                   request=http_request(
                       "POST", "/.well-known/mintmark/confirm"))[1]
    assert b"204 No Content" in out


def test_plain_http_on_the_tls_port_is_no_oracle(world):
    with socket.create_connection(("127.0.0.1", world.devices)) as s:
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"400" in s.recv(4096)
