#!/usr/bin/env python3
"""Asks `kvasir apply-template` and PyPI jinja2 for the same texts, over templates that are not in the tree.

    KVASIR_BIN=build/release/bin/kvasir tools/template_differential.py FILE.jinja|FOLDER... [--every N]

Each template meets each conversation of template_conversations.py, with and without tools and with and without an
opened answer; --every N takes every Nth of these, each template other ones. Prints what differs: the text, or whether
there is one at all. The program is started for every case, about 20 ms each. Needs jinja2, as make_template_cases.py.
"""

import argparse
import datetime
import json
import os
import pathlib
import subprocess
import sys

import make_template_cases
import template_conversations

ROOT = pathlib.Path(__file__).resolve().parent.parent
BINARY = os.environ.get("KVASIR_BIN", str(ROOT / "build/release/bin/kvasir"))
TOOLS = {"": {}, ", no tools": {"tools": None}, ", empty tools": {"tools": []}, ", all tools": {"tools": template_conversations.TOOLS}}
OPENED = {"": {}, ", opened": {"add_generation_prompt": True}}


def cases():
    for name, context in template_conversations.contexts():
        for with_tools, tools in TOOLS.items():
            for opened, prompt in OPENED.items():
                yield name + with_tools + opened, {**context, **tools, **prompt}


def ask_kvasir(path, context):
    request = {name: content for name, content in context.items() if name not in ("bos_token", "eos_token")}
    command = [BINARY, "apply-template", "-f", str(path), "--bos", context["bos_token"], "--eos", context["eos_token"]]
    done = subprocess.run(command, input=json.dumps(request).encode(), capture_output=True, timeout=120, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"{path}: kvasir ended with code {done.returncode}: {done.stderr.decode(errors='replace')}")
    return {"out": done.stdout.decode()} if done.returncode == 0 else {"error": done.stderr.decode().strip()}


def templates(paths):
    for path in paths:
        yield from sorted(path.rglob("*.jinja")) if path.is_dir() else [path]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", type=pathlib.Path, nargs="+", metavar="FILE|FOLDER")
    parser.add_argument("--every", type=int, default=1, metavar="N")
    arguments = parser.parse_args()
    make_template_cases.NOW = datetime.datetime.now()  # the program has no other clock
    environment = make_template_cases.make_environment()
    compared = errors = different = 0
    for index, path in enumerate(templates(arguments.paths)):
        source = path.read_text(encoding="utf-8")
        for name, context in list(cases())[index % arguments.every :: arguments.every]:
            expected, got = make_template_cases.render(environment, source, context), ask_kvasir(path, context)
            compared += 1
            errors += "error" in expected
            if expected.get("out") != got.get("out"):
                different += 1
                print(f"{path}, conversation '{name}':\n  jinja2  {expected}\n  kvasir  {got}")
    print(f"{compared} compared, {errors} of them errors, {different} different")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
