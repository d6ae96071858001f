"""A token of SoftHSM's in a folder of its own, and a World whose issuing key
is in it."""
import os
import pathlib
import shutil
import subprocess

from world import BUILD, World

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
FAULTY = BUILD / "test/integration/p11fault.so"
PIN = "not-by-chance-2468"
SO_PIN = "13579111"


class Token:
    """One token, "mint".  Its faults are p11fault.c's."""

    def __init__(self, folder):
        self.dir = pathlib.Path(folder) / "softhsm"
        self.store = self.dir / "tokens"
        self.store.mkdir(parents=True)
        self.conf = self.dir / "softhsm2.conf"
        self.conf.write_text(f"directories.tokendir = {self.store}\n"
                             "objectstore.backend = file\n")
        self.pin = self.dir / "pin"
        self.set_pin(PIN)
        self.fault_file = self.dir / "fault"
        self.login_file = self.dir / "logins"
        self.util("--init-token", "--free", "--label", "mint", "--so-pin",
                  SO_PIN, "--pin", PIN)

    def util(self, *argv):
        return subprocess.run(
            ["softhsm2-util", *argv], check=True, capture_output=True,
            text=True, env={**os.environ, "SOFTHSM2_CONF": str(self.conf)})

    def set_pin(self, pin):
        """In the file, by another file, as an editor does it."""
        new = self.dir / "pin.new"
        new.write_text(pin + "\n")
        new.chmod(0o600)
        new.rename(self.pin)

    def give(self, user):
        """To whom the module's process will be: the store and the PIN."""
        for path in (self.dir, *self.dir.rglob("*")):
            shutil.chown(path, user)
        for path in self.dir.parents:
            if path.stat().st_mode & 0o001 == 0 and path != path.parent:
                path.chmod(path.stat().st_mode | 0o011)

    def uri(self, name="issuing", module=MODULE):
        return f"pkcs11:token=mint;object={name}?module-path={module}"

    def remove(self):
        self.store.rename(self.dir / "taken-out")
        self.store.mkdir()

    def put_back(self):
        self.store.rmdir()
        (self.dir / "taken-out").rename(self.store)

    def fault(self, word):
        new = self.dir / "fault.new"
        new.write_text(word)
        new.rename(self.fault_file)

    def logins(self):
        try:
            return self.login_file.stat().st_size
        except FileNotFoundError:
            return 0


def init(token, *more):
    """Arguments for "mintmark init"."""
    return ["--key", token.uri(), "--pin-file", token.pin, "--key-environ",
            f"SOFTHSM2_CONF={token.conf}", *more]


def faulty(world, token):
    """The same key by the module that does as it is told."""
    text = world.conf.read_text()
    text = text.replace(f"module-path={MODULE}", f"module-path={FAULTY}")
    old = f'key_environ = {{ "SOFTHSM2_CONF={token.conf}" }}'
    assert old in text
    world.conf.write_text(text.replace(
        old, f'key_environ = {{ "SOFTHSM2_CONF={token.conf}", '
        f'"P11FAULT={token.fault_file}", "P11LOGINS={token.login_file}" }}'))
    return world


def hsm_world(token, profile="\tbearer = true", **more):
    return World(profile=profile, init=init(token), **more)
