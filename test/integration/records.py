"""A world's database as somebody sees and changes it who is no Mintmark."""
import contextlib
import re
import sqlite3
import subprocess
import urllib.parse


class Sqlite:
    def __init__(self, world):
        self.path = world.state / "server/mintmark.db"

    def sql(self, text):
        """Runs it; the rows of its answer, as texts."""
        with contextlib.closing(sqlite3.connect(self.path)) as db:
            rows = db.execute(text).fetchall()
            db.commit()
        return [[str(v) for v in row] for row in rows]

    def contents(self):
        """Everything, as it stands there."""
        return b"".join(p.read_bytes() for p in self.path.parent.glob(
            self.path.name + "*") if not p.name.endswith("-shm"))

    @contextlib.contextmanager
    def kept(self):
        """Puts everything back in the end."""
        good = self.path.read_bytes()
        try:
            yield
        finally:
            self.path.write_bytes(good)

    @contextlib.contextmanager
    def held(self):
        """Nobody else can write meanwhile."""
        with contextlib.closing(sqlite3.connect(self.path)) as db:
            db.execute("BEGIN IMMEDIATE")
            yield

    @staticmethod
    def blob(data):
        return f"x'{data.hex()}'"

    @staticmethod
    def hex(column):
        return f"hex({column})"

    @staticmethod
    def text(column):
        return f"CAST({column} AS TEXT)"

    @staticmethod
    def bytes(text):
        return f"CAST({text} AS BLOB)"


class Postgres:
    def __init__(self, world):
        self.url = world.database
        self.name = urllib.parse.urlsplit(self.url).path[1:]
        self.other = self.url.replace(f"/{self.name}?", "/postgres?")

    def _argv(self, url):
        return ["psql", "-qAtX", "-F", "\t", "-v", "ON_ERROR_STOP=1", url]

    def _run(self, url, *commands):
        p = subprocess.run(
            [*self._argv(url), *(a for c in commands for a in ("-c", c))],
            check=True, capture_output=True, text=True)
        return [line.split("\t") for line in p.stdout.splitlines()]

    def sql(self, text):
        return self._run(self.url, "SET search_path = mintmark", text)

    def contents(self):
        text = subprocess.run(["pg_dump", self.url], check=True,
                              capture_output=True).stdout
        return text + b"\n".join(bytes.fromhex(h.decode()) for h in re.findall(
            rb"\\\\x([0-9a-f]+)", text))

    @contextlib.contextmanager
    def kept(self):
        copy = f"{self.name}_kept"
        self._run(self.other, f"CREATE DATABASE {copy} TEMPLATE {self.name}")
        try:
            yield
        finally:
            self._run(self.other, f"DROP DATABASE {self.name}",
                      f"ALTER DATABASE {copy} RENAME TO {self.name}")

    @contextlib.contextmanager
    def held(self):
        with subprocess.Popen(self._argv(self.url), text=True,
                              stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as p:
            p.stdin.write("BEGIN; SELECT id FROM mintmark.meta FOR UPDATE;\n")
            p.stdin.flush()
            assert p.stdout.readline() == "1\n"
            yield
            p.stdin.close()

    @staticmethod
    def blob(data):
        return f"'\\x{data.hex()}'::bytea"

    @staticmethod
    def hex(column):
        return f"encode({column}, 'hex')"

    @staticmethod
    def text(column):
        return f"convert_from({column}, 'UTF8')"

    @staticmethod
    def bytes(text):
        return f"convert_to({text}, 'UTF8')"


def records(world):
    return (Postgres if world.database.startswith("postgresql:") else
            Sqlite)(world)
