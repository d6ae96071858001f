"""The screen of a station that works by an order, without any centre."""
import itertools

import pytest

from offline import Offline, stopped_centre
from screen import Browser, Running
from test_offline_order import Line
from test_sync import Synced
from world import World

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def centre():
    with stopped_centre() as c:
        yield c


@pytest.fixture
def station(centre, tmp_path):
    s = Offline(centre, tmp_path / "station", f"show-{next(NUMBERS)}", n=2)
    s.conf.write_text('screen = "127.0.0.1:0"\n' + s.conf.read_text())
    try:
        yield s
    finally:
        s.close()


@pytest.fixture(scope="module")
def browser():
    b = Browser()
    try:
        yield b
    finally:
        b.close()


def left(browser, n):
    browser.until("document.querySelector('#counters .left span')"
                  f".innerText === '{n}'")


def test_what_the_order_lets_be_made(station, browser):
    station.takes(share=2)
    station.plug(2)
    with Running(station) as line:
        browser.open(line.url())
        left(browser, 2)
        assert "of 2" in browser.text()
        assert "Making by work order" in browser.text()
        assert line.status()["counters"]["level"] == "software"
        browser.scan("f1 SN-01")
        browser.until_tile("f1", "passed")
        left(browser, 1)
        browser.scan("f2 SN-02")
        browser.until_tile("f2", "passed")
        left(browser, 0)
        # all that were ordered: nothing more is to be scanned
        browser.until("document.querySelector('#next').dataset.do"
                      " === 'stop'")
        assert "Stop the line" in browser.text()
        assert line.status()["stopped"]["reason"] == "quota-gone"
        assert "As many as were ordered are made" in browser.text()
    assert station.counted() == 2


def test_a_station_without_an_order_says_so(station, browser):
    station.plug(1)
    with Running(station) as line:
        browser.open(line.url())
        browser.until("document.querySelector('#next').dataset.do"
                      " === 'stop'")
        assert line.status()["stopped"]["reason"] == "no-order"
        browser.scan("f1 SN-01")
        browser.until_tile("f1", "failed")
        assert "This station has no work order" in browser.text()


def test_what_the_centre_does_not_have(browser, tmp_path):
    with World() as world:
        x = Synced(Line(world), tmp_path, "shy", quantity=5)
        try:
            x.make("01")
            conf = x.s.conf.read_text()
            x.s.conf.write_text('screen = "127.0.0.1:0"\n' + conf)
            with Running(x.s) as line:
                browser.open(line.url())
                browser.until("document.querySelector('#sync').innerText"
                              " === '1 not at the centre yet'")
                x.s.plug()
                browser.scan("f1 SHY-02")
                browser.until("document.querySelector('#sync').innerText"
                              " === '2 not at the centre yet'")
                assert line.status()["sync"]["since"]
            x.s.conf.write_text(
                'screen = "127.0.0.1:0"\nsync = 1s\n' + conf)
            with Running(x.s) as line:
                browser.open(line.url())
                browser.until("document.querySelector('#sync').innerText"
                              " === 'All at the centre'")
                assert line.status()["sync"]["unsynced"] == 0
            # and for too long without it nothing more is made
            x.s.unplug()
            x.s.blank(1)
            x.s.plug()
            x.s.conf.write_text(
                'screen = "127.0.0.1:0"\nunsynced = 1s\n' + conf)
            with Running(x.s) as line:
                browser.open(line.url())
                browser.until_tile("f1", "ready")
                browser.scan("f1 SHY-03")
                browser.until_tile("f1", "passed")
                browser.until("document.querySelector('#next').dataset.do"
                              " === 'stop'")
                browser.until("document.querySelector('#sync').dataset.late"
                              " === 'true'")
                assert line.status()["stopped"]["reason"] == "unsynced"
                assert "too long" in browser.text()
        finally:
            x.s.close()
