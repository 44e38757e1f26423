#!/usr/bin/env python3
"""Takes the pictures of the web page that the README shows, and more to look at while working on it.

usage: tools/with_venv.sh tools/page_screenshots.py [--all FOLDER]

Starts the program of $KVASIR_BIN (default build/release/bin/kvasir) on smollm2 and drives Debian's Chromium. Without --all, writes
docs/images/page-chat.png and docs/images/page-cache.png; with it, every view in both themes and on a phone into FOLDER.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
os.environ.setdefault("KVASIR_BIN", str(ROOT / "build/release/bin/kvasir"))
sys.path.append(str(ROOT / "tests/harness"))
from serving import Server  # noqa: E402  (it needs the path)

DESKTOP, PHONE = {"width": 1280, "height": 760}, {"width": 390, "height": 844}
QUESTION = "What is a key-value cache in a language model? Explain it in three sentences."
CODE = "Write a Python function that checks whether a word is a palindrome, with a short example."
LIST = "Give me five ideas for a rainy Sunday, as a numbered list."
BEGINNING = "You are the keeper of a lighthouse on a rocky coast, and you write down what the night brings, line by line. " * 14


class Load:
    """Streams that begin alike, part at different places, and go on until the end."""

    def __init__(self, server: Server, count: int = 6):
        self.stop = threading.Event()
        self.server = server
        self.threads = [threading.Thread(target=self.stream, args=(i,)) for i in range(count)]
        for thread in self.threads:
            thread.start()
            time.sleep(0.4)

    def stream(self, i: int):
        text = BEGINNING + ("A ship with three lights passes in the north. " * 14 if i % 3 else "") + f"This is night {i}. " * (12 + 22 * i)
        body = json.dumps({"messages": [{"role": "user", "content": text}], "stream": True, "ignore_eos": True, "max_tokens": 2400}).encode()
        with self.server.connect() as connection:
            connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                               b"Content-Length: %d\r\n\r\n" % len(body) + body)
            connection.settimeout(0.2)
            while not self.stop.is_set():
                try:
                    if not connection.recv(65536):
                        return
                except TimeoutError:
                    pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def ask(page, text: str, wait: bool = True):
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")
    page.wait_for_selector(".message.live")
    if wait:
        page.wait_for_selector(".message.live", state="detached", timeout=120_000)
        page.mouse.move(640, 20)


def shoot(page, path: Path):
    page.wait_for_timeout(500)
    page.screenshot(path=path)
    if pngquant := shutil.which("pngquant"):
        subprocess.run([pngquant, "--force", "--skip-if-larger", "--quality", "80-98", "--output", path, path], check=False)
    print(f"{path}: {path.stat().st_size // 1000} kB")


def windows(browser, server, **options):
    context = browser.new_context(base_url=server.url, **options)
    page = context.new_page()
    page.goto("/")
    page.wait_for_selector(".dot.good", state="attached")
    return page


def for_readme(browser, server):
    folder = ROOT / "docs/images"
    page = windows(browser, server, viewport=DESKTOP, device_scale_factor=1.5, color_scheme="light")
    for question, follow_up in ((QUESTION, None), (CODE, "How does the second line work?")):
        page.get_by_role("button", name="New chat").click()
        ask(page, question)
        if follow_up:
            ask(page, follow_up)
    shoot(page, folder / "page-chat.png")
    with Load(server):
        dark = windows(browser, server, viewport=DESKTOP, device_scale_factor=1.5, color_scheme="dark")
        dark.get_by_role("tab", name="Cache").click()
        dark.wait_for_timeout(14_000)
        shoot(dark, folder / "page-cache.png")


def everything(browser, server, folder: Path):
    folder.mkdir(parents=True, exist_ok=True)
    for scheme in ("light", "dark"):
        for size, viewport in (("desktop", DESKTOP), ("phone", PHONE)):
            options = {"viewport": viewport, "color_scheme": scheme, "device_scale_factor": 1, "has_touch": size == "phone",
                       "is_mobile": size == "phone"}
            page = windows(browser, server, **options)
            name = f"{size}-{scheme}"
            shoot(page, folder / f"{name}-welcome.png")
            ask(page, QUESTION, wait=False)
            page.wait_for_timeout(900)
            shoot(page, folder / f"{name}-stream.png")
            page.wait_for_selector(".message.live", state="detached", timeout=120_000)
            ask(page, CODE)
            shoot(page, folder / f"{name}-code.png")
            page.get_by_role("button", name="Settings", exact=True).click()
            shoot(page, folder / f"{name}-settings.png")
            page.get_by_role("button", name="Close the settings").click()
            page.get_by_role("button", name="Keyboard shortcuts and help").click()
            shoot(page, folder / f"{name}-help.png")
            page.keyboard.press("Escape")
            if size == "phone":
                page.get_by_role("button", name="Conversations", exact=True).click()
                shoot(page, folder / f"{name}-sidebar.png")
                page.locator(".conversation").first.click()
            with Load(server):
                page.get_by_role("tab", name="Cache").click()
                page.wait_for_timeout(6000)
                shoot(page, folder / f"{name}-cache.png")
            page.wait_for_timeout(1500)
            shoot(page, folder / f"{name}-cache-idle.png")
            page.context.close()


def main() -> int:
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        server = Server(Path(home), "--ctx", "4096", "--temperature", "0", "--log", "off")
        try:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            if sys.argv[1:2] == ["--all"]:
                everything(browser, server, Path(sys.argv[2]))
            else:
                for_readme(browser, server)
        finally:
            server.stop(signal.SIGKILL)
    return 0


if __name__ == "__main__":
    sys.exit(main())
