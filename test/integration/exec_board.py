#!/usr/bin/env python3
"""A fixture's program: a board in a folder (the job's "port"), its key a file,
everything by openssl.  A file "mood" there makes it misbehave."""
import base64
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

job = json.loads(sys.stdin.readline())
board = pathlib.Path(job["port"])
key, cert = board / "key", board / "cert"
mood = (board / "mood").read_text().split() if (board / "mood").exists() \
    else ["", ""]


def openssl(*argv, **kw):
    return subprocess.run(["openssl", *map(str, argv)], capture_output=True,
                          check=True, **kw).stdout


def public():
    return openssl("pkey", "-in", key, "-pubout", "-outform", "DER")


def der(pem):
    return openssl("x509", "-outform", "DER", input=pem.encode())


def hello():
    out = {"hardware": "e5b00001", "firmware": "exec 1",
           "locked": (board / "locked").exists()}
    if key.exists():
        out["spki_sha256"] = hashlib.sha256(public()).hexdigest()
    if cert.exists():
        out["cert_sha256"] = hashlib.sha256(cert.read_bytes()).hexdigest()
    return out


def make_key():
    if not key.exists():
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-out", key)
    return {"public_key": base64.b64encode(public()).decode()}


def csr():
    out = openssl("req", "-new", "-key", key, "-subj", "/CN=board",
                  "-outform", "DER")
    return {"csr": base64.b64encode(out).decode()}


def commit():
    new = der(job["certificate"])
    assert hashlib.sha256(new).hexdigest() == job["cert_sha256"]
    assert job["chain"].count("BEGIN CERTIFICATE") >= 1
    (board / "chain").write_text(job["chain"])
    cert.write_bytes(new)
    return {}


def prove():
    (board / "text").write_bytes(
        b"mintmark-prove" + bytes.fromhex(job["nonce"]) +
        bytes.fromhex("e5b00001") +
        hashlib.sha256(cert.read_bytes()).digest())
    sig = openssl("dgst", "-sha256", "-sign", key, board / "text")
    return {"signature": base64.b64encode(sig).decode()}


def lock():
    (board / "locked").touch()
    return {}


def get():
    pems = (board / "chain").read_text().split("-----BEGIN CERT")[1:]
    chain = b"".join(der("-----BEGIN CERT" + p) for p in pems)
    return {"certificate": base64.b64encode(cert.read_bytes()).decode(),
            "chain": base64.b64encode(chain).decode()}


STEPS = {"hello": hello, "read-back": hello, "check": hello, "key": make_key,
         "csr": csr, "put": dict, "commit": commit, "prove": prove,
         "lock": lock, "get": get}
if job["step"] == "selftest" and (board / "tool").exists():
    # Without that file it is a program that does not know the question.
    with open(board / "asked", "a") as f:
        f.write(json.dumps(job) + "\n")
    how = (board / "tool").read_text()
    if how == "hang":
        time.sleep(600)
    print(how)
    sys.exit(0)
print("a log line of", job["step"], flush=True)
if mood[0] == job["step"]:
    if mood[1] == "hang":
        # A child that would go on alone.
        p = subprocess.Popen(["sleep", "600"])
        (board / "child").write_text(str(p.pid))
        time.sleep(600)
    elif mood[1] == "flood":
        while True:
            print("x" * 1000)
    elif mood[1] == "garbage":
        sys.exit('{"result":')
    elif mood[1] == "fail":
        print('{"result":"failed","reason":"no-room","note":"full"}')
        sys.exit(0)
    elif mood[1] == "lie":
        print(json.dumps({"result": "done", **STEPS["prove"](),
                          "signature": "MAYCAQECAQE="}))
        sys.exit(0)
    elif mood[1] == "renew":
        # The station's signer ends meanwhile, and begins anew.
        line = pathlib.Path(f"/proc/{os.getppid()}/task")
        for pid in " ".join(p.read_text() for p in line.glob(
                "*/children")).split():
            if b"mintmark-signer" in pathlib.Path(
                    f"/proc/{pid}/cmdline").read_bytes():
                os.kill(int(pid), signal.SIGKILL)
    elif mood[1] == "status":
        print(json.dumps({"result": "done", **STEPS[job["step"]]()}))
        sys.exit(3)
print(json.dumps({"result": "done", **STEPS[job["step"]]()}))
