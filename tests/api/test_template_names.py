"""What the template language leaves out is what src/jinja/README.md says: every name of jinja2's registry is there, or listed."""

import re

import jinja2
import jinja2.ext
import pytest
from jinja2.parser import _statement_keywords
from jinja2.sandbox import ImmutableSandboxedEnvironment
from program import ROOT

JINJA = ImmutableSandboxedEnvironment(extensions=[jinja2.ext.loopcontrols])
VALUES = {"'a'": str, "[1]": list, "(1,)": tuple, "{'a': 1}": dict, "7": int, "1.5": float, "range(3)": range}
OF_NO_USE_ALONE = {"self"}  # undefined, and listed as such


def section() -> str:
    text = (ROOT / "src/jinja/README.md").read_text()
    return text[text.index("**What is left out**"):]


@pytest.fixture
def render(kvasir, tmp_path):
    def run(source: str) -> str:
        """The text of a template, or the message of its error."""
        path = tmp_path / "a.jinja"
        path.write_text(source)
        done = kvasir("apply-template", "-f", str(path), stdin='{"messages": []}')
        return (done.stderr if done.returncode else done.stdout).decode()

    return run


def refused(message: str, name: str) -> bool:
    """Whether a call was an error because the name is known and not supported."""
    return "not supported" in message and name in message


def test_filters_tests_and_functions(render):
    filters, functions = set(), set()
    for name in JINJA.filters:
        message = render("{{ 'a'|%s }}" % name)
        assert "No filter named" not in message, name
        if refused(message, name):
            filters.add(name)
    for name in JINJA.tests:
        message = render("{{ [1]|select('%s')|list }}" % name)
        assert "No test named" not in message and not refused(message, name), name
    for name in JINJA.globals:
        assert render("{{ %s is defined }}" % name) == "True", name
        if refused(render("{{ %s() }}" % name), name):
            functions.add(name)
    line = re.search(r"^- Filters: (.*)\. Functions: (.*)\.$", section(), re.MULTILINE)
    assert filters == set(re.findall(r"`(\w+)`", line[1]))
    assert functions == set(re.findall(r"`(\w+)\(\)`", line[2]))


def test_methods(render):
    left_out = set()
    for value, kind in VALUES.items():
        for name in dir(kind):
            if name.startswith("_") or JINJA.from_string("{{ %s.%s is defined }}" % (value, name)).render() == "False":
                continue  # the sandbox refuses it
            if render("{{ %s.%s is defined }}" % (value, name)) == "False" or refused(render("{{ %s.%s() }}" % (value, name)), name):
                left_out.add((name, kind))
    words = {"strings": str, "integers": int, "floats": float, "ranges": range}
    methods = re.search(r"^- Methods: (.*?)\.$", section(), re.MULTILINE | re.DOTALL)[1]
    listed = {(name, words[part.split()[-1]]) for part in methods.split(";") for name in re.findall(r"`(\w+)\(\)`", part)}
    assert left_out == listed


def test_tags(render):
    tags = re.search(r"^- Tags: (.*?)\.$", section(), re.MULTILINE | re.DOTALL)[1]
    listed = set(re.findall(r"`{% (\w+) %}`", tags))
    left_out = {tag for tag in _statement_keywords if "not supported" in render("{%% %s %%}" % tag) + render("{%% %s true %%}" % tag)}
    assert left_out == listed
    assert render("{% autoescape false %}{{ '<' }}{% endautoescape %}") == "<"


def test_values(render):
    for source in ["{{ 2 ** 64 }}", "{{ (-8) ** 0.5 }}", "{{ '\\N{BULLET}' }}", "{{ '\\ud83d' }}"]:
        assert "not supported" in render(source), source
    for name in OF_NO_USE_ALONE:
        assert render("{{ %s is defined }}" % name) == "False" and f"`{name}`" in section()
