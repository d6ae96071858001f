"""Pages by expiry: their rows lie all over the table, a disk's time for each."""
import sys

from world import ROOT, World

sys.path.insert(0, str(ROOT / "test/bench/e2e"))
import lists  # noqa: E402

STORED = 3000


def walk(w, limit):
    """The serials, and how many pages had fewer than limit."""
    path = f"/certificates?expires_from=2000-01-01T00:00:00Z&limit={limit}"
    seen, after, short = [], "", 0
    while True:
        page = w.rest("GET", path + after).json
        seen += [i["serial"] for i in page["items"]]
        if "next" not in page:
            return seen, short
        assert len(page["items"]) >= min(limit, 10)
        short += len(page["items"]) < limit
        after = f"&after={page['next']}"


def test_a_page_that_ends_early_goes_on_where_it_ended():
    """1,000 rows may take longer than a page looks: it has fewer then, and says
    so; who goes on has what short pages have."""
    with World() as w:
        lists.fill(w, STORED)
        far, _ = walk(w, 1000)
        near, short = walk(w, 9)
        assert far == near and short == 0
        assert len(near) == len(set(near)) > STORED // 2
