#!/usr/bin/env python3
"""check_samples.py PROGRAM TYPE...: OpenSSL, GnuTLS and Python judge our
output, for issuers and leaves of these key types (p256 among them).

No command has a time of its own: on a busy machine an RSA key may take a
minute.  Whoever runs the test says how long all of it may take.
"""
import base64
import concurrent.futures
import hashlib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

AT = "1795392000"  # the fixture's NOW
TYPES = sys.argv[2:]
N = int(os.environ["SCRYPT_N"])  # a build for faults seals cheaply
REVOKED = {"p384", "rsa2048"}


def run(*args, status=0, **kw):
    """Standard output and error of a command that must end with status."""
    done = subprocess.run([str(a) for a in args], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, **kw)
    assert done.returncode == status, (args, done.returncode, done.stdout)
    return done.stdout


def verify(ca, leaf, *more, status=0):
    return run("openssl", "verify", "-x509_strict", "-attime", AT, "-CAfile",
               ca, *more, leaf, status=status)


def faketime():
    """The library itself: the program of this name keeps a semaphore named by
    its pid, and dies where a killed one of the same pid has left its own."""
    found = sorted(Path("/usr/lib").rglob("libfaketime.so.1"))
    assert found, "libfaketime is not installed"
    return {"LD_PRELOAD": str(found[0]), "FAKETIME": "2026-11-23 00:00:00",
            "TZ": "UTC", "PATH": "/usr/bin:/bin"}


def gnutls(ca, leaf, *more, status=0):
    return run("certtool", "--verify", "--verify-profile", "low",
               "--load-ca-certificate", ca, *more, "--infile", leaf,
               status=status, env=FAKED)


def check_issuer(folder, issuer):
    ca = folder / f"ca-{issuer}.pem"
    crl = folder / f"crl-{issuer}.pem"
    empty = folder / f"crl-empty-{issuer}.pem"
    verify(ca, ca)
    for key in TYPES:
        leaf = folder / f"leaf-{issuer}-{key}.pem"
        verify(ca, leaf, "-purpose", "sslclient")
        gnutls(ca, leaf)
        verify(ca, leaf, "-crl_check", "-CRLfile", empty)
        said = verify(ca, leaf, "-crl_check", "-CRLfile", crl,
                      status=2 if key in REVOKED else 0)
        assert key not in REVOKED or "certificate revoked" in said, said
        gnutls(ca, leaf, "--load-crl", crl,
               status=1 if key in REVOKED else 0)
        text = run("openssl", "x509", "-noout", "-text", "-in", leaf)
        encipher = "Key Encipherment" in text
        assert encipher == key.startswith("rsa"), (key, text)
    text = run("openssl", "crl", "-noout", "-text", "-CAfile", ca, "-in", crl)
    assert "verify OK" in text and "Key Compromise" in text, text
    assert text.count("Reason Code") == 1, text
    said = run("openssl", "pkcs7", "-print_certs", "-noout", "-in",
               folder / f"p7-{issuer}.pem")
    assert "CN = Acme LDevID issuer" in said, said


def extensions(text):
    """Name to (critical, value) of what openssl x509 -text prints."""
    found = re.findall(r"^ {12}(\S.*?): ?(critical)?\n((?: {16}.*\n?)+)",
                       text, re.M)
    return {name: (bool(critical), value.strip())
            for name, critical, value in found}


def check_matter(folder):
    verify(folder / "ca.pem", folder / "matter.pem")
    text = run("openssl", "x509", "-noout", "-text", "-in",
               folder / "matter.pem")
    assert ("Subject: CN = ACME Matter DAC SN-1, 1.3.6.1.4.1.37244.2.1 = FFF1,"
            " 1.3.6.1.4.1.37244.2.2 = 8000\n") in text, text
    ext = extensions(text)
    assert set(ext) == {"X509v3 Authority Key Identifier",
                        "X509v3 Subject Key Identifier", "X509v3 Key Usage",
                        "X509v3 Basic Constraints"}, ext
    assert ext["X509v3 Key Usage"] == (True, "Digital Signature"), ext
    assert ext["X509v3 Basic Constraints"] == (True, "CA:FALSE"), ext
    assert "ecdsa-with-SHA256" in text and "prime256v1" in text, text
    der = run("openssl", "asn1parse", "-in", folder / "matter.pem")
    assert len(re.findall(r"UTF8STRING +:(FFF1|8000)", der)) == 2, der


def check_leaf(folder):
    text = run("openssl", "x509", "-noout", "-text", "-in",
               folder / "leaf-p256-p256.pem")
    for want in ["Subject: O = Acme, CN = SN-1, serialNumber = SN-1",
                 "DNS:SN-1.dev.example, URI:urn:dev:ser:SN-1",
                 "Policy: 1.3.6.1.4.1.55555.1",
                 "URI:http://pki.example.com/crl/ldevid/",
                 "CA Issuers - URI:http://pki.example.com/issuer/ldevid.cer",
                 "1.3.6.1.4.1.55555.2",
                 "X509v3 Extended Key Usage: \n"
                 "                TLS Web Client Authentication"]:
        assert want in text, (want, text)
    der = run("openssl", "asn1parse", "-in", folder / "leaf-p256-p256.pem")
    assert "PRINTABLESTRING   :SN-1" in der and "UTF8STRING        :Acme" in der


def check_others(folder):
    dates = run("openssl", "asn1parse", "-in", folder / "idevid.pem")
    assert "GENERALIZEDTIME   :99991231235959Z" in dates, dates
    verify(folder / "ca.pem", folder / "server.pem", "-purpose", "sslserver",
           "-verify_hostname", "localhost")
    verify(folder / "ca.pem", folder / "server.pem", "-verify_ip", "::1")
    gnutls(folder / "ca.pem", folder / "server.pem")


def elements(der):
    """The (tag, contents) list of concatenated DER."""
    out = []
    while der:
        tag, n, at = der[0], der[1], 2
        if n & 0x80:
            at += n & 0x7f
            n = int.from_bytes(der[2:at], "big")
        out.append((tag, der[at:at + n]))
        der = der[at + n:]
    return out


def ghash(key, data):
    """NIST SP 800-38D 6.3, 6.4: bit by bit, independent of any library."""
    y = 0
    for i in range(0, len(data), 16):
        x, v, z = y ^ int.from_bytes(data[i:i + 16], "big"), key, 0
        for bit in range(127, -1, -1):
            z ^= v if x >> bit & 1 else 0
            v = v >> 1 ^ (0xe1 << 120 if v & 1 else 0)
        y = z
    return y


def aes(key, blocks):
    done = subprocess.run(["openssl", "enc", "-aes-256-ecb", "-nopad", "-K",
                           key.hex()], input=blocks, capture_output=True,
                          check=True)
    return done.stdout


def gcm_open(key, nonce, text, tag):
    h = int.from_bytes(aes(key, bytes(16)), "big")
    count = 1 + (len(text) + 15) // 16
    stream = aes(key, b"".join(nonce + (i + 1).to_bytes(4, "big")
                               for i in range(count)))
    padded = text + bytes(-len(text) % 16) + (8 * len(text)).to_bytes(16, "big")
    want = ghash(h, padded) ^ int.from_bytes(stream[:16], "big")
    assert want == int.from_bytes(tag, "big"), "tag"
    return bytes(a ^ b for a, b in zip(text, stream[16:]))


def check_sealed(folder):
    """RFC 8018, RFC 7914 and RFC 5084 read here, without our code."""
    pem = (folder / "sealed.pem").read_text()
    body = re.fullmatch(r"-----BEGIN ENCRYPTED PRIVATE KEY-----\n(.*)"
                        r"-----END ENCRYPTED PRIVATE KEY-----\n", pem, re.S)
    (_, whole), = elements(base64.b64decode(body[1]))
    (_, alg), (_, text) = elements(whole)
    (_, pbes2), (_, params) = elements(alg)
    assert pbes2.hex() == "2a864886f70d01050d"
    (_, kdf), (_, cipher) = elements(params)
    (_, scrypt), (_, cost) = elements(kdf)
    assert scrypt.hex() == "2b06010401da47040b"
    salt, n, r, p, size = [v for _, v in elements(cost)]
    n, r, p, size = (int.from_bytes(v, "big") for v in (n, r, p, size))
    assert (n, r, p, size, len(salt)) == (N, 8, 1, 32, 16)
    (_, gcm), (_, gcm_params) = elements(cipher)
    assert gcm.hex() == "60864801650304012e"
    nonce, icv = [v for _, v in elements(gcm_params)]
    assert len(nonce) == 12 and icv == b"\x10"
    key = hashlib.scrypt(b"open sesame", salt=salt, n=n, r=r, p=p,
                         maxmem=1 << 27, dklen=32)
    plain = gcm_open(key, nonce, text[:-16], text[-16:])
    pem = (folder / "plain.pem").read_text().splitlines()
    assert plain == base64.b64decode("".join(pem[1:-1]))


def main():
    with tempfile.TemporaryDirectory() as name, \
            concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        folder = Path(name)
        run(sys.argv[1], folder, *TYPES)
        jobs = [pool.submit(check_issuer, folder, i) for i in TYPES]
        jobs += [pool.submit(check, folder) for check in (
            check_leaf, check_matter, check_others, check_sealed)]
        for job in jobs:
            job.result()


FAKED = faketime()
main()
