"""The JavaScript of docs/clients.md, in a page of the server."""

import re

from program import ROOT


def test_the_snippet_for_fetch(window, server):
    snippet = re.search(r"^```js\n(.*?)^```", (ROOT / "docs/clients.md").read_text(), re.MULTILINE | re.DOTALL)[1]
    one = window()
    said = []
    one.page.on("console", lambda message: said.append(message.text))
    one.page.evaluate("async () => {" + snippet.replace("http://127.0.0.1:8080", server.url) + "}")
    question = re.search(r'content: "([^"]*)"', snippet)[1]
    body = {"messages": [{"role": "user", "content": question}], "max_tokens": 40}
    assert said == [server.post("/v1/chat/completions", body).json["choices"][0]["message"]["content"]]  # temperature 0
