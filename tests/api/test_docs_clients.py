"""Every snippet of docs/clients.md runs against the real server."""

import re
import shutil
import subprocess
import sys

import pytest
from program import ROOT

TEXT = (ROOT / "docs/clients.md").read_text()
ADDRESS = "http://127.0.0.1:8080"


def snippets(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def run(command: list[str], server, snippet: str) -> str:
    done = subprocess.run([*command, snippet.replace(ADDRESS, server.url)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_kind_of_snippet_is_run():
    languages = set(re.findall(r"^```([a-z]+)$", TEXT, re.MULTILINE))
    assert languages == {"bash", "python", "js"}, "js is run by tests/web"


@pytest.mark.parametrize("snippet", snippets("python"), ids=lambda text: re.sub(r"\W+", "-", text[-60:]))
def test_python(server, snippet):
    output = run([sys.executable, "-c"], server, snippet)
    assert output.strip()
    for sign, expected in (("capital of France?", "Paris"), ("Anthropic", "Paris"), ("include_usage", "tokens"), ("asyncio", "Oslo: "), ("cache_explain", "{"),
                           ("echo=True", "' Paris'"), ("temperature=-1", "temperature")):
        if sign in snippet:
            assert expected in output, output


@pytest.mark.parametrize("snippet", snippets("bash"), ids=lambda text: "stream" if "stream" in text else "whole")
def test_curl(server, snippet):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    output = run(["bash", "-c"], server, snippet)
    assert ("data: [DONE]" if '"stream": true' in snippet else "Paris") in output
