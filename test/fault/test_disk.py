"""Full and read-only disks: nothing signed that cannot be recorded, and all
goes on when there is room again.  Needs root for its own small tmpfs."""
import os
import subprocess

import pytest

from promises import PROFILE, Witness
from world import World, until

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
        self.mount()
        subprocess.run(["cp", "-a", f"{keep}/.", self.path], check=True)
        subprocess.run(["sync", "-f", self.path], check=True)
        os.chown(self.path, st.st_uid, st.st_gid)
        os.chmod(self.path, st.st_mode & 0o7777)
        return self

    def mount(self):
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.kib}k",
                        "tmpfs", self.path], check=True)

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


@pytest.mark.parametrize("which", ["server", "signer"])
def test_a_full_disk_refuses_and_loses_nothing(which):
    with World(profile=PROFILE) as w, \
            Small(w.state / which, 40000) as disk:
        w.start().product()
        t = Witness(w)
        names = t.enlist([f"F-{i}" for i in range(60)])
        names += t.veterans([f"FV-{i}" for i in range(4)])
        names.insert(4, names.pop())
        for n in names[:5]:
            t.got(n, t.ask(n))
        disk.fill()
        refused = 0  # a file's last page may still have room for some
        for n in names[5:]:
            a = t.ask(n)
            t.got(n, a)
            refused += a.status == 503
            if refused == 4:
                break
        assert refused == 4, "a full disk went unnoticed"
        t.nothing_is_signed(names[-6:])
        disk.room()
        w.wait_ready()
        # the server may hear a moment later that its signer issues again; n
        # was refused, so that this is signed and no repetition
        until(lambda: t.ask(n).status == 200)
        for n in names[5:]:
            a = t.ask(n)
            assert a.status == 200, (n, a)
            t.got(n, a)
        t.check()
        w.stop()


@pytest.mark.parametrize("which", ["server", "signer"])
def test_a_read_only_disk_is_said_at_the_start(which):
    with World(profile=PROFILE) as w, \
            Small(w.state / which, 40000) as disk:
        w.start().product()
        t = Witness(w)
        names = t.enlist([f"R-{i}" for i in range(4)])
        names += t.veterans([f"RV-{i}" for i in range(2)])
        t.got(names[0], t.ask(names[0]))
        w.stop()
        disk.remount("ro")
        w.start(wait=False)
        assert w.daemon.wait(30) != 0
        assert "ead-only" in w.log()
        w.daemon = None
        disk.remount("rw")
        w.start()
        for n in names:
            a = t.ask(n)
            assert a.status == 200, a
            t.got(n, a)
        t.check()
        w.stop()
