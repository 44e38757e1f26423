"""The web page in a real browser: Debian's Chromium, driven by playwright, against the real program."""

import shutil
import time

import pytest
from playwright.sync_api import expect
from program import SLOWNESS
from serving import running, serve  # noqa: F401 (serve is a fixture)

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}

expect.set_options(timeout=5_000 * SLOWNESS)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One server for all tests that leave it as it was."""
    with running(tmp_path_factory.mktemp("home"), "--ctx", "4096", "--temperature", "0") as started:
        yield started


@pytest.fixture(scope="session")
def chromium():
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not installed; './dev setup test' installs it")
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


class Window:
    """A browser window of its own, with everything that went wrong in it. Nothing moves in it, unless a test asks for that:
    without a graphics card an animation takes the CPU away from the model."""

    def __init__(self, browser, server, path: str = "/", **context):
        self.context = browser.new_context(**{"viewport": DESKTOP, "base_url": server.url, "reduced_motion": "reduce", **context})
        self.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.page = self.context.new_page()
        self.page.set_default_timeout(30_000 * SLOWNESS)
        self.problems = []
        self.expected = []  # parts of messages that a test provokes
        self.page.on("console", lambda message: self.problems.append(message.text) if message.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.problems.append("dialog: " + dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: None if request.url.startswith((server.url, "data:"))
                     else self.problems.append("request: " + request.url))
        self.page.goto(path)

    def check(self):
        """What went wrong since the last time."""
        seen, self.problems = self.problems, []
        problems = [p for p in seen if not any(part in p for part in self.expected)]
        assert not problems, problems


def wait_until(page, condition: str, seconds: float = 30):
    """Waits for a condition in JavaScript. (playwright's own wait_for_function needs eval, which the page's policy forbids.)"""
    end = time.monotonic() + seconds * SLOWNESS
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        time.sleep(0.05)


@pytest.fixture
def window(chromium, server):
    """Opens windows, and afterwards checks that nothing went wrong in them."""
    opened = []

    def start(path: str = "/", at=None, **context) -> Window:
        opened.append(Window(chromium, at or server, path, **context))
        return opened[-1]

    yield start
    for one in opened:
        one.check()
        one.context.close()


@pytest.fixture
def page(window):
    return window().page
