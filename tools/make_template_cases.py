#!/usr/bin/env python3
"""Writes tests/cases/template/*.json: what PyPI jinja2 makes of many templates, set up as transformers sets it up.

Run from the root of the checkout with a Python that has jinja2 3.1:

    python3 tools/make_template_cases.py [--templates ../shared/data/templates]

- published.json: every published template with every conversation. The templates themselves stay in the shared data and
  are named by file.
- snippets.json: the small templates of template_snippets.py, one per feature.

A case is {"template" or "file", "context", and "out" or "error"}; the test asks for the same text byte for byte, and for
an error where jinja2 raised one.
"""

import argparse
import datetime
import json
import os
import pathlib
import sys
import time

import jinja2
import jinja2.ext
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

import template_conversations
import template_snippets

os.environ["TZ"] = "UTC0"  # for %s
time.tzset()
NOW = datetime.datetime(2024, 7, 26, 13, 5, 9)


class GenerationTag(jinja2.ext.Extension):
    """{% generation %}: marks what the assistant wrote. Its text is passed on as it is."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_run"), [], [], body).set_lineno(line)

    def _run(self, caller):
        return caller()


def make_environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def strftime_now(format):
        return NOW.strftime(format)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationTag, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = strftime_now
    return environment


def render(environment, source, context):
    """The text jinja2 makes, as {"out"}, or what it raised, as {"error"}."""
    try:
        text = environment.from_string(source).render(**context)
        text.encode("utf-8")
        return {"out": text}
    except Exception as error:  # whatever a template can raise is an answer
        return {"error": f"{type(error).__name__}: {error}"}


def published_cases(environment, folder):
    cases = []
    for path in sorted(folder.glob("*.jinja")):
        source = path.read_text(encoding="utf-8")
        for name, context in template_conversations.contexts():
            cases.append({"file": path.name, "context": name, **render(environment, source, context)})
    return {"contexts": dict(template_conversations.contexts()), "cases": cases}


def snippet_cases(environment):
    context = template_snippets.CONTEXT
    cases = []
    for source in template_snippets.SNIPPETS:
        result = render(environment, source, context)
        if "out" in result and (" object at 0x" in result["out"] or "generator" in result["out"]):
            sys.exit(f"this snippet prints an address: {source}")
        cases.append({"template": source, **result})
    return {"contexts": {"": context}, "cases": cases}


def write(path, content):
    cases = content.pop("cases")
    head = json.dumps(content, ensure_ascii=False)[:-1]
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    path.write_text(f'{head}, "cases": [\n{lines}\n]}}\n', encoding="utf-8")
    failing = sum("error" in case for case in cases)
    print(f"{path}: {len(cases)} cases, {failing} of them errors, {path.stat().st_size} bytes")


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--templates", type=pathlib.Path, default=root.parent / "shared/data/templates")
    arguments = parser.parse_args()
    environment = make_environment()
    target = root / "tests/cases/template"
    target.mkdir(parents=True, exist_ok=True)
    write(target / "published.json", published_cases(environment, arguments.templates))
    write(target / "snippets.json", snippet_cases(environment))


if __name__ == "__main__":
    main()
