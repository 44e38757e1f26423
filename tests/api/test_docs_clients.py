"""Every snippet of docs/clients.md, serving.md, tools.md, embeddings.md and operations.md runs against the real server."""

import re
import shutil
import subprocess
import sys

import pytest
from program import ROOT
from serving import Server, installed, running

PAGES = {name: (ROOT / f"docs/{name}.md").read_text() for name in ("clients", "serving", "tools", "embeddings", "operations")}
ADDRESS = "http://127.0.0.1:8080"
# Of each page. Snippets without a language are commands that start the server, and C++ is how a format is added.
LANGUAGES = {"clients": {"bash", "python", "js", "javascript"}, "serving": {"console", "python"}, "tools": {"python", "cpp"},
             "embeddings": {"python"}, "operations": {"bash"}}


def snippets(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGES[page], re.MULTILINE | re.DOTALL)


def run(command: list, server, snippet: str, **options) -> str:
    text = snippet.replace(ADDRESS, server.url) if server else snippet
    done = subprocess.run([*command, text], capture_output=True, text=True, timeout=120, check=False, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("page", PAGES)
def test_every_kind_of_snippet_is_run(page):
    assert set(re.findall(r"^```([a-z]+)$", PAGES[page], re.MULTILINE)) == LANGUAGES[page], "js is run by tests/web, too"


@pytest.mark.parametrize("snippet", snippets("clients", "python"), ids=lambda text: re.sub(r"\W+", "-", text[-60:]))
def test_python(server, snippet):
    output = run([sys.executable, "-c"], server, snippet)
    assert output.strip()
    for sign, expected in (("capital of France?", "Paris"), ("Anthropic", "Paris"), ("include_usage", "tokens"), ("asyncio", "Oslo: "), ("cache_explain", "{"),
                           ("echo=True", "' Paris'"), ("temperature=-1", "temperature")):
        if sign in snippet:
            assert expected in output, output


@pytest.mark.parametrize("snippet", snippets("serving", "python") + snippets("tools", "python"), ids=lambda text: re.sub(r"\W+", "-", text[-60:]))
def test_python_of_other_pages(server, snippet):
    output = run([sys.executable, "-c"], server, snippet)
    assert output.strip() or "print" not in snippet or "tool_calls" in snippet, "a small model may not call"


def test_python_of_embeddings(tmp_path):
    with running(tmp_path, "--ctx", "256", "--embedding-model", installed("minilm")) as server:
        shown = "\nprint(len(answer.data), len(answer.data[0].embedding))"
        for snippet in snippets("embeddings", "python"):
            assert run([sys.executable, "-c"], server, snippet + shown) == "2 384\n"


def test_the_console_shows_what_is_answered(server):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    for snippet in snippets("serving", "console"):
        command, shown = re.fullmatch(r"\$ (.*?[^\\])\n(.*)\n", snippet, re.DOTALL).groups()
        answer = run(["bash", "-c"], server, command)
        for piece in shown.rstrip(".").split("..."):
            assert piece.strip(',"') in answer, (piece, answer)


@pytest.mark.parametrize("snippet", snippets("clients", "bash"), ids=lambda text: "stream" if "stream" in text else "whole")
def test_curl(server, snippet):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    output = run(["bash", "-c"], server, snippet)
    assert ("data: [DONE]" if '"stream": true' in snippet else "Paris") in output


def test_fetch_outside_a_browser(server):
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    (snippet,) = snippets("clients", "js")
    assert run(["node", "--input-type=module", "-e"], server, snippet).strip()


def test_keys_and_certificates_made_as_the_guide_says(tmp_path, small_model):
    keys, certificate, install = snippets("operations", "bash")
    for snippet in (keys, keys, certificate):
        run(["bash", "-euo", "pipefail", "-c"], None, snippet, cwd=tmp_path)
    lines = (tmp_path / "api-keys").read_text().splitlines()
    assert len(lines) == 2 and lines[0] != lines[1] and all(re.fullmatch(r"alice [\w-]{32}", line) for line in lines)
    (tmp_path / "api-keys").write_text(lines[0] + "\n")
    server = Server(tmp_path, "--api-key-file", str(tmp_path / "api-keys"), "--tls-cert", str(tmp_path / "server.pem"), "--tls-key",
                    str(tmp_path / "server.key"), model=small_model, trust=tmp_path / "server.pem")
    assert server.get("/v1/models").status == 401
    assert server.get("/v1/models", Authorization=f"Bearer {lines[0].split()[1]}").status == 200
    assert server.stop() == 0
    files = re.findall(r" (deploy/\S+)", install)
    assert len(files) == 2 and all((ROOT / file).is_file() for file in files)
