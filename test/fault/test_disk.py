"""Full and read-only disks: nothing signed that cannot be recorded, and all
goes on when there is room again.  Needs root for its own small tmpfs."""
import os
import subprocess

import pytest

from promises import Witness
from world import World

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs a mount")


class Small:
    """A tmpfs of so many KiB over a world's folder, in place."""

    def __init__(self, path, kib):
        self.path, self.kib = path, kib

    def __enter__(self):
        keep = f"{self.path}.keep"
        os.rename(self.path, keep)
        st = os.stat(keep)
        os.mkdir(self.path)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.kib}k",
                        "tmpfs", self.path], check=True)
        subprocess.run(["cp", "-a", f"{keep}/.", self.path], check=True)
        os.chown(self.path, st.st_uid, st.st_gid)
        return self

    def fill(self):
        """Until nothing fits; removing the file makes room again."""
        with open(f"{self.path}/filler", "wb", buffering=0) as f:
            for size in (1 << 16, 1 << 12, 1):
                try:
                    while True:
                        f.write(b"x" * size)
                except OSError:
                    pass

    def room(self):
        os.unlink(f"{self.path}/filler")

    def remount(self, how):
        subprocess.run(["mount", "-o", f"remount,{how}", self.path],
                       check=True)

    def __exit__(self, *exc):
        subprocess.run(["umount", "-l", self.path], check=True)


def devices(w, t, n, prefix):
    for i in range(n):
        name = f"{prefix}-{i}"
        t.csr[name] = w.key_and_csr(name)[1]
        t.token[name] = w.token(name, door="bearer")
        yield name


@pytest.mark.parametrize("which", ["server", "signer"])
def test_a_full_disk_refuses_and_loses_nothing(which):
    with World(profile="\tbearer = true") as w, \
            Small(w.state / which, 40000) as disk:
        w.start().product()
        t = Witness(w)
        names = list(devices(w, t, 60, "F"))
        for n in names[:4]:
            t.got(n, w.enrol_basic(t.token[n], t.csr[n]))
        disk.fill()
        refused = 0  # a file's last page may still have room for some
        for n in names[4:]:
            a = w.enrol_basic(t.token[n], t.csr[n])
            t.got(n, a)
            refused += a.status == 503
            if refused == 4:
                break
        assert refused == 4, "a full disk went unnoticed"
        disk.room()
        w.wait_ready()
        for n in names[4:]:
            a = w.enrol_basic(t.token[n], t.csr[n])
            assert a.status == 200, (n, a)
            t.got(n, a)
        t.check()
        w.stop()


@pytest.mark.parametrize("which", ["server", "signer"])
def test_a_read_only_disk_is_said_at_the_start(which):
    with World(profile="\tbearer = true") as w, \
            Small(w.state / which, 40000) as disk:
        w.start().product()
        t = Witness(w)
        names = list(devices(w, t, 4, "R"))
        t.got(names[0], w.enrol_basic(t.token[names[0]], t.csr[names[0]]))
        w.stop()
        disk.remount("ro")
        w.start(wait=False)
        assert w.daemon.wait(30) != 0
        assert "ead-only" in w.log()
        w.daemon = None
        disk.remount("rw")
        w.start()
        for n in names:
            a = w.enrol_basic(t.token[n], t.csr[n])
            assert a.status == 200, a
            t.got(n, a)
        t.check()
        w.stop()
