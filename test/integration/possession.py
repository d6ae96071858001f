"""What a device signs to prove its certificate, made by openssl."""
import base64
import os
import subprocess
import tempfile

from world import run


def der_of(world, serial):
    pem = world.rest("GET", f"/certificates/{serial}").json["pem"]
    return subprocess.run(["openssl", "x509", "-outform", "DER"],
                          input=pem.encode(), capture_output=True,
                          check=True).stdout


def proof(key, der, serial, hardware=b"1", nonce=None,
          label=b"mintmark-prove"):
    """The body of POST /devices/{id}/proof."""
    nonce = nonce or os.urandom(32)
    digest = subprocess.run(["openssl", "dgst", "-sha256", "-binary"],
                            input=der, capture_output=True,
                            check=True).stdout
    with tempfile.NamedTemporaryFile() as text, \
            tempfile.NamedTemporaryFile() as sig:
        text.write(label + nonce + hardware + digest)
        text.flush()
        run("openssl", "dgst", "-sha256", "-sign", key, "-out", sig.name,
            text.name)
        signature = sig.read()
    return {"serial": serial, "nonce": nonce.hex(),
            "hardware": hardware.hex(),
            "signature": base64.b64encode(signature).decode()}
