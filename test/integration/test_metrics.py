"""/metrics, the alerts and the dashboard, read by Prometheus itself."""
import base64
import concurrent.futures
import contextlib
import http.client
import json
import pathlib
import re
import shutil
import subprocess
import threading
import time
import urllib.parse

import pytest

from tokens import parts, s_client
from world import ROOT, World, free_ports, run

MONITORING = ROOT / "etc/monitoring"
OPEN = {"Accept": "application/openmetrics-text;version=1.0.0,*/*;q=0.1"}
SAMPLE = re.compile(r'^([a-z_]+)(?:\{(.*)\})? ([0-9.e+-]+|\+Inf)$')


def scrape(world, key=None, headers=None):
    a = world.rest("GET", "/metrics", base="", key=key, headers=headers)
    assert a.status == 200, a
    return a


def numbers(text):
    """{name{labels}: value} of a scrape."""
    out = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        m = SAMPLE.match(line)
        assert m, line
        name = f"{m[1]}{{{m[2]}}}" if m[2] else m[1]
        assert name not in out, f"twice: {name}"
        out[name] = float(m[3])
    return out


def families(text):
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))


def promtool(*argv, **kw):
    assert shutil.which("promtool"), "script/setup test installs prometheus"
    return run("promtool", *argv, **kw)


# ---- who may read them ----

@pytest.mark.parametrize("role, status", [
    ("support", 200), ("auditor", 200), ("operator", 200), ("admin", 200),
    ("metrics", 200), ("line", 403)])
def test_a_key_reads_them(world, role, status):
    key = world.rest("POST", "/keys", {"name": "prometheus",
                                       "roles": [role]}).json["key"]
    assert world.rest("GET", "/metrics", base="", key=key).status == status


def test_nobody_else_does(world):
    assert world.rest("GET", "/metrics", base="", key="").status == 401
    assert world.rest("GET", "/metrics", base="", key="mmk_" + "0" * 16 +
                      "_" + "A" * 43).status == 401
    assert world.device_call("GET", "/metrics").status == 404
    assert world.get_public("/metrics").status == 404


@pytest.mark.parametrize("setting, none, key", [
    ("open", 200, 200), ("off", 401, 404), ("key", 401, 200)])
def test_the_setting_decides(setting, none, key):
    with World() as w:
        text = [x for x in w.conf.read_text().splitlines()
                if not x.startswith("metrics")]
        w.conf.write_text("\n".join([f"metrics = {setting}", *text]) + "\n")
        w.start()
        assert w.rest("GET", "/metrics", base="", key="").status == none
        assert w.rest("GET", "/metrics", base="").status == key
        # it opens this one path and no other
        assert w.rest("GET", "/status", key="").status == 401


# ---- what they look like ----

def test_promtool_finds_nothing(world):
    p = promtool("check", "metrics", input=scrape(world).text)
    assert p.stdout + p.stderr == ""


def test_each_family_is_documented(world):
    page = (ROOT / "docs/reference/metrics.md").read_text()
    documented = dict(re.findall(r"^\| `(\S+)` \| (\w+) \|", page, re.M))
    assert families(scrape(world).text) == documented


def test_openmetrics_has_its_form(world):
    a = scrape(world, headers=OPEN)
    assert a.headers["content-type"].startswith(
        "application/openmetrics-text; version=1.0.0")
    assert a.text.endswith("\n# EOF\n")
    types = families(a.text)
    assert not [n for n, t in types.items() if t == "counter" and
                n.endswith("_total")]
    plain = numbers(scrape(world).text)
    assert {n for n in numbers(a.text) if "http_requests" not in n} == \
        {n for n in plain if "http_requests" not in n}


def test_no_request_can_make_a_label(world):
    """Paths, devices, tokens and methods of a client stay out of it, and the
    number of lines does not grow with them."""
    world.token("LABEL-DEVICE")
    before = len(scrape(world).text.splitlines())
    for i in range(50):
        world.rest("GET", f"/devices/LABEL-DEVICE-{i}")
        world.get_public(f"/crl/label-{i}.crl")
        world.device_call("GET", f"/label-{i}")
    text = scrape(world).text
    assert "label-" not in text.lower()
    assert len(text.splitlines()) < before + 12


def test_histograms_are_whole(world):
    n = numbers(scrape(world).text)
    sums = [x for x in n if "_sum" in x]
    assert len(sums) >= 13
    for name in sums:
        count = n[name.replace("_sum", "_count")]
        base, labels = re.match(r"(\w+)_sum(?:\{(.*)\})?", name).groups()
        buckets = [v for k, v in n.items() if k.startswith(base + "_bucket")
                   and (labels is None or f"{{{labels}," in k)]
        assert buckets == sorted(buckets) and buckets[-1] == count, name


# ---- what they count ----

def load(world, k):
    """One device's life and mishaps."""
    name = f"LOAD-{k}"
    key, csr = world.key_and_csr(name)
    other = world.key_and_csr(name + "-b", name)[1]
    t = world.token(name, door="bearer")
    first = world.enrol_basic(t, csr)
    assert first.status == 200
    assert world.enrol_basic(t, csr).status == 200        # replayed
    pem = world.save_p7(first, name)
    assert world.device_call("POST", "/.well-known/mintmark/confirm", b"",
                             cert=pem, key=key).status == 204
    fresh = base64.encodebytes(other.read_bytes())
    assert world.device_call(
        "POST", "/.well-known/est/simplereenroll", fresh,
        {"Content-Type": "application/pkcs10"}, pem, key).status == 200
    assert world.enrol_basic(t, other).status == 409      # another key
    assert world.enrol_basic(world.token(name), other).status == 403  # door
    assert world.device_call("POST", "/.well-known/est/simpleenroll", b"",
                             {"Content-Type": "text/x"}).status >= 400
    identity = parts(t["token"])[0]
    s_client(world.devices, "-psk_identity", identity, "-psk", "ab" * 32,
             "-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256")
    assert world.get_public("/crl/issuing.crl").status == 200


class Scraper(threading.Thread):
    """Scrapes all the while; counters must only grow."""

    def __init__(self, world):
        super().__init__()
        self.world, self.done, self.seen, self.bad = world, False, 0, []

    def run(self):
        last = {}
        while not self.done:
            now = numbers(scrape(self.world).text)
            self.bad += [k for k, v in now.items() if v < last.get(k, 0) and
                         ("_total" in k or "_count" in k or "_bucket" in k)]
            last = now
            self.seen += 1


def test_counters_agree_with_what_was_done(world):
    n, before = 12, numbers(scrape(world).text)
    scraper = Scraper(world)
    scraper.start()
    try:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda k: load(world, k), range(n)))
    finally:
        scraper.done = True
        scraper.join()
    assert scraper.seen > 2 and not scraper.bad
    after = numbers(scrape(world).text)

    def grew(name):
        return after.get(name, 0) - before.get(name, 0)

    est = 'listener="devices",class="est",status='
    refused = 'mintmark_refusals_total{reason='
    want = {
        "mintmark_certificates_issued_total": n,
        "mintmark_certificates_replayed_total": n,
        "mintmark_certificates_renewed_total": n,
        "mintmark_certificates_confirmed_total": n,
        "mintmark_signatures_orphaned_total": 0,
        "mintmark_issue_duration_seconds_count": 3 * n,
        refused + '"token-used-with-another-key"}': n,
        refused + '"token-needs-handshake"}': n,
        refused + '"credential-refused"}': n,  # handshakes
        refused + '"try-later"}': 0,
        f'mintmark_http_requests_total{{{est}"200"}}': 3 * n,
        f'mintmark_http_requests_total{{{est}"409"}}': n,
        f'mintmark_http_requests_total{{{est}"403"}}': n,
        'mintmark_http_requests_total{listener="devices",class="device",'
        'status="204"}': n,
        'mintmark_http_requests_total{listener="public",class="crl",'
        'status="200"}': n,
        'mintmark_handshakes_failed_total{listener="devices",why="failed"}':
            n,
        'mintmark_handshakes_total{listener="devices"}': 7 * n,
        'mintmark_store_records{kind="devices"}': n,
        'mintmark_store_records{kind="tokens"}': 2 * n,
        'mintmark_store_records{kind="certificates"}': 2 * n,
    }
    got = {k: grew(k) for k in want}
    assert got == want
    assert grew('mintmark_http_requests_total{listener="operators",'
                'class="metrics",status="200"}') >= scraper.seen
    assert grew('mintmark_http_request_duration_seconds_count{class="est"}'
                ) == sum(grew(k) for k in after if 'class="est",status' in k)
    assert grew("mintmark_store_commit_duration_seconds_count") == \
        grew("mintmark_store_batch_operations_count") > 0
    assert grew("mintmark_ledger_entries") >= 4 * n
    assert after["mintmark_signer_up"] == after["mintmark_ready"] == 1
    assert grew("process_cpu_seconds_total") > 0
    assert after["process_open_fds"] > 10
    assert after["process_resident_memory_bytes"] > 1 << 20


def test_the_signer_and_the_ledger_are_in_it(world):
    """What the signer says arrives within its next status."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        n = numbers(scrape(world).text)
        if n.get("mintmark_ledger_checkpoint_entries") == \
                n["mintmark_ledger_entries"]:
            break
        time.sleep(0.1)
    now = time.time()
    assert n["mintmark_journal_lines"] > 0
    assert n["mintmark_signer_outstanding"] >= 0
    assert abs(n["mintmark_ledger_checkpoint_timestamp_seconds"] - now) < 600
    crl = '{issuer="issuing"}'
    assert abs(n["mintmark_crl_this_update_timestamp_seconds" + crl] -
               now) < 600
    assert n["mintmark_crl_next_update_timestamp_seconds" + crl] > now
    for kind, name in (("tls", "server"), ("anchor", "root"),
                       ("issuer", "issuing")):
        assert n["mintmark_certificate_not_after_timestamp_seconds"
                 f'{{kind="{kind}",name="{name}"}}'] > now + 86400


# ---- alerts ----

def test_rules_are_rules():
    p = promtool("check", "rules", MONITORING / "mintmark.rules.yml")
    assert "SUCCESS" in p.stdout


def test_each_alert_stands_when_it_should_and_no_sooner():
    p = promtool("test", "rules", ROOT / "test/monitoring/rules_test.yml")
    assert "SUCCESS" in p.stdout, p.stdout
    alerts = re.findall(r"- alert: (\w+)",
                        (MONITORING / "mintmark.rules.yml").read_text())
    tests = (ROOT / "test/monitoring/rules_test.yml").read_text()
    for name in alerts:
        rows = re.findall(rf"alertname: {name}\n.*\n    exp_alerts:(.*)",
                          tests)
        assert rows.count(" []") >= 1 and rows.count("") >= 1, name
    page = (ROOT / "docs/operate.md").read_text()
    assert not [a for a in alerts if a not in page]


def names_in(expr):
    found = re.findall(r"\b((?:mintmark|process)_\w+)", expr)
    return {re.sub(r"_(bucket|sum|count)$", "", n) for n in found}


def test_rules_and_dashboard_name_what_there_is(world):
    text = scrape(world).text
    there = set(families(text))
    rules = (MONITORING / "mintmark.rules.yml").read_text()
    for line in re.findall(r"expr: (?:>-\n((?:      .*\n)+)|(.*))", rules):
        assert names_in("".join(line)) <= there, line
    for expr in dashboard_queries():
        assert names_in(expr) <= there, expr
    # whoever delivers events sees all that is known of it
    drawn = set().union(*map(names_in, dashboard_queries()))
    hooks = {n for n in there if n.startswith("mintmark_webhook")}
    assert len(hooks) >= 4 and hooks <= drawn, hooks - drawn
    # labels that are matched must have the values that are matched
    for label, value in re.findall(r'\b(queue|kind|why|listener|class|state|'
                                   r'result)="(\w+)"', rules + " ".join(
                                       dashboard_queries())):
        assert f'{label}="{value}"' in text, (label, value)
    reasons = re.findall(r'reason=~"([^"]+)"', rules)
    for reason in "|".join(reasons).split("|"):
        assert f'reason="{reason}"' in text, reason


# ---- Prometheus and the dashboard ----

def dashboard_queries():
    d = json.loads((MONITORING / "grafana-mintmark.json").read_text())
    exprs = [t["expr"] for p in d["panels"] for t in p.get("targets", [])]
    assert len(exprs) > 30
    return exprs


class Prometheus:
    """A real one, which scrapes a World with an API key."""

    def __init__(self, world):
        self.dir = world.dir / "prometheus"
        self.dir.mkdir()
        self.port = free_ports(1)[0]
        key = world.rest("POST", "/keys", {"name": "p", "roles": ["support"]
                                           }).json["key"]
        (self.dir / "key").write_text(key)
        (self.dir / "p.yml").write_text(json.dumps({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(MONITORING / "mintmark.rules.yml")],
            "scrape_configs": [{
                "job_name": "mintmark", "scheme": "https",
                "authorization": {"credentials_file":
                                  str(self.dir / "key")},
                "tls_config": {"ca_file": str(world.anchor),
                               "server_name": "localhost"},
                "static_configs": [{"targets":
                                    [f"127.0.0.1:{world.operators}"]}]}]}))
        with open(self.dir / "log", "wb") as log:
            self.p = subprocess.Popen(
                ["prometheus", f"--config.file={self.dir}/p.yml",
                 f"--storage.tsdb.path={self.dir}/data",
                 f"--web.listen-address=127.0.0.1:{self.port}"],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def get(self, path, **query):
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            conn.request("GET", path + "?" + urllib.parse.urlencode(query))
            return json.loads(conn.getresponse().read())
        finally:
            conn.close()

    def query(self, expr):
        a = self.get("/api/v1/query", query=expr)
        assert a["status"] == "success", (expr, a)
        return a["data"]["result"]

    def wait(self, expr, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.p.poll() is None, (self.dir / "log").read_text()
            with contextlib.suppress(OSError, ValueError):
                if self.query(expr):
                    return
            time.sleep(0.1)
        raise AssertionError((self.dir / "log").read_text()[-2000:])

    def close(self):
        self.p.terminate()
        try:
            self.p.wait(20)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()


@pytest.fixture(scope="module")
def prometheus(world):
    p = Prometheus(world)
    try:
        p.wait('up{job="mintmark"} == 1')
        p.wait("count_over_time(mintmark_ready[1m]) >= 3")
        yield p
    finally:
        p.close()


def test_prometheus_scrapes_openmetrics_with_a_key(prometheus):
    targets = prometheus.get("/api/v1/targets")["data"]["activeTargets"]
    assert [t["health"] for t in targets] == ["up"]
    assert targets[0]["lastError"] == ""


def test_each_panel_has_an_answer(world, prometheus):
    """Queries as Grafana sends them; those of what never happened here may
    be empty."""
    load(world, "panel")
    prometheus.wait("increase(mintmark_certificates_issued_total[1m]) > 0")
    maybe_empty = ("> 0", '4..|5..', "mintmark_upstream_")
    for expr in dashboard_queries():
        expr = expr.replace("$instance", ".*").replace("$__rate_interval",
                                                       "1m")
        assert "$" not in expr, expr
        result = prometheus.query(expr)
        assert result or any(m in expr for m in maybe_empty), expr


def test_prometheus_has_the_alerts_and_none_fires(prometheus):
    groups = prometheus.get("/api/v1/rules")["data"]["groups"]
    rules = groups[0]["rules"]
    assert len(rules) > 20 and not [r for r in rules if r["health"] == "err"]
    firing = {a["labels"]["alertname"] for a in
              prometheus.get("/api/v1/alerts")["data"]["alerts"]
              if a["state"] == "firing"}
    # other tests of this file have used a token with another key
    assert firing <= {"MintmarkTheftSuspected"}


def test_monitoring_files_are_one_of_a_kind():
    d = json.loads((MONITORING / "grafana-mintmark.json").read_text())
    ids = [p["id"] for p in d["panels"]]
    assert len(ids) == len(set(ids))
    taken = set()
    for p in d["panels"]:
        g = p["gridPos"]
        cells = {(x, y) for x in range(g["x"], g["x"] + g["w"])
                 for y in range(g["y"], g["y"] + g["h"])}
        assert g["x"] + g["w"] <= 24 and not cells & taken, p["title"]
        taken |= cells
    assert pathlib.Path(MONITORING / "mintmark.rules.yml").exists()
