"""What a person does with the page: asking, stopping, editing, settings, keys, small screens."""

import json
import re
import time

import pytest
from conftest import PHONE, wait_until
from playwright.sync_api import expect

SHORT = "What is the capital of France? Answer in one sentence."
LONG = "Tell a long story about a lighthouse keeper."


def ask(page, text: str):
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def ask_without_end(page, text: str = LONG):
    """The answer goes on until it is stopped, whatever the model thinks of that. Waits for its first words."""
    def change(route):
        route.continue_(post_data=json.dumps({**route.request.post_data_json, "ignore_eos": True}))

    page.route("**/v1/chat/completions", change, times=1)
    ask(page, text)
    wait_until(page, "document.querySelector('.assistant .markdown')?.innerText.length > 10")


def answers(page):
    return page.locator(".message.assistant")


def wait_for_end(page, count: int = 1):
    expect(answers(page)).to_have_count(count)
    expect(page.locator(".message.live")).to_have_count(0, timeout=60_000)
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_visible()


def test_an_answer_arrives_and_says_what_it_cost(page):
    expect(page.locator("#model-card")).to_contain_text("smollm2")
    ask(page, SHORT)
    wait_for_end(page)
    expect(answers(page)).to_contain_text("Paris")
    stats = page.locator(".stats").inner_text().replace("\n", "")
    assert re.search(r"\d+ tokens?", stats) and "tokens/s" in stats and "first after" in stats, stats
    assert re.search(r"prompt tokens?( from the cache)?$", stats), stats


def test_the_second_question_finds_the_first_in_the_cache(page):
    ask(page, "The night is long and the lamp is bright. " * 15 + SHORT)  # the cache holds whole blocks of 64 tokens
    wait_for_end(page)
    ask(page, "And of Italy?")
    wait_for_end(page, 2)
    expect(page.locator(".stats").nth(1)).to_contain_text("from the cache")


def test_conversations_stay_in_the_browser(window):
    one = window()
    ask(one.page, SHORT)
    wait_for_end(one.page)
    text = answers(one.page).locator(".markdown").inner_text()
    one.page.reload()
    expect(answers(one.page).locator(".markdown")).to_have_text(text)
    expect(one.page.locator(".conversation")).to_have_count(1)
    expect(one.page.locator(".conversation")).to_contain_text("What is the capital")
    one.page.get_by_role("button", name="New chat").click()
    expect(answers(one.page)).to_have_count(0)
    ask(one.page, "Say hello.")
    wait_for_end(one.page)
    expect(one.page.locator(".conversation")).to_have_count(2)
    one.page.locator(".conversation").filter(has_text="capital").click()
    expect(answers(one.page).locator(".markdown")).to_have_text(text)
    one.page.get_by_role("button", name=re.compile('Delete "What is the capital')).click()
    expect(one.page.locator(".conversation")).to_have_count(1)
    other = window()
    expect(other.page.locator(".conversation")).to_have_count(0)


def test_a_click_on_stop_counts_though_words_arrive_meanwhile(page):
    ask_without_end(page)
    box = page.get_by_role("button", name="Stop the answer").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    length = len(answers(page).locator(".markdown").inner_text())
    wait_until(page, f"document.querySelector('.assistant .markdown').innerText.length > {length}")
    page.mouse.up()
    wait_for_end(page)


def test_stop_ends_the_request_on_the_server(page, server):
    before = server.metric("kvasir_requests_cancelled_total")
    ask_without_end(page)
    page.get_by_role("button", name="Stop the answer").click()
    wait_for_end(page)
    expect(page.locator(".stats")).to_contain_text("stopped")
    server.idle(timeout=5)
    assert server.metric("kvasir_requests_cancelled_total") == before + 1
    text = answers(page).locator(".markdown").text_content()
    page.reload()
    expect(answers(page).locator(".markdown")).to_have_text(text)


def test_escape_stops_too(page, server):
    ask_without_end(page)
    page.keyboard.press("Escape")
    wait_for_end(page)
    expect(page.locator(".stats")).to_contain_text("stopped")


def test_an_answer_goes_on_while_another_conversation_is_read(page):
    ask_without_end(page)
    page.get_by_role("button", name="New chat").click()
    ask(page, SHORT)
    wait_for_end(page)
    expect(answers(page)).to_contain_text("Paris")
    page.locator(".conversation").filter(has_text="lighthouse").click()
    expect(page.get_by_role("button", name="Stop the answer")).to_be_visible()
    length = len(answers(page).inner_text())
    wait_until(page, f"document.querySelector('.assistant').innerText.length > {length}")
    page.get_by_role("button", name="Stop the answer").click()
    wait_for_end(page)


def test_again_and_edit(page):
    ask(page, SHORT)
    wait_for_end(page)
    first = answers(page).locator(".markdown").inner_text()
    page.get_by_role("button", name="Answer again").click()
    wait_for_end(page)
    expect(answers(page).locator(".markdown")).to_have_text(first)  # temperature 0
    page.locator(".message.user").hover()
    page.get_by_role("button", name="Edit this message").click()
    page.get_by_label("Edit the message").fill("What is the capital of Italy? Answer in one sentence.")
    page.get_by_role("button", name="Send again").click()
    wait_for_end(page)
    expect(answers(page)).to_contain_text("Rome")
    expect(page.locator(".message.user")).to_have_count(1)
    expect(page.locator(".message.user")).to_contain_text("Italy")


def test_settings_are_sent_and_kept(page):
    sent = []
    page.on("request", lambda request: sent.append(request.post_data_json) if request.method == "POST" else None)
    page.get_by_role("button", name="Settings", exact=True).click()
    page.get_by_label("System prompt").fill("You are a poet.")
    page.get_by_label("Temperature").fill("0.5")
    page.get_by_label("Seed").fill("7")
    page.get_by_label("Longest answer").fill("9")
    page.get_by_label("Top-p").fill("2")  # out of range: marked, and not sent
    expect(page.get_by_label("Top-p")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Stop texts").fill("\nEND\n")
    page.get_by_role("button", name="Close the settings").click()
    ask(page, LONG)
    wait_for_end(page)
    assert sent[0] == {"messages": [{"role": "system", "content": "You are a poet."}, {"role": "user", "content": LONG}],
                       "temperature": 0.5, "seed": 7, "max_tokens": 9, "stop": ["END"], "stream": True,
                       "stream_options": {"include_usage": True}}
    expect(page.locator(".stats")).to_contain_text("longest answer reached")
    expect(page.locator(".stats")).to_contain_text("9 tokens")
    page.reload()
    page.get_by_role("button", name="Settings", exact=True).click()
    expect(page.get_by_label("Temperature")).to_have_value("0.5")
    page.get_by_role("button", name="Reset").click()
    expect(page.get_by_label("Temperature")).to_have_value("")


def test_every_setting_is_one_that_the_server_takes(page, server):
    numbers = page.evaluate("import('/web/settings.js').then((module) => module.kNumbers)")
    described = json.loads(server.get("/openapi.json").body)["components"]["schemas"]["ChatRequest"]["properties"]
    for number in numbers:
        schema = described[number["name"]]
        assert number["min"] >= schema.get("minimum", number["min"]) and number["max"] <= schema.get("maximum", number["max"]), number
        for value in (number["min"], min(number["max"], 100)):
            body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1, number["name"]: value}
            assert server.post("/v1/chat/completions", body).status == 200, (number, value)


def test_what_the_server_refuses_is_said(window):
    one = window()
    one.expected = ["400 (Bad Request)"]
    ask(one.page, "word " * 5000)
    wait_for_end(one.page)
    expect(one.page.locator(".message .problem")).to_contain_text("4096")
    ask(one.page, "x")
    wait_for_end(one.page, 2)


def test_a_server_that_is_gone_is_said(window, serve):
    server = serve()
    one = window(at=server)
    expect(one.page.locator("#model-card")).to_contain_text("smollm2")
    one.expected = ["Failed to load resource", "ERR_"]
    ask_without_end(one.page)
    server.process.kill()
    wait_for_end(one.page)
    expect(one.page.locator(".message .problem")).to_contain_text("connection")
    ask(one.page, "x")
    wait_for_end(one.page, 2)
    expect(one.page.locator(".message .problem").nth(1)).to_contain_text("cannot be reached")


def test_a_key_is_asked_for_once(window, serve, tmp_path):
    keys = tmp_path / "keys.txt"
    keys.write_text("alice-secret-1\n")
    one = window(at=serve("--api-key-file", str(keys)))
    one.expected = ["401 (Unauthorized)"]
    page = one.page
    expect(page.get_by_role("dialog")).to_contain_text("wants an API key")
    page.get_by_label("API key").fill("not-the-key")
    page.get_by_role("button", name="Use this key").click()
    expect(page.get_by_role("dialog")).to_contain_text("not one that the server knows")
    page.get_by_label("API key").fill("alice-secret-1")
    page.keyboard.press("Enter")
    expect(page.locator("#model-card")).to_contain_text("smollm2")
    ask(page, SHORT)
    wait_for_end(page)
    page.reload()
    expect(page.locator("#model-card")).to_contain_text("smollm2")
    page.get_by_role("button", name="Settings", exact=True).click()
    page.get_by_role("button", name="Forget the API key").click()
    page.reload()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.locator("#model-card")).to_contain_text("API key")


def test_without_storage_the_visit_still_works(window):
    one = window()
    one.page.add_init_script("Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }")
    one.page.reload()
    ask(one.page, SHORT)
    wait_for_end(one.page)
    expect(answers(one.page)).to_contain_text("Paris")
    expect(one.page.get_by_role("alert").filter(has_text="storage is full")).to_be_visible()
    one.page.get_by_role("button", name="New chat").click()
    one.page.locator(".conversation").first.click()
    expect(answers(one.page)).to_contain_text("Paris")


def test_two_tabs_see_each_other(window):
    one = window()
    other = one.context.new_page()
    other.goto("/")
    ask(one.page, SHORT)
    wait_for_end(one.page)
    expect(other.locator(".conversation")).to_have_count(1)


def test_keys(page):
    page.locator("#messages").focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("new conversation")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.locator("#messages").focus()
    page.keyboard.press("/")
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    page.keyboard.type("n?gst/")  # text, no commands
    expect(page.get_by_label("Message", exact=True)).to_have_value("n?gst/")
    page.get_by_label("Message", exact=True).fill("")
    page.locator("#messages").focus()
    page.keyboard.press("g")
    expect(page.locator("#cache")).to_be_visible()
    assert page.url.endswith("#cache")
    page.locator("body").press("g")
    page.locator("#messages").focus()
    page.keyboard.press("s")
    expect(page.get_by_label("Temperature")).to_be_visible()
    page.get_by_label("Single-key shortcuts").uncheck()
    page.keyboard.press("Escape")
    expect(page.get_by_label("Temperature")).to_be_hidden()
    page.locator("#messages").focus()
    page.keyboard.press("g")
    expect(page.locator("#chat")).to_be_visible()


def test_the_last_message_is_edited_with_the_arrow_key(page):
    ask(page, SHORT)
    wait_for_end(page)
    page.get_by_label("Message", exact=True).press("ArrowUp")
    expect(page.get_by_label("Edit the message")).to_have_value(SHORT)
    page.keyboard.press("Escape")
    expect(page.locator(".bubble")).to_have_text(SHORT)


def test_shift_enter_is_a_new_line(page):
    box = page.get_by_label("Message", exact=True)
    box.fill("one")
    low = box.bounding_box()["height"]
    box.press("Shift+Enter")
    box.type("two")
    expect(box).to_have_value("one\ntwo")
    assert box.bounding_box()["height"] > low
    expect(answers(page)).to_have_count(0)


def background(page) -> str:
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_light_and_dark(window):
    dark, light = window(color_scheme="dark").page, window(color_scheme="light").page
    assert background(dark) != background(light)
    was = background(light)
    light.get_by_role("button", name=re.compile("Theme")).click()  # light
    assert background(light) == was
    light.get_by_role("button", name=re.compile("Theme")).click()  # dark
    assert background(light) == background(dark)
    light.reload()
    assert background(light) == background(dark)


CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = (color) => { canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = (color) => rgb(color).slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const probe = document.body.appendChild(document.createElement('i'));
  const of = (name) => { probe.style.color = `var(--${name})`; return getComputedStyle(probe).color; };
  const ratio = (a, b) => { const [x, y] = [light(of(a)), light(of(b))]; return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05); };
  return [['text', 'bg'], ['text', 'raised'], ['quiet', 'bg'], ['quiet', 'side'], ['quiet', 'surface'], ['accent', 'bg'], ['accent', 'accent-soft'],
    ['on-accent', 'accent'], ['bad', 'bad-soft'], ['on-shared', 'shared']].map(([a, b]) => [a, b, ratio(a, b)]);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(window, scheme):
    for one, other, ratio in window(color_scheme=scheme).page.evaluate(CONTRAST):
        assert ratio >= 4.5, (one, other, ratio)  # WCAG 2.2, AA


def test_every_button_and_field_has_a_name(page):
    page.get_by_role("button", name="Settings", exact=True).click()
    unnamed = page.evaluate("""() => [...document.querySelectorAll('button, input, textarea')].filter((element) =>
      !(element.getAttribute('aria-label') || element.textContent.trim() || element.labels?.length)).map((element) => element.outerHTML)""")
    assert unnamed == []


def test_a_phone(window):
    page = window(viewport=PHONE, has_touch=True, is_mobile=True, reduced_motion="no-preference").page
    ask(page, "Write a table of three planets with their moons, and a line of code: " + "x" * 120)
    expect(answers(page)).to_have_count(1)
    time.sleep(1)
    for view in ("Cache", "Chat"):
        page.get_by_role("tab", name=view).click()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{view} is wider than the screen"
    page.get_by_role("button", name="Conversations", exact=True).click()
    expect(page.get_by_role("button", name="New chat")).to_be_in_viewport()
    page.locator(".conversation").click()
    expect(page.get_by_role("button", name="New chat")).not_to_be_in_viewport()
    page.get_by_role("button", name="Settings", exact=True).click()
    expect(page.get_by_label("Temperature")).to_be_in_viewport()
    page.locator("#scrim").click(position={"x": 10, "y": 400})
    expect(page.get_by_label("Temperature")).to_be_hidden()


def test_no_script_can_turn_text_into_html(window):
    """The policy that the server sends holds in this browser."""
    one = window()
    one.expected = ["Trusted"]
    for act in ("document.body.innerHTML = '<b>'", "document.createElement('script').textContent = 'window.hit = 1'"):
        assert "Trusted" in one.page.evaluate("() => { try { " + act + "; return 'taken'; } catch (error) { return String(error); } }")
