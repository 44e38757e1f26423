"""The live view of the cache: what it draws is what the server says."""

import json
import threading

import pytest
from conftest import PHONE, wait_until
from playwright.sync_api import expect
from serving import events_of

BEGINNING = "You are the keeper of a lighthouse, and you write down what the night brings. " * 25

LAYOUT = """async ([segments, tails, expected, maxIdle]) => {
  const { layOut } = await import('/web/prefix_tree.js');
  return layOut(segments, tails, new Map(expected), maxIdle);
}"""


def segment(id, parent, first, tokens, requests=()):
    return {"id": id, "parent": parent, "first_token": first, "tokens": tokens, "bytes": tokens * 10, "requests": list(requests)}


def test_what_is_shared_is_as_high_as_its_readers(page):
    segments = [segment(1, 0, 0, 128, [7, 8]), segment(3, 1, 128, 64, [7]), segment(4, 1, 128, 192, [8]), segment(9, 1, 128, 64)]
    tails = [{"id": 7, "segment": 3, "tokens": 10}, {"id": 8, "segment": 4, "tokens": 0}, {"id": 5, "segment": 0, "tokens": 30}]
    layout = page.evaluate(LAYOUT, [segments, tails, [[7, 500]], 5])
    assert [lane["request"] for lane in layout["lanes"]] == [7, 8, None, 5]
    boxes = {box["key"]: box for box in layout["boxes"]}
    assert (boxes["s1"]["kind"], boxes["s1"]["lane"], boxes["s1"]["lanes"]) == ("shared", 0, 3)
    assert (boxes["s3"]["kind"], boxes["s3"]["lane"], boxes["s3"]["from"], boxes["s3"]["to"]) == ("own", 0, 128, 192)
    assert (boxes["s4"]["kind"], boxes["s4"]["lane"]) == ("own", 1)
    assert (boxes["s9"]["kind"], boxes["s9"]["lane"]) == ("idle", 2)
    assert (boxes["tail7"]["from"], boxes["tail7"]["to"]) == (192, 202)
    assert (boxes["ahead7"]["from"], boxes["ahead7"]["to"]) == (202, 500)
    assert "tail8" not in boxes and (boxes["tail5"]["from"], boxes["tail5"]["lane"]) == (0, 3)
    assert layout["tokens"] == 500
    none = page.evaluate(LAYOUT, [segments, tails, [], 0])
    assert [lane["request"] for lane in none["lanes"]] == [7, 8, 5] and none["idleLeftOut"] == {"texts": 1, "bytes": 640}


def test_boxes_never_overlap(page):
    """Random trees: the ink is the memory."""
    assert page.evaluate("""async () => {
      const { layOut } = await import('/web/prefix_tree.js');
      let state = 1;
      const random = (n) => { state = (state * 48271) % 2147483647; return state % n; };
      for (let round = 0; round < 300; ++round) {
        const segments = [];
        for (let id = 1; id <= random(30); ++id) {
          const parent = random(3) === 0 ? null : segments[random(segments.length || 1)];
          const first_token = parent ? parent.first_token + parent.tokens : 0;
          segments.push({ id, parent: parent?.id ?? 0, first_token, tokens: 64 * (1 + random(5)), bytes: 1, requests: [] });
        }
        const tails = [];
        for (let id = 1; id <= 4; ++id) {
          const end = random(4) === 0 ? null : segments[random(segments.length || 1)];
          tails.push({ id, segment: end?.id ?? 0, tokens: random(70) });
          for (let at = end; at; at = segments.find((s) => s.id === at.parent)) at.requests.push(id);
        }
        const { boxes, lanes } = layOut(segments, tails, new Map(), random(10));
        for (const a of boxes) {
          if (a.lane + a.lanes > lanes.length || a.lanes < 1) return ['outside', a];
          for (const b of boxes) {
            if (a !== b && a.lane < b.lane + b.lanes && b.lane < a.lane + a.lanes && a.from < b.to && b.from < a.to) return [a, b];
          }
        }
        for (const { id } of tails) if (lanes.filter(({ request }) => request === id).length !== 1) return ['lane', id];
        for (const { id, requests } of segments) if (requests.length > 0 && !boxes.some(({ key }) => key === `s${id}`)) return ['lost', id];
      }
      return null;
    }""") is None


@pytest.fixture
def load(server):
    """Three streams that begin alike; they end with the test."""
    stop = threading.Event()

    def stream(i: int):
        with server.connect() as connection:
            body = json.dumps({"messages": [{"role": "user", "content": BEGINNING + f"Night {i}: " * (10 + 20 * i)}], "stream": True,
                               "ignore_eos": True, "max_tokens": 2000}).encode()
            connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                               b"Content-Length: %d\r\n\r\n" % len(body) + body)
            connection.settimeout(0.2)
            while not stop.is_set():
                try:
                    if not connection.recv(65536):
                        return
                except TimeoutError:
                    pass

    threads = [threading.Thread(target=stream, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    yield
    stop.set()
    for thread in threads:
        thread.join()
    server.idle()


def test_requests_that_share_are_seen_to_share(window, load):
    page = window("/#cache", reduced_motion="no-preference").page
    expect(page.locator(".requests tbody tr")).to_have_count(3)
    expect(page.locator(".box.shared").first).to_be_visible(timeout=30_000)
    expect(page.locator(".lane-labels circle")).to_have_count(3)
    expect(page.locator(".box.shared title").first).to_contain_text("stored once, read by #")
    expect(page.locator(".requests")).to_contain_text("writing", timeout=30_000)
    wait_until(page, "parseFloat(document.querySelector('.tile-value').textContent) > 0")
    assert "request" in page.locator(".cache-drawing").get_attribute("aria-label")
    legend = page.locator(".card", has_text="Memory").locator(".legend")
    for part in ("weights", "activations", "shared", "kept for reuse", "free"):
        expect(legend).to_contain_text(part)


def test_what_is_left_is_kept_for_reuse(window, server):
    answer = server.post("/v1/chat/completions", {"messages": [{"role": "user", "content": BEGINNING}], "max_tokens": 3, "stream": True})
    assert events_of(answer.body)[-1] == "[DONE]"
    page = window("/#cache").page
    expect(page.locator(".box.idle").first).to_be_visible()
    expect(page.get_by_text("No request is running or waiting.")).to_be_visible()
    expect(page.locator(".tile").filter(has_text="from the cache")).to_contain_text("%")


def test_nothing_is_asked_for_while_the_view_is_hidden(window):
    one = window("/#cache")
    asked = []
    one.page.on("request", lambda request: asked.append(request.url))
    one.page.wait_for_timeout(2500)
    assert any(url.endswith("/cache") for url in asked)
    one.page.get_by_role("tab", name="Chat").click()
    one.page.wait_for_timeout(300)
    asked.clear()
    one.page.wait_for_timeout(2500)
    assert asked == []


def test_a_phone_shows_it_too(window, load):
    page = window("/#cache", viewport=PHONE, has_touch=True, is_mobile=True).page
    expect(page.locator(".box").first).to_be_visible(timeout=30_000)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("document.querySelector('.cache-drawing').getBoundingClientRect().right <= innerWidth")
