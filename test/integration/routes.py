"""What the server answers, from its own table and from its documentation."""
import re

from world import DAEMON, ROOT, run

API = "/api/v1"


def from_server():
    """{(listener, method, path): roles} as the program lists it."""
    out = {}
    for line in run(DAEMON, "routes").stdout.splitlines():
        listener, method, path, roles = line.split(" ")
        out[listener, method, path] = \
            frozenset() if roles == "-" else frozenset(roles.split(","))
    return out


def pattern(path):
    """/devices/{id}?x= as the table writes it: /devices/:"""
    return "/".join(":" if "{" in s else "*" if s == "..." else s
                    for s in path.split("?")[0].split("/"))


def spread(listener, path, line):
    """All that one path of the documentation stands for."""
    if "[/label]" in path:
        return [path.replace("[/label]", ""), path.replace("[/label]", "/:")]
    if listener != "operators" or path in ("/healthz", "/readyz") or \
            f"without `{API}` only" in line:
        return [path]
    return [API + path] + ([path] if f"without `{API}`" in line else [])


def from_documentation():
    """{(listener, method, path): who}; who is the table's cell."""
    out, listener = {}, "operators"
    for line in (ROOT / "docs/reference/rest.md").read_text().splitlines():
        if line.startswith("## "):
            listener = line.split()[1].lower()
        if not line.startswith("| `"):
            continue
        cell, who = (line.split(" | ") + [""])[:2]
        for method, path in re.findall(r"`([A-Z]+) (/[^`]+)`", cell):
            everywhere = ("devices", "operators", "public") \
                if "all listeners" in cell else (listener,)
            for at in everywhere:
                for p in spread(at, pattern(path), line):
                    out[at, method, p] = who
    return out
