"""What the documentation shows is run, block by block, in its order."""
import os
import re
import subprocess

import pytest

from world import AGENT, MINT, ROOT, World, free_ports

PAGES = {"docs/getting-started.md": ["GS-2", "verified:", "gs2.crt: revoked"],
         "docs/configuration.md": ["product"],
         "docs/api-tour.md": [],
         "docs/tokens.md": ["mintmark:mm1-", "cancelled"],
         "docs/stolen-batch.md": ["2 changed", "3 changed", "1 changed",
                                  "tokens left: 0\n"],
         "docs/operate.md": ["certificates would be revoked", "gateway"],
         "docs/hsm.md": ["key_made", "certified"],
         "docs/existing-ca.md": ["CN = SN-1"],
         "docs/fielded.md": ["FD-0001", "202", "200", "confirmed"],
         "docs/fielded-bare.md": ["PR-001", "FW-001", "approved", "confirmed",
                                  "403\n200\n"],
         "docs/integrate.md": ["IN-1", "token.minted", "state", "paused",
                               "removed"]}


def run_page(page, folder, demo, ports):
    """A page's blocks as one script; ports: devices, operators, public."""
    text = (ROOT / page).read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)
    assert blocks
    script = "set -euo pipefail\n" + "\n".join(blocks)
    for name, port in zip(("8443", "8444", "8080"), ports):
        script = script.replace(f"localhost:{name}", f"localhost:{port}")
    for name, port in zip(("8443", "8445"), (ports[0], *ports[3:])):
        script = script.replace(f" {name}", f" {port}")  # a loop's
    env = {**os.environ, "DEMO": str(demo), "MINTMARK_CONTEXT":
           f"{demo}/etc/context.json",
           "PATH": f"{MINT.parent}:{AGENT.parent}:{os.environ['PATH']}"}
    p = subprocess.run(["bash", "-c", script], cwd=folder, env=env,
                       capture_output=True, text=True, timeout=120)
    assert p.returncode == 0, p.stdout[-1500:] + p.stderr[-1500:]
    assert all(word in p.stdout for word in PAGES[page]), p.stdout
    for line in shown(text):
        assert line in volatile(p.stdout), line


def volatile(text):
    """Times, which differ from run to run, are made the same."""
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", text)


def shown(text):
    """Lines that the page says the block before them prints."""
    for block in re.findall(r"^```\n\n((?:    .*\n)+)", text, re.M):
        yield from (volatile(line[4:]) for line in block.splitlines())


@pytest.fixture(scope="module")
def bare():
    """With the doors that are off."""
    with World() as w:
        (w.legacy,) = free_ports(1)
        w.set_conf("pairing", "true")
        w.set_conf("claim_secrets", "true")
        w.set_conf("legacy_listen", f'"127.0.0.1:{w.legacy}"')
        yield w.start().product()


@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_a_page_run(request, tmp_path, page):
    name = "bare" if page == "docs/fielded-bare.md" else "world"
    w = request.getfixturevalue(name)
    run_page(page, tmp_path, w.dir, (w.devices, w.operators, w.public,
                                     *([w.legacy] if name == "bare" else [])))


def test_links_between_pages_lead_somewhere():
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    for p in pages:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", p.read_text()):
            if "://" not in target:
                assert (p.parent / target).exists(), (p, target)
