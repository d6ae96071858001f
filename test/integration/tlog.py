"""A ledger of any entries as a directory, made from the pages of C2SP
(tlog-tiles, tlog-checkpoint, signed-note) and not from src/ledger: what
another release, or somebody else, may have written."""
import base64
import hashlib

from world import run

WIDTH = 256


def leaf(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def nodes(hashes):
    """The next level: full subtrees of 256, by RFC 6962 2.1."""
    return [root(hashes[i:i + WIDTH])
            for i in range(0, len(hashes) // WIDTH * WIDTH, WIDTH)]


def root(hashes):
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while 2 * k < len(hashes):
        k *= 2
    return hashlib.sha256(b"\1" + root(hashes[:k]) + root(hashes[k:])).digest()


def tiles(items, folder, join):
    assert len(items) < 1000 * WIDTH  # one group of digits in a path
    for i in range(0, len(items), WIDTH):
        part = items[i:i + WIDTH]
        path = folder / f"{i // WIDTH:03}"
        if len(part) < WIDTH:
            path = folder / f"{i // WIDTH:03}.p" / str(len(part))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(join(part))


def bundle(entries):
    return b"".join(len(e).to_bytes(2, "big") + e for e in entries)


class Log:
    """Of that origin, with an Ed25519 key of its own below folder."""

    def __init__(self, folder, origin="other.example/ledger/1"):
        self.folder, self.origin = folder, origin
        folder.mkdir()
        self.pem = folder.with_suffix(".pem")
        run("openssl", "genpkey", "-algorithm", "ed25519", "-out", self.pem)
        der = folder.with_suffix(".pub")
        run("openssl", "pkey", "-in", self.pem, "-pubout", "-outform", "DER",
            "-out", der)
        public = b"\1" + der.read_bytes()[-32:]
        self.id = hashlib.sha256(origin.encode() + b"\n" + public).digest()[:4]
        self.key = (f"{origin}+{self.id.hex()}+"
                    f"{base64.b64encode(public).decode()}")

    def write(self, entries):
        """Bytes each; all tiles, and a checkpoint over them."""
        hashes = level = [leaf(e) for e in entries]
        tiles(entries, self.folder / "tile/entries", bundle)
        for n in range(8):
            tiles(level, self.folder / f"tile/{n}", b"".join)
            level = nodes(level)
        note = (f"{self.origin}\n{len(entries)}\n"
                f"{base64.b64encode(root(hashes)).decode()}\n")
        text, sig = (self.folder.with_suffix(s) for s in (".note", ".sig"))
        text.write_text(note)
        run("openssl", "pkeyutl", "-sign", "-rawin", "-inkey", self.pem, "-in",
            text, "-out", sig)
        signed = base64.b64encode(self.id + sig.read_bytes()).decode()
        (self.folder / "checkpoint").write_text(
            f"{note}\n\N{EM DASH} {self.origin} {signed}\n", encoding="utf-8")
        (self.folder / "key").write_text(self.key + "\n")
