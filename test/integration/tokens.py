"""Tokens and their handshake, independently of the product's own code."""
import hashlib
import hmac
import subprocess
import time

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
INFO = {
    (False, "1.3"): b"mintmark token tls13 sha256 v1",
    (False, "1.2"): b"mintmark token tls12 v1",
    (True, "1.3"): b"mintmark test token tls13 sha256 v1",
    (True, "1.2"): b"mintmark test token tls12 v1",
}


def base32(text, n):
    value = 0
    for c in text:
        value = value << 5 | ALPHABET.index(c)
    return (value >> (len(text) * 5 - n * 8)).to_bytes(n, "big")


def to_base32(data, digits):
    value = int.from_bytes(data, "big") << (digits * 5 - len(data) * 8)
    return "".join(ALPHABET[value >> (5 * (digits - 1 - i)) & 31]
                   for i in range(digits))


def parts(text):
    """identity, id bytes, secret bytes of a token's text form."""
    digits = text[4:].replace("-", "").replace(" ", "")
    return "mm1-" + digits[:20], base32(digits[:20], 12), \
        base32(digits[20:52], 20)


def psk(text, version="1.3"):
    identity, ident, secret = parts(text)
    info = INFO[bool(ident[0] & 0x80), version]
    prk = hmac.new(b"\0" * 32, secret, hashlib.sha256).digest()
    return identity, hmac.new(prk, info + b"\1", hashlib.sha256).hexdigest()


def s_client(port, *argv, request=b"", timeout=60, env=None):
    """openssl s_client as a device: (exit status, output, what it said).  It
    would read the system's 140 anchors, which takes longer than all else."""
    p = subprocess.run(
        ["openssl", "s_client", "-no-CAfile", "-no-CApath", "-no-CAstore",
         "-connect", f"127.0.0.1:{port}", "-servername", "localhost", *argv],
        input=request,
        capture_output=True, timeout=timeout, env=env)
    return p.returncode, p.stdout, p.stderr.decode("utf-8", "replace")


def http_request(method, path, body=b"", **headers):
    head = [f"{method} {path} HTTP/1.1", "Host: localhost",
            "Connection: close", f"Content-Length: {len(body)}"]
    head += [f"{k.replace('_', '-')}: {v}" for k, v in headers.items()]
    return ("\r\n".join(head) + "\r\n\r\n").encode() + body


LATE = "alert internal error"  # the token's key did not come in time


def token_request(port, text, request, version="1.3", more=(), seconds=60):
    """One HTTP exchange over a token's handshake; the answer's bytes.  On a
    busy machine the signer may be late for a handshake, which nothing waits
    for; as any device, this one comes again."""
    end = time.monotonic() + seconds
    while True:
        got = handshake_request(port, text, request, version, more)
        if LATE not in got[2] or time.monotonic() > end:
            return got
        time.sleep(0.05)


def handshake_request(port, text, request, version, more):
    identity, key = psk(text, version)
    how = ["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"] \
        if version == "1.3" else \
        ["-tls1_2", "-cipher", "ECDHE-PSK-CHACHA20-POLY1305"]
    return s_client(port, "-psk_identity", identity, "-psk", key, *how,
                    "-quiet", "-ign_eof", *more, request=request)
