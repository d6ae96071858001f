"""What a relying party's tests need: devices with certificates, which are then
revoked."""
import uuid

from world import run


def device(world, prefix):
    """Its name, certificate and key."""
    name = f"{prefix}-{uuid.uuid4().hex[:8]}"
    key, csr = world.key_and_csr(name)
    a = world.enrol_basic(world.token(name, door="bearer"), csr)
    assert a.status == 200, a
    return name, world.save_p7(a, name), key


def serial(crt):
    out = run("openssl", "x509", "-in", crt, "-noout", "-serial").stdout
    return out.strip().split("=")[1].lower()


def revoke(world, crt, reason="keyCompromise"):
    world.cli("cert", "revoke", serial(crt), "--reason", reason)


def page(port, crt, key):
    """What a server on that port gives to a device."""
    return run("curl", "-sk", "--cert", crt, "--key", key,
               f"https://127.0.0.1:{port}/", check=False).stdout


def issuer(world):
    """The issuing CA's certificate, as it is published."""
    der = world.dir / "issuing.cer"
    der.write_bytes(world.get_public("/issuer/issuing.cer").body)
    return run("openssl", "x509", "-inform", "DER", "-in", der).stdout
