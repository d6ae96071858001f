#!/usr/bin/env python3
"""What an issuance takes with SQLite, with PostgreSQL, and with three nodes
over one PostgreSQL, all on this machine: how many a second, and whose CPU.

    cluster.py [-n ISSUANCES] [--times N] [--in-flight N ...] [--json]

Devices enrol over kept-open connections, so many in flight in all; with
several nodes asked, spread over them.  Where a node has a name, it commits a
reservation before it signs: the last rows say what that second commit takes.
SQLite and PostgreSQL lie on the same disk.  Five minutes; the best of a few
runs counts, because a neighbour only ever adds.
"""
import argparse
import contextlib
import json
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "integration"))
sys.path.insert(0, str(HERE))
import world as W  # noqa: E402
from bench import enrol, mint  # noqa: E402
from events import cpu_us  # noqa: E402
from nodes import Cluster  # noqa: E402
from postgres import Postgres  # noqa: E402

WHO = ("server", "signer", "postgresql")
ALONE, NAMED = "PostgreSQL, one node", "PostgreSQL, one node, reserving"


def family(pid):
    """A process and all beneath it."""
    out, left = [], [pid]
    while left:
        pid = left.pop()
        with contextlib.suppress(FileNotFoundError):
            text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
            left += [int(p) for p in text.split()]
            out.append(pid)
    return out


def reaped_us(pid):
    """CPU time of children that have ended."""
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    ticks = sum(int(x) for x in stat.split()[13:15])  # cutime, cstime
    return ticks * 1e4


class Site:
    """Nodes that run, those of them that are asked, their database's server.
    """

    def __init__(self, what, nodes, asked, pg=None):
        self.what, self.nodes, self.asked, self.pg = what, nodes, asked, pg
        self.batch = 0

    def cpu(self):
        kids = [w.children() for w in self.nodes]
        out = {"server": cpu_us([k["server"] for k in kids]),
               "signer": cpu_us([k["signer"] for k in kids])}
        if self.pg:
            pid = self.pg.server.pid
            out["postgresql"] = cpu_us(family(pid)) + reaped_us(pid)
        return out

    def issued(self):
        return [w.rest("GET", "/status").json["since_start"]["issued"]
                for w in self.nodes]

    def load(self, n, flight):
        self.batch += 1
        # devices of one database are told apart by who asked for them
        csv = mint(self.nodes[0], f"{len(self.asked)}-{self.batch}", n)
        before = self.issued()
        run = enrol(self.nodes[0], [w.devices for w in self.asked], self.cpu,
                    "open", csv, flight)
        issued = [a - b for a, b in zip(self.issued(), before)]
        assert sum(issued) == n, (self.what, issued)
        for w, count in zip(self.nodes, issued):  # who is asked, issues
            assert (count > 0) == (w in self.asked), (self.what, issued)
        run["issued"] = issued
        run["us"] = sum(run.get(who, 0) for who in WHO)
        return {"what": self.what, "in_flight": flight, **run}


def rows(site, n, times, flights):
    site.load(max(n // 4, 1), 16)  # warms caches, files, statements
    for flight in (f for f in flights if f >= len(site.asked)):
        count = max(n if flight > 1 else n // 4, 1)
        yield min((site.load(count, flight) for _ in range(times)),
                  key=lambda r: r["us"])


def ready(nodes):
    for w in nodes:
        w.set_conf("log_level", '"warn"')
        w.set_conf("connections_per_source", 2000)
        w.start()
    nodes[0].product()
    return nodes


def measure(*how):
    """Row after row."""
    with W.World(profile="\tbearer = true") as w:
        yield from rows(Site("SQLite, one node", ready([w]), [w]), *how)
    with Postgres(where=tempfile.gettempdir()) as pg:
        with W.World(profile="\tbearer = true", database=pg.database()) as w:
            yield from rows(Site(ALONE, ready([w]), [w], pg), *how)
        with Cluster(pg.database(), 1) as c:
            yield from rows(Site(NAMED, ready(c.nodes), c.nodes, pg), *how)
        with Cluster(pg.database(), 3) as c:
            nodes = ready(c.nodes)
            yield from rows(Site("PostgreSQL, three nodes, one asked", nodes,
                                 nodes[:1], pg), *how)
            yield from rows(Site("PostgreSQL, three nodes, all asked", nodes,
                                 nodes, pg), *how)


def reservation(table):
    """What the second commit takes, by how many are in flight."""
    by = {(r["what"], r["in_flight"]): r for r in table}
    out = []
    for (what, flight), with_it in by.items():
        if what == NAMED:
            without = by[ALONE, flight]
            out.append({"in_flight": flight, **{
                k: with_it[k] - without[k]
                for k in (*WHO, "us", "p50_ms", "per_s")}})
    return out


def show(table, more):
    print(f"{'issuance':34} {'flying':>6} {'per s':>6} {'us CPU':>6} "
          f"{'server':>6} {'signer':>6} {'pgsql':>6} {'floor':>6} {'x':>5} "
          f"{'p50 ms':>7} {'p99 ms':>7}")
    for r in table:
        pgsql = f"{r['postgresql']:6.0f}" if "postgresql" in r else ""
        print(f"{r['what']:34} {r['in_flight']:6} {r['per_s']:6.0f} "
              f"{r['us']:6.0f} {r['server']:6.0f} {r['signer']:6.0f} "
              f"{pgsql:>6} {r['floor_us']:6.1f} "
              f"{r['us'] / r['floor_us']:5.2f} {r['p50_ms']:7.2f} "
              f"{r['p99_ms']:7.2f}")
    for r in more:
        print(f"{'the reservation, more':34} {r['in_flight']:6} "
              f"{r['per_s']:6.0f} {r['us']:6.0f} {r['server']:6.0f} "
              f"{r['signer']:6.0f} {r['postgresql']:6.0f} {'':6} {'':5} "
              f"{r['p50_ms']:7.2f}")


def main():
    ap = argparse.ArgumentParser(prog="cluster.py")
    ap.add_argument("-n", type=int, default=4000, help="issuances a run")
    ap.add_argument("--times", type=int, default=3, help="runs a row")
    ap.add_argument("--in-flight", type=int, nargs="+", default=[64, 16, 1])
    ap.add_argument("--json", action="store_true")
    a = ap.parse_args()
    table = list(measure(a.n, a.times, a.in_flight))
    more = reservation(table)
    if a.json:
        print(json.dumps({"issuance": table, "reservation": more}))
    else:
        show(table, more)


if __name__ == "__main__":
    sys.exit(main())
