#!/usr/bin/env python3
"""The token handshake against openssl s_server: taken, refused, bent.

Whatever the server does, the agent either gets a channel that proves the
token on both sides or fails; it never goes on with a certificate.
"""
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from servers import (TEST_TOKEN, TOKEN, make_files, psk,  # noqa: E402
                     serve)

AGENT = os.path.abspath(sys.argv[1])
WRONG = "00" * 32
SUITE_12 = ["-tls1_2", "-cipher", "ECDHE-PSK-CHACHA20-POLY1305"]
CERT = ["-cert", "cert.pem", "-key", "key.pem"]


# what, server's options, agent's options, token, exit, words
ROWS = [
    ("1.3, right token: on to the anchor, which is not the token's",
     psk(TOKEN, TOKEN["psk13"]) + ["-nocert", "-tls1_3"], [], TOKEN, 3,
     "anchor"),
    ("1.3 with ChaCha20", psk(TOKEN, TOKEN["psk13"]) +
     ["-nocert", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"], [], TOKEN,
     3, "anchor"),
    ("1.2, right token", psk(TOKEN, TOKEN["psk12"]) + ["-nocert"] + SUITE_12,
     ["--tls", "1.2"], TOKEN, 3, "anchor"),
    ("test token, 1.3", psk(TEST_TOKEN, TEST_TOKEN["psk13"]) + ["-nocert"],
     [], TEST_TOKEN, 3, "anchor"),
    ("test token, 1.2", psk(TEST_TOKEN, TEST_TOKEN["psk12"]) + ["-nocert"] +
     SUITE_12, ["--tls", "1.2"], TEST_TOKEN, 3, "anchor"),
    ("1.3, wrong secret", psk(TOKEN, WRONG) + ["-nocert"], [], TOKEN, 8,
     "token refused"),
    ("1.3, wrong secret, and a certificate to fall back to",
     psk(TOKEN, WRONG) + CERT, [], TOKEN, 8, "token refused"),
    ("1.2, wrong secret", psk(TOKEN, WRONG) + ["-nocert"] + SUITE_12,
     ["--tls", "1.2"], TOKEN, 8, "token refused"),
    ("1.3, the key of 1.2", psk(TOKEN, TOKEN["psk12"]) + ["-nocert"], [],
     TOKEN, 8, "token refused"),
    ("1.3, unknown identity: falls back to a certificate",
     psk(TOKEN, TOKEN["psk13"], "mm1-other") + CERT, [], TOKEN, 3,
     "wrong server"),
    ("1.3, a certificate only", CERT, [], TOKEN, 3, "certificate"),
    ("1.2, a certificate only", CERT + ["-tls1_2"], ["--tls", "1.2"], TOKEN,
     3, "wrong server"),
    ("1.2 server, 1.3 wanted", psk(TOKEN, TOKEN["psk12"]) + ["-nocert"] +
     SUITE_12, [], TOKEN, 3, "wrong server"),
    ("SHA-384 first", psk(TOKEN, TOKEN["psk13"]) + CERT +
     ["-serverpref", "-ciphersuites",
      "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256"], [], TOKEN, 3,
     "anchor"),
    ("SHA-384 only", psk(TOKEN, TOKEN["psk13"]) + CERT +
     ["-ciphersuites", "TLS_AES_256_GCM_SHA384"], [], TOKEN, 3,
     "wrong server"),
    ("1.2, plain PSK without forward secrecy",
     psk(TOKEN, TOKEN["psk12"]) + ["-nocert", "-tls1_2", "-cipher",
                                   "PSK-AES128-GCM-SHA256"],
     ["--tls", "1.2"], TOKEN, 3, "wrong server"),
]


def agent(folder, port, token, options):
    secret = folder / "token"
    secret.write_text(token["text"] + "\n")
    return subprocess.run(
        [AGENT, "enrol", "--token-file", secret, "--server",
         "localhost:%d" % port, "--dir", folder / "id", "--retry", "0",
         "--timeout", "10"] + options, capture_output=True, text=True)


def check(what, got, code, words):
    text = got.stdout + got.stderr
    good = got.returncode == code and words in text
    print("%s %s: exit %d, %s" % ("ok  " if good else "FAIL", what,
                                  got.returncode, text.strip()))
    return good


def plain_server():
    """Answers anything with what no TLS client expects."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer():
        peer = listener.accept()[0]
        peer.recv(4096)
        peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        peer.close()

    threading.Thread(target=answer, daemon=True).start()
    return listener


def main():
    good = True
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        make_files(folder)
        for what, server_options, options, token, code, words in ROWS:
            server, port = serve(folder, server_options)
            try:
                got = agent(folder, port, token, options)
            finally:
                server.kill()
                server.wait()
            good &= check(what, got, code, words)
        listener = plain_server()
        port = listener.getsockname()[1]
        good &= check("not TLS", agent(folder, port, TOKEN, []), 3,
                      "wrong server")
        listener.close()
        good &= check("nobody there", agent(folder, port, TOKEN, []), 7,
                      "no connection")
        # RFC 9257: what failed spent nothing, and the key is kept.
        good &= (folder / "token").exists()
        good &= (folder / "id/a/key.pem").stat().st_mode & 0o7777 == 0o600
        good &= not (folder / "id/current").exists()
    return 0 if good else 1


sys.exit(main())
