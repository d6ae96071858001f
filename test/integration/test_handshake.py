"""The token's handshake: with the token, or not at all.

The client is OpenSSL's own s_client; what it must never get is a certificate
handshake, a resumption, or a hint which part was wrong.
"""
import base64
import re

import pytest

from tokens import http_request, parts, psk, s_client, to_base32, token_request

SHA256_SUITES = "TLS_AES_128_GCM_SHA256"
CACERTS = http_request("GET", "/.well-known/est/cacerts")


def alert(text):
    m = re.search(r"SSL alert number (\d+)", text)
    return int(m.group(1)) if m else None


def shook(out, err):
    """Whether a handshake came to its end, and how."""
    text = out.decode("latin-1") + err
    return {
        "certificate": "BEGIN CERTIFICATE" in text,
        "cipher": (re.findall(r"Cipher is (\S+)", text) or ["?"])[-1],
    }


@pytest.mark.parametrize("version", ["1.3", "1.2"])
def test_a_token_enrols(world, version):
    name = f"HS-{version}"
    t = world.token(name)
    csr = base64.encodebytes(world.key_and_csr(name)[1].read_bytes())
    req = http_request("POST", "/.well-known/est/simpleenroll", csr,
                       Content_Type="application/pkcs10")
    rc, out, err = token_request(world.devices, t["token"], req, version)
    assert b"HTTP/1.1 200" in out, (out, err)
    again = token_request(world.devices, t["token"], req, version)[1]
    assert again.split(b"\r\n\r\n")[1] == out.split(b"\r\n\r\n")[1]


@pytest.mark.parametrize("version", ["1.3", "1.2"])
def test_no_server_certificate_is_sent(world, version):
    identity, key = psk(world.token(f"NC-{version}")["token"], version)
    how = ["-tls1_3", "-ciphersuites", SHA256_SUITES] if version == "1.3" \
        else ["-tls1_2", "-cipher", "ECDHE-PSK-CHACHA20-POLY1305"]
    rc, out, err = s_client(world.devices, "-psk_identity", identity, "-psk",
                            key, *how)
    got = shook(out, err)
    assert not got["certificate"] and got["cipher"] not in ("?", "(NONE)"), \
        (out, err)


def wrong_secret(text):
    identity, _, secret = parts(text)
    return identity, "ab" * 32


def unknown_id(text):
    _, ident, _ = parts(text)
    other = bytes([ident[0]]) + bytes(11)
    return "mm1-" + to_base32(other, 20), "cd" * 32


def unknown_version(text):
    return "mm1-" + to_base32(bytes([0xEE]) + bytes(11), 20), "cd" * 32


WRONG = [wrong_secret, unknown_id, unknown_version]
# what is offered beside the token; none may end in a certificate handshake
OFFERS_13 = {
    "sha-256 suites": ["-tls1_3", "-ciphersuites", SHA256_SUITES],
    "default suites": ["-tls1_3"],
    "sha-384 first": ["-tls1_3", "-ciphersuites",
                      "TLS_AES_256_GCM_SHA384:" + SHA256_SUITES],
    "both versions": [],
}
OFFERS_12 = {
    "psk suite only": ["-tls1_2", "-cipher", "ECDHE-PSK-CHACHA20-POLY1305"],
    "certificate suites too": [
        "-tls1_2", "-cipher", "ECDHE-PSK-CHACHA20-POLY1305:"
        "ECDHE-ECDSA-AES128-GCM-SHA256"],
    "certificate suites first": [
        "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256:"
        "ECDHE-PSK-CHACHA20-POLY1305"],
}


@pytest.mark.parametrize("wrong", WRONG, ids=lambda f: f.__name__)
@pytest.mark.parametrize("offer", OFFERS_13)
def test_wrong_token_fails_alike_on_1_3(world, wrong, offer):
    identity, key = wrong(world.token("W13")["token"])
    rc, out, err = s_client(world.devices, "-psk_identity", identity, "-psk",
                            key, *OFFERS_13[offer])
    assert not shook(out, err)["certificate"], err
    assert alert(err) == 47, err


@pytest.mark.parametrize("wrong", WRONG, ids=lambda f: f.__name__)
@pytest.mark.parametrize("offer", OFFERS_12)
def test_wrong_token_fails_alike_on_1_2(world, wrong, offer):
    identity, key = wrong(world.token("W12")["token"])
    rc, out, err = s_client(world.devices, "-psk_identity", identity, "-psk",
                            key, *OFFERS_12[offer])
    assert not shook(out, err)["certificate"], err
    assert alert(err) == 20, err


def test_the_right_token_with_sha_384_alone_fails(world):
    identity, key = psk(world.token("S384")["token"])
    rc, out, err = s_client(world.devices, "-psk_identity", identity, "-psk",
                            key, "-tls1_3", "-ciphersuites",
                            "TLS_AES_256_GCM_SHA384")
    assert not shook(out, err)["certificate"], (out, err)


def test_wrong_handshakes_are_told_once_an_id_and_hour(world):
    identity, key = wrong_secret(world.token("TOLD")["token"])
    for version in ("-tls1_3", "-tls1_2", "-tls1_3"):
        s_client(world.devices, "-psk_identity", identity, "-psk", key,
                 version)
    lines = [line for line in world.log().splitlines()
             if "handshake-refused" in line and identity in line]
    # the hour may turn between them
    assert 1 <= len(lines) <= 2 and "127.0.0.1" in lines[0], world.log()
    assert key not in world.log()


@pytest.mark.parametrize("identity", ["", "mm1-", "mm1-short", "x" * 300,
                                      "mm1-ABCDEFGHIJKLMNOPQRST",
                                      "mm1-0000000000000000000\x01"])
def test_an_identity_not_of_token_form_is_a_certificate_connection(world,
                                                                   identity):
    if not identity:
        pytest.skip("s_client sends no empty identity")
    rc, out, err = s_client(world.devices, "-psk_identity", identity, "-psk",
                            "ab" * 32, "-tls1_3", "-CAfile",
                            str(world.anchor))
    assert shook(out, err)["certificate"], err
    assert f"token={identity} " not in world.log()


def test_no_tickets_and_no_resumption(world, tmp_path):
    session = tmp_path / "session"
    for version in ("-tls1_3", "-tls1_2"):
        out = s_client(world.devices, version, "-CAfile", str(world.anchor),
                       "-sess_out", str(session))[1]
        assert b"TLS session ticket:" not in out
        if session.exists():
            out = s_client(world.devices, version, "-sess_in", str(session),
                           "-CAfile", str(world.anchor))[1]
            assert b"Reused," not in out


def test_early_data_is_not_taken(world, tmp_path):
    t = world.token("ED-1")
    identity, key = psk(t["token"])
    early = tmp_path / "early"
    early.write_bytes(CACERTS)
    rc, out, err = s_client(world.devices, "-psk_identity", identity, "-psk",
                            key, "-tls1_3", "-ciphersuites", SHA256_SUITES,
                            "-early_data", str(early))
    assert b"Early data was accepted" not in out


def test_token_connection_with_authorization_is_400(world):
    t = world.token("TA-1")
    req = http_request("POST", "/.well-known/est/simpleenroll", b"AAAA",
                       Content_Type="application/pkcs10",
                       Authorization="Basic bW0xOng=")
    out = token_request(world.devices, t["token"], req)[1]
    assert b"HTTP/1.1 400" in out


def test_authenticated_time_and_anchor_come_over_the_token(world):
    t = world.token("TD-1")
    out = token_request(world.devices, t["token"], CACERTS)[1]
    assert b"HTTP/1.1 200" in out and b"Date: " in out


def test_wrong_tokens_do_not_shut_out_the_right_one(world):
    t = world.token("RL-1")
    for _ in range(60):
        identity, key = wrong_secret(t["token"])
        s_client(world.devices, "-psk_identity", identity, "-psk", key,
                 "-tls1_3", "-ciphersuites", SHA256_SUITES)
    out = token_request(world.devices, t["token"], CACERTS)[1]
    assert b"HTTP/1.1 200" in out


@pytest.mark.parametrize("how", [["-tls1_1"], ["-tls1"],
                                 ["-tls1_2", "-cipher", "AES128-SHA"],
                                 ["-tls1_2", "-cipher", "PSK:!kECDHEPSK"],
                                 ["-tls1_2", "-cipher",
                                  "ECDHE-PSK-AES128-CBC-SHA"]])
def test_old_and_weak_is_refused(world, how):
    identity, key = psk(world.token("OW-1")["token"], "1.2")
    rc, out, err = s_client(world.devices, "-psk_identity", identity, "-psk",
                            key, *how, "-cipher", "ALL:@SECLEVEL=0") \
        if how[0] != "-tls1_2" else s_client(
            world.devices, "-psk_identity", identity, "-psk", key, *how)
    assert not shook(out, err)["certificate"]
    assert shook(out, err)["cipher"] in ("(NONE)", "?"), (out, err)
