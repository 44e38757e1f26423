"""Markdown as the page renders it, hostile Markdown above all: what a model writes must never act."""

import pytest
from conftest import Window


@pytest.fixture(scope="module")
def open_window(chromium, server):
    """One for all tests that only call what the page imports: to open one takes longer than they do."""
    one = Window(chromium, server)
    yield one
    one.context.close()


@pytest.fixture
def page(open_window):
    yield open_window.page
    open_window.check()


RENDER = """async (texts) => {
  const { renderMarkdown } = await import('/web/render_markdown.js');
  const element = document.body.appendChild(document.createElement('div'));
  for (const text of texts) renderMarkdown(element, text);
  const html = element.innerHTML;
  element.remove();
  return html;
}"""

CASES = {
    "plain": ("A b", "<p>A b</p>"),
    "paragraphs": ("A\n\nB\nC", "<p>A</p><p>B<br>C</p>"),
    "headings": ("# A\n###### *B* ##", "<h3>A</h3><h6><em>B</em></h6>"),
    "emphasis": ("*a* **b** ***c*** ~~d~~ _e_ __f__", "<p><em>a</em> <strong>b</strong> <em><strong>c</strong></em> <del>d</del> "
                 "<em>e</em> <strong>f</strong></p>"),
    "nested emphasis": ("**a *b* c**", "<p><strong>a <em>b</em> c</strong></p>"),
    "no emphasis": ("snake_case_name, 2 * 3 * 4, **open", "<p>snake_case_name, 2 * 3 * 4, **open</p>"),
    "code span": ("`a` ``b`c`` `*d*` `open", "<p><code>a</code> <code>b`c</code> <code>*d*</code> `open</p>"),
    "escapes": (r"\*a\* \`b\` \\ \z", r"<p>*a* `b` \ \z</p>"),
    "rule": ("a\n\n---\n\n***", "<p>a</p><hr><hr>"),
    "quote": ("> a\n> > b\n\nc", "<blockquote><p>a</p><blockquote><p>b</p></blockquote></blockquote><p>c</p>"),
    "list": ("- a\n- b\n  - c\n- d", "<ul><li>a</li><li>b<ul><li>c</li></ul></li><li>d</li></ul>"),
    "numbers": ("3. a\n4. b", '<ol start="3"><li>a</li><li>b</li></ol>'),
    "loose list": ("1. a\n\n   more\n\n2. b", "<ol><li>a<p>more</p></li><li>b</li></ol>"),
    "list behind text": ("Three:\n- a\n- b", "<p>Three:</p><ul><li>a</li><li>b</li></ul>"),
    "list with code": ("- a\n  ```\n  x\n  ```\n- b", None),
    "table": ("| a | b |\n|:-:|--:|\n| 1 | `x\\|y` |\n\nend", None),
    "link": ("[a *b*](https://x.example/y_(z)?q=1 \"title\")", '<p><a href="https://x.example/y_(z)?q=1" target="_blank" '
             'rel="noopener noreferrer nofollow">a <em>b</em></a></p>'),
    "bare address": ("See https://x.example/a_b. End", '<p>See <a href="https://x.example/a_b" target="_blank" '
                     'rel="noopener noreferrer nofollow">https://x.example/a_b</a>. End</p>'),
    "mail": ("<mailto:a@x.example>", '<p><a href="mailto:a@x.example" target="_blank" rel="noopener noreferrer nofollow">'
             "mailto:a@x.example</a></p>"),
    "image is a link": ("![alt](https://x.example/i.png)", '<p><a href="https://x.example/i.png" target="_blank" '
                        'rel="noopener noreferrer nofollow">image: alt</a></p>'),
    "html is text": ("<b>x</b> &amp; <", "<p>&lt;b&gt;x&lt;/b&gt; &amp;amp; &lt;</p>"),
}


@pytest.mark.parametrize("name", CASES)
def test_cases(page, name):
    text, html = CASES[name]
    got = page.evaluate(RENDER, [text])
    if html is not None:
        assert got == html
    elif name == "table":
        assert '<th class="align-center">a</th><th class="align-right">b</th>' in got and "<code>x|y</code>" in got and got.endswith("<p>end</p>")
    else:
        assert got.startswith('<ul><li>a<figure class="code">') and "<li>b</li></ul>" in got


def test_code_blocks(page):
    html = page.evaluate(RENDER, ["```python\ndef f(x):\n    return \"<b>\" # why\n```\nafter"])
    assert "<span>python</span>" in html and "&lt;b&gt;" in html and html.endswith("<p>after</p>")
    assert '<span class="hl-keyword">def</span> <span class="hl-call">f</span>' in html
    assert '<span class="hl-comment"># why</span>' in html
    text = page.evaluate("""async () => { const { highlight } = await import('/web/highlight.js');
      const code = '#include <a>\\nint x = 0x1F; // "c"\\nchar* s = "a\\\\"b"; /* open';
      const element = document.createElement('pre'); element.append(...highlight(code, 'cpp')); return element.textContent === code; }""")
    assert text, "colours change no character"


def test_growing_text_keeps_what_is_complete(page):
    """While an answer arrives, finished blocks stay the same elements, so that a selection survives."""
    assert page.evaluate("""async () => {
      const { renderMarkdown } = await import('/web/render_markdown.js');
      const element = document.createElement('div');
      renderMarkdown(element, '# A\\n\\nfirst\\n\\nsec');
      const [heading, first, second] = element.children;
      renderMarkdown(element, '# A\\n\\nfirst\\n\\nsecond\\n\\n- x');
      return element.children[0] === heading && element.children[1] === first && element.children[2] !== second
        && element.children[2].textContent === 'second' && element.children.length === 4;
    }""")


ADDRESSES = ["javascript:window.hit=1", "JaVaScRiPt:window.hit=1", " javascript:window.hit=1", "java\nscript:window.hit=1",
             "java\tscript:window.hit=1", "\x01javascript:window.hit=1", "data:text/html,<script>window.hit=1</script>", "vbscript:x",
             "file:///etc/passwd", "//x.example", "/slots", "&#106;avascript:window.hit=1", "https:javascript:x", "blob:https://x/y",
             "https://x.example/\" onmouseover=\"window.hit=1"]
HOSTILE = [
    *[f"[x]({address})" for address in ADDRESSES], *[f"![x]({address})" for address in ADDRESSES], *[f"<{address}>" for address in ADDRESSES],
    "<script>window.hit=1</script>", "<img src=x onerror=window.hit=1>", "<svg/onload=window.hit=1>", "<iframe srcdoc='<script>window.hit=1'>",
    "<a href='javascript:window.hit=1'>x</a>", "```<img src=x onerror=window.hit=1>\ncode\n```", "```\"><script>window.hit=1</script>\nx\n```",
    "| <img src=x onerror=window.hit=1> | b |\n|---|---|\n| <script>window.hit=1</script> | c |", "# <svg onload=window.hit=1>",
    "- <style>*{display:none}</style>", "> <base href=//x.example>", "[<img src=x onerror=window.hit=1>](https://x.example)",
    "`<script>window.hit=1</script>`", "<form action=//x.example><input autofocus onfocus=window.hit=1>", "\0<script>window.hit=1</script>",
    "[a](https://x.example 'onclick=window.hit=1')", "{{constructor.constructor('window.hit=1')()}}", "</div></main><script>window.hit=1</script>",
]
ALLOWED = {"P", "BR", "A", "CODE", "PRE", "FIGURE", "FIGCAPTION", "SPAN", "BUTTON", "svg", "path", "H3", "H4", "H5", "H6", "UL", "OL", "LI", "INPUT",
           "BLOCKQUOTE", "HR", "TABLE", "THEAD", "TBODY", "TR", "TH", "TD", "DIV", "EM", "STRONG", "DEL"}
SURVEY = """async (text) => {
  const { renderMarkdown } = await import('/web/render_markdown.js');
  const element = document.body.appendChild(document.createElement('div'));
  renderMarkdown(element, text);
  await new Promise((resolve) => setTimeout(resolve, 5));
  const all = [...element.querySelectorAll('*')];
  const found = {
    tags: all.map((node) => node.tagName),
    attributes: all.flatMap((node) => [...node.attributes].map((attribute) => attribute.name)),
    links: all.filter((node) => node.tagName === 'A').map((node) => node.protocol),
    hit: window.hit ?? null,
  };
  element.remove();
  return found;
}"""


def test_hostile_markdown_is_only_text(page):
    for text in HOSTILE:
        found = page.evaluate(SURVEY, text)
        assert set(found["tags"]) <= ALLOWED, (text, found)
        assert not [name for name in found["attributes"] if name.startswith("on") or name in ("src", "style", "srcdoc", "action")], (text, found)
        assert set(found["links"]) <= {"http:", "https:", "mailto:"}, (text, found)
        assert found["hit"] is None, text


PATTERNS = ["*", "_", "~~", "[", "![", "[](", "`", "`` ` ", "> ", "- ", "  - a\n", "1. a\n", "#", "|", "|-", "**a ", "a*b_c", "<", "<http://",
            "https://a", " h", "\\", "\n", "```\n", "| a |\n|---|\n", "[a](b", "***a_", "\0", "(", "](https://x", "</", "~~~\n", "=\n", " \n"]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_no_text_takes_long(page, pattern):
    text = (pattern * 60_000)[:60_000]
    milliseconds = page.evaluate("""async (text) => { const { parseMarkdown } = await import('/web/markdown.js');
      const start = performance.now(); parseMarkdown(text); return performance.now() - start; }""", text)
    assert milliseconds < 3000, "a text of 60,000 characters is far longer than most answers"


def test_an_answer_cannot_act(window):
    """The same through the whole page: a server that sends hostile text."""
    one = window()
    body = "".join(f'data: {{"choices":[{{"index":0,"delta":{{"content":{part}}},"finish_reason":null}}]}}\n\n'
                   for part in ('"<script>window.hit=1</script> **bo"', '"ld** <img src=x onerror=window.hit=1>"')) + "data: [DONE]\n\n"
    one.page.route("**/v1/chat/completions", lambda route: route.fulfill(body=body, content_type="text/event-stream"))
    one.page.get_by_label("Message", exact=True).fill("<img src=x onerror=window.hit=1>")
    one.page.keyboard.press("Enter")
    markdown = one.page.locator(".markdown")
    markdown.get_by_text("bold").wait_for()
    assert markdown.inner_text() == "<script>window.hit=1</script> bold <img src=x onerror=window.hit=1>"
    assert one.page.locator(".conversation-title").inner_text() == "<img src=x onerror=window.hit=1>"
    assert one.page.evaluate("window.hit ?? null") is None


def test_events_may_be_cut_anywhere(page):
    """Server-sent events in pieces of every size, with characters of several bytes."""
    assert page.evaluate("""async () => {
      const { readEvents } = await import('/web/event_stream.js');
      const bytes = new TextEncoder().encode('data: {"a":"é✓🙂"}\\n\\n: ping\\n\\nevent: x\\r\\ndata:b\\r\\ndata: c\\r\\n\\r\\ndata: [DONE]\\n\\n');
      for (let size = 1; size <= bytes.length; ++size) {
        const stream = new ReadableStream({ start(controller) {
          for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
          controller.close();
        } });
        const events = [];
        for await (const data of readEvents(stream)) events.push(data);
        if (JSON.stringify(events) !== JSON.stringify(['{"a":"é✓🙂"}', 'b\\nc', '[DONE]'])) return [size, events];
      }
      return null;
    }""") is None
