"""A list of several pages, of a server that fails at a later one: the rows
before it are printed, nothing says that they are all, and the exit status
tells."""
import contextlib
import http.server
import json
import ssl
import threading

import pytest

from world import MINT, run

DEVICE = {"product": "thermo", "state": "active",
          "created": "2026-11-29T09:00:00.000Z", "version": 1}


def page(first, n, after=None):
    body = {"items": [{"id": f"D-{i}", **DEVICE}
                      for i in range(first, first + n)]}
    return 200, json.dumps({**body, **({"next": after} if after else {})})


def problem(status, slug):
    return status, json.dumps({
        "type": f"https://mintmark.dev/problems/{slug}", "title": slug,
        "status": status, "detail": "not today", "request_id": "0" * 16})


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    where = tmp_path_factory.mktemp("tls")
    crt, key = where / "crt", where / "key"
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", crt,
        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    (where / "api.key").write_text("mmk1_" + "0" * 64 + "\n")
    return where


@contextlib.contextmanager
def server(tls, answers):
    """Gives those answers in turn, the last one again and again; an answer
    without a status is cut."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            status, body = answers[min(len(asked), len(answers) - 1)]
            asked.append(self.path)
            data = body.encode()
            self.send_response(status or 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length",
                             str(len(data) + (0 if status else 10)))
            self.end_headers()
            self.wfile.write(data)
            self.close_connection = not status

        def log_message(self, *args):
            pass

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(tls / "crt", tls / "key")
    made.socket = ctx.wrap_socket(made.socket, server_side=True)
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    try:
        yield made.server_port, asked
    finally:
        made.shutdown()
        made.server_close()
        thread.join()


def list_of(tls, port, *more):
    return run(MINT, "--server", f"https://localhost:{port}", "--ca",
               tls / "crt", "--key-file", tls / "api.key", *more, "device",
               "list", "--limit", "0", check=False)


FAULTS = {  # what the second page is, exit status, and what is said
    "refused": (problem(403, "not-allowed"), 3, "not today"),
    "gone": (problem(404, "not-found"), 4, "not today"),
    "unauthorized": (problem(401, "unauthorized"), 8, "not today"),
    "broken": (problem(500, "internal"), 7, "not today"),
    "no JSON": ((200, '{"items":['), 7, ""),
    "no items": ((200, '{"rows":[]}'), 7, "no page"),
    "no rows": ((200, '{"items":["D-3"]}'), 7, "no row"),
    "cut": ((None, '{"items":[{"id":"D-3"'), 7, ""),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_later_page_that_fails(tls, fault):
    answer, status, says = FAULTS[fault]
    with server(tls, [page(0, 3, "D-2"), answer]) as (port, asked):
        p = list_of(tls, port)
        assert p.returncode == status and says in p.stderr, p
        rows = p.stdout.splitlines()
        assert [r.split()[0] for r in rows[1:]] == ["D-0", "D-1", "D-2"], p
        assert "error" in p.stderr and "more" not in p.stderr, p
        assert "after=D-2" in asked[1], asked
        asked.clear()
        p = list_of(tls, port, "--json")
        assert p.returncode == status, p
        with pytest.raises(json.JSONDecodeError):
            json.loads(p.stdout)
        whole = json.loads(p.stdout.rstrip().rstrip(",") + "]")
        assert [d["id"] for d in whole] == ["D-0", "D-1", "D-2"]
        assert json.loads(p.stderr)["error"]["exit"] == status


def test_a_page_that_leads_to_itself_ends(tls):
    with server(tls, [page(0, 3, "D-2")]) as (port, asked):
        p = list_of(tls, port)
    assert p.returncode == 7 and "leads to itself" in p.stderr, p
    assert len(asked) == 2 and len(p.stdout.splitlines()) == 4, p


def test_pages_that_do_not_fail(tls):
    """The server of these tests is one that lists can be had of."""
    with server(tls, [page(0, 3, "D-2"), page(3, 2)]) as (port, _):
        p = list_of(tls, port, "--json")
    assert [d["id"] for d in json.loads(p.stdout)] == [
        f"D-{i}" for i in range(5)]
