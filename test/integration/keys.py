"""Keys, requests and what is answered, without a process for each: thousands
are made in a run of all tests."""
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID

PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
KINDS = {
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}
# RFC 4514 3 has a short name for one of them
SHORT = {NameOID.COMMON_NAME: "CN", NameOID.ORGANIZATION_NAME: "O",
         NameOID.SERIAL_NUMBER: "serialNumber"}


def hash_for(kind):
    return None if kind == "ed25519" else hashes.SHA256()


def request(cn, kind="p256"):
    """A new key as PEM (PKCS#8) and its request as DER."""
    key = KINDS[kind]()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(
        key, hash_for(kind))
    return (key.private_bytes(PEM, serialization.PrivateFormat.PKCS8,
                              serialization.NoEncryption()),
            csr.public_bytes(DER))


def certificates(p7):
    """Those of a certs-only answer (RFC 7030 4.2.3) as PEM."""
    return b"".join(c.public_bytes(PEM) for c in
                    pkcs7.load_der_pkcs7_certificates(p7)).decode()


def load(path):
    return x509.load_pem_x509_certificate(pathlib.Path(path).read_bytes())


def serial_of(path):
    """Lower-case hex as the API prints it."""
    return f"{load(path).serial_number:032x}"


def spki(public):
    return public.public_bytes(
        DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def subject(cert):
    """Outermost last, as RFC 4514 2.1 has it: each with its value as it is."""
    return [(SHORT[a.oid], a.value) for a in reversed(list(cert.subject))]


def private(data):
    """A key of a PEM or DER file's bytes."""
    if data.startswith(b"-----"):
        return serialization.load_pem_private_key(data, None)
    return serialization.load_der_private_key(data, None)


def sign(key, data):
    """ECDSA with SHA-256, by a PEM file's key."""
    return private(key.read_bytes()).sign(data, ec.ECDSA(hashes.SHA256()))
