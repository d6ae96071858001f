"""Places for a device's key that is in no file: a TPM in software, a token of
SoftHSM, and what a program needs to use it: OpenSSL's module mintmark-key."""
import contextlib
import os
import pathlib
import shutil
import sys

from world import BUILD, ROOT, run

sys.path.append(str(ROOT / "test/unit/signer"))
from swtpm import Tpm  # noqa: E402

MODULE = BUILD / "src/provider/mintmark-key.so"
SOFTHSM = pathlib.Path("/usr/lib/softhsm/libsofthsm2.so")
THERE = {"tpm2": shutil.which("swtpm"),
         "pkcs11": SOFTHSM.exists() and shutil.which("softhsm2-util")}
PIN = "4471-pin"

CNF = """openssl_conf = openssl_init

[openssl_init]
providers = provider_sect

[provider_sect]
default = default_sect
mintmark-key = mintmark_sect

[default_sect]
activate = 1

[mintmark_sect]
activate = 1
"""
# An agent loads the provider by itself, by what the section says.
AGENT_CNF = CNF.replace("activate = 1", "")


class Place:
    """env: of an agent; other: of a program that uses its keys; line: what
    their openssl.cnf says of the place."""

    def __init__(self, folder, line):
        self.dir = pathlib.Path(folder)
        self.dir.mkdir()
        self.line = line
        self.cnf = self.dir / "openssl.cnf"
        self.cnf.write_text(CNF + line)
        (self.dir / "agent.cnf").write_text(AGENT_CNF + line)
        self.env = {**os.environ, "OPENSSL_MODULES": str(MODULE.parent),
                    "OPENSSL_CONF": str(self.dir / "agent.cnf")}

    @property
    def other(self):
        return {**self.env, "OPENSSL_CONF": str(self.cnf)}

    def openssl(self, *argv, **kw):
        return run("openssl", *argv, env=self.other, **kw)

    def close(self):
        pass


class InTpm(Place):
    name = "tpm2"

    def __init__(self, folder, more=""):
        super().__init__(folder, f"tpm-device = {folder}/chip/device\n")
        self.tpm = Tpm(self.dir / "chip")
        self.uri = f"tpm2:device={self.tpm.path}{more}"
        self.tcti = f"device:{self.tpm.path}"

    def tool(self, *argv, **kw):
        """One of tpm2-tools'; they are not needed but for looking."""
        return run(*argv, env={**os.environ, "TPM2TOOLS_TCTI": self.tcti},
                   **kw)

    def kept(self):
        """The handles of what is in it for good (TPM 2.0 part 3, 30.2)."""
        fd = os.open(self.tpm.path, os.O_RDWR | os.O_NOCTTY)
        try:
            os.write(fd, bytes.fromhex("8001 00000016 0000017a 00000001"
                                       "81000000 00000040"))
            answer = os.read(fd, 4096)
        finally:
            os.close(fd)
        assert answer[6:10] == bytes(4), answer
        n = int.from_bytes(answer[15:19], "big")
        return [answer[19 + 4 * i:23 + 4 * i].hex() for i in range(n)]

    @contextlib.contextmanager
    def away(self):
        self.tpm.stop()
        yield
        self.tpm.start()

    def close(self):
        self.tpm.stop()


class InToken(Place):
    name = "pkcs11"

    def __init__(self, folder):
        super().__init__(folder, f"pkcs11-module = {SOFTHSM}\n")
        tokens = self.dir / "tokens"
        tokens.mkdir()
        conf = self.dir / "softhsm2.conf"
        conf.write_text(f"directories.tokendir = {tokens}\nlog.level = ERROR\n")
        self.env["SOFTHSM2_CONF"] = str(conf)
        # LeakSanitizer falls over what p11-kit has unloaded
        self.env["ASAN_OPTIONS"] = ":".join(filter(None, [
            os.environ.get("ASAN_OPTIONS"), "detect_leaks=0"]))
        self.pin = self.dir / "pin"
        self.pin.write_text(PIN + "\n")
        self.pin.chmod(0o600)
        self.init_token()
        self.uri = (f"pkcs11:token=device?pin-source={self.pin}&"
                    f"module-path={SOFTHSM}")

    def init_token(self):
        run("softhsm2-util", "--init-token", "--free", "--label", "device",
            "--so-pin", "12345678", "--pin", PIN, env=self.env)

    @contextlib.contextmanager
    def away(self):
        tokens = self.dir / "tokens"
        tokens.rename(self.dir / "pulled")
        tokens.mkdir()
        yield
        tokens.rmdir()
        (self.dir / "pulled").rename(tokens)

    def objects(self):
        """What is in it, as another program sees it: files of the token."""
        return len(list(self.dir.glob("tokens/*/*.object"))) - 1
