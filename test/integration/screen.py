"""mintmark-station run with its screen and API: who asks it over HTTP."""
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess

from world import no_finding, ROOT, until, World

DOORS = 'screen = "127.0.0.1:0"\napi = "127.0.0.1:0"\napi_plain = true\n'


class Running:
    """A station at work; doors are where its screen and API listen."""

    def __init__(self, station, *argv, stdin=-1):
        self.station = station
        self.log = station.dir / "run.log"
        self.log.write_text("")
        with open(self.log, "w") as log:
            self.p = station.begin("run", *(argv or ["--json"]), stdin=stdin,
                                   stderr=log)
        self.doors = {}
        until(self.find_doors, told=self.log.read_text)

    def find_doors(self):
        assert self.p.poll() is None, self.log.read_text()
        for door, port in re.findall(
                r"event=listening door=(\w+) .* port=(\d+)",
                self.log.read_text()):
            self.doors[door] = int(port)
        want = sum(f"\n{k} =" in "\n" + self.station.conf.read_text()
                   for k in ("screen", "api"))
        return len(self.doors) == want

    def url(self, door="screen"):
        return f"http://127.0.0.1:{self.doors[door]}"

    def connect(self, door="screen"):
        return http.client.HTTPConnection("127.0.0.1", self.doors[door],
                                          timeout=90)

    def call(self, method, path, body=None, key=None, headers=None,
             door=None):
        conn = self.connect(door or ("api" if key else "screen"))
        send = {**({"Content-Type": "application/json"} if body is not None
                   else {}),
                **({"Authorization": f"Bearer {key}"} if key else {}),
                **(headers or {})}
        if isinstance(body, dict):
            body = json.dumps(body)
        try:
            return World.ask(conn, method, path, body,
                             {k: v for k, v in send.items() if v is not None})
        finally:
            conn.close()

    def status(self):
        return self.call("GET", "/api/v1/status").json

    def end(self):
        """The station's last line, once it has ended."""
        if self.p.poll() is None:
            self.p.send_signal(signal.SIGTERM)
        out, _ = self.p.communicate(timeout=60)
        no_finding(self.log.read_text())
        return out

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.end()


def events(text):
    """Of an answer of type text/event-stream: (id, event, data)."""
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines()
                     if ": " in line)
        if "id" in lines or "event" in lines:
            found.append((lines.get("id"), lines.get("event"),
                          json.loads(lines.get("data", "null"))))
    return found


class Browser:
    """Debian's Chromium, driven by test/screen/browser.mjs."""

    def __init__(self):
        modules = ROOT / "var/screen/node_modules"
        assert (modules / "playwright-core").exists(), \
            "script/setup test installs it"
        chromium = shutil.which("chromium")
        assert chromium, "script/setup test installs it"
        self.p = subprocess.Popen(
            ["node", ROOT / "test/screen/browser.mjs", modules, chromium],
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            start_new_session=True)

    def do(self, deed, **more):
        self.p.stdin.write(json.dumps({"do": deed, **more}) + "\n")
        self.p.stdin.flush()
        line = self.p.stdout.readline()
        assert line, "the browser has ended"
        answer = json.loads(line)
        assert "error" not in answer, (deed, more, answer["error"])
        return answer["value"]

    def open(self, url):
        return self.do("open", url=url)

    def scan(self, text):
        self.do("scan", text=text)

    def press(self, *keys):
        for key in keys:
            self.do("press", key=key)

    def until(self, what, seconds=30):
        try:
            self.do("until", what=what, seconds=seconds)
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.text()}") from None

    def get(self, what):
        return self.do("get", what=what)

    def text(self):
        return self.get("document.body.innerText")

    def tile(self, fixture):
        return self.get(TILE % fixture)

    def until_tile(self, fixture, state, seconds=30):
        self.until(f"({TILE % fixture})?.state === '{state}'", seconds)

    def close(self):
        self.p.stdin.close()
        try:
            self.p.wait(20)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.p.pid, signal.SIGKILL)
            self.p.wait()
            self.p.stdout.close()


TILE = """(() => { const t =
    document.querySelector('[data-fixture="%s"]');
    return t && {state: t.dataset.state, text: t.innerText}; })()"""
