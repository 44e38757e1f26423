"""docs/cli.md and the front page promise commands and options; the program has to have them, and the page all of them."""

import functools
import re
import shlex

import pytest
from program import ROOT
from test_cli_program import COMMANDS

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "src/cli/README.md"]
FLAG = re.compile(r"^(--[a-z][a-z0-9-]*|-[a-z])(?:=.*)?$")


def calls(text: str) -> list[str]:
    """The calls of kvasir in code: from the word `kvasir` to the end of the command."""
    code = re.findall(r"`(kvasir [^`\n]+)`", text)
    for block in re.findall(r"^```[a-z]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        code += re.findall(r"(?:^|[|$(] ?)(kvasir (?:[^'\"\n]|'[^'\n]*'|\"[^\"\n]*\")+)", block, re.MULTILINE)
    return code


def words(call: str) -> list[str]:
    """The words of the call up to a pipe, a redirection, or the remark that stands behind two spaces."""
    lexer = shlex.shlex(re.split(r"   | [|<>]|\)$", call)[0].replace("\\|", "|"), posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    return list(lexer)[1:]


@pytest.fixture(scope="module")
def help_of(tmp_path_factory):
    from conftest import Kvasir
    kvasir = Kvasir(tmp_path_factory.mktemp("home"))
    return functools.cache(lambda *command: kvasir.ok(*command, "--help"))


def flags(help_text: str) -> set[str]:
    """The options that a help text lists."""
    found = set()
    for line in help_text.splitlines():
        if re.match(r"  -", line):
            found |= set(re.findall(r"(?:^|, | {2})(--?[a-z][a-z0-9-]*)", line.split("   ")[0]))
    return found


@pytest.mark.parametrize("page", [page for page in PAGES if calls(page.read_text())], ids=lambda p: p.name)
def test_what_the_pages_call_is_there(help_of, page):
    for call in calls(page.read_text()):
        given = words(call)
        names = given[0].split("|") if given and not given[0].startswith("-") else [""]
        for name in names:
            if name == "COMMAND":
                continue
            command = [name] if name and name != "help" else []
            if command == ["eval"]:
                command += given[1:2]
            for last in command[-1].split("|") if command else [""]:
                path = [*command[:-1], last] if last else []
                known = flags(help_of(*path))
                for word in given:
                    match = FLAG.match(word.split("|")[0])
                    assert not match or match[1] in known, f"{page.name}: `{call}` has {word}, which {path} does not know"


def test_the_page_names_every_command_and_option(help_of):
    text = (ROOT / "docs/cli.md").read_text()
    for command in COMMANDS:
        assert f"kvasir {' '.join(command)}" in text, command
        for flag in flags(help_of(*command)) - {"-h", "--help"}:
            assert re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", text), f"{command} has {flag}"
