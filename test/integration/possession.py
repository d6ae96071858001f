"""What a device signs to prove its certificate, made by OpenSSL."""
import base64
import hashlib
import os
import ssl

from keys import sign


def der_of(world, serial):
    return ssl.PEM_cert_to_DER_cert(
        world.rest("GET", f"/certificates/{serial}").json["pem"])


def proof(key, der, serial, hardware=b"1", nonce=None,
          label=b"mintmark-prove"):
    """The body of POST /devices/{id}/proof."""
    nonce = nonce or os.urandom(32)
    signature = sign(key, label + nonce + hardware +
                     hashlib.sha256(der).digest())
    return {"serial": serial, "nonce": nonce.hex(),
            "hardware": hardware.hex(),
            "signature": base64.b64encode(signature).decode()}
