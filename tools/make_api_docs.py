#!/usr/bin/env python3
"""Writes docs/api.md from src/server/openapi.json, the description that the server itself hands out.

usage: make_api_docs.py [--check]     --check: only say whether docs/api.md is what would be written
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SPEC = ROOT / "src/server/openapi.json"
PAGE = ROOT / "docs/api.md"
EVERYWHERE = "RequestId"  # the parameter of every route


def name_of(reference: str) -> str:
    return reference.rsplit("/", 1)[1]


def link(name: str) -> str:
    return f"[{name}](#{name.lower()})"


def kind(schema: dict) -> str:
    """The type in a few words: "integer, 0 to 20", "list of [Message](#message)"."""
    if "$ref" in schema:
        return link(name_of(schema["$ref"]))
    if "anyOf" in schema or "oneOf" in schema:
        return " or ".join(dict.fromkeys(kind(one) for one in schema.get("anyOf", schema.get("oneOf"))))
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return " or ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
    types = schema.get("type", "any")
    words = " or ".join(types) if isinstance(types, list) else types
    if words == "array":
        inner = kind(schema["items"]) if schema.get("items") else "anything"
        words = f"list of {inner}"
        if "maxItems" in schema:
            words += f", {schema['maxItems']} at most"
    return words + bounds(schema)


def bounds(schema: dict) -> str:
    low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum", schema.get("exclusiveMaximum"))
    above, below = "exclusiveMinimum" in schema, "exclusiveMaximum" in schema
    if low is not None and high is not None and not above and not below:
        return f", {low} to {high}"
    parts = []
    if low is not None:
        parts.append(f"{'above' if above else 'at least'} {low}")
    if high is not None:
        parts.append(f"{'below' if below else 'at most'} {high}")
    if "maxLength" in schema:
        parts.append(f"{schema['maxLength']} characters at most")
    return "".join(f", {part}" for part in parts)


def default(schema: dict) -> str:
    return f"`{json.dumps(schema['default'])}`" if "default" in schema else ""


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def members(schema: dict) -> list[str]:
    required = set(schema.get("required", []))
    lines = ["| member | type | default | |", "|---|---|---|---|"]
    for name, one in schema["properties"].items():
        about = one.get("description", "")
        if name in required:
            about = f"Required. {about}".strip()
        lines.append(f"| `{name}` | {cell(kind(one))} | {cell(default(one))} | {cell(about)} |")
    return lines


def content(item: dict) -> str:
    parts = []
    for media, one in item.get("content", {}).items():
        schema = one.get("schema", {})
        parts.append(f"{media}: {kind(schema)}" if "$ref" in schema else media)
    return "; ".join(parts)


def headers(operation: dict, spec: dict) -> list[str]:
    """The headers that the operation reads, beside those which all do."""
    names = [name_of(one["$ref"]) for one in operation.get("parameters", []) if "$ref" in one]
    found = [spec["components"]["parameters"][name] for name in names if name != EVERYWHERE]
    return [f"Header `{one['name']}`: {one['description']}" for one in found]


def route(path: str, method: str, operation: dict, spec: dict) -> list[str]:
    lines = [f"### {method.upper()} {path}", "", operation.get("description", operation["summary"]).rstrip(".") + "."]
    if operation.get("security") == []:
        lines[-1] += " Needs no key."
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body and "$ref" in body:
        lines += ["", f"Body: {kind(body)}"]
    elif body and "properties" in body:
        lines += ["", "Body:", "", *members(body)]
    for line in headers(operation, spec):
        lines += ["", line]
    lines += ["", "| status | | content |", "|---|---|---|"]
    for status, answer in operation["responses"].items():
        lines.append(f"| {status} | {cell(answer['description'])} | {cell(content(answer))} |")
    good = operation["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if good.get("properties"):
        lines += ["", "The answer:", "", *members(good)]
    return lines


def schema_section(name: str, schema: dict) -> list[str]:
    lines = [f"### {name}"]
    if "description" in schema:
        lines += ["", schema["description"]]
    if "properties" in schema:
        lines += ["", *members(schema)]
    elif "$ref" in schema or "anyOf" in schema or "oneOf" in schema:
        lines += ["", kind(schema)]
    return lines


def render(spec: dict) -> str:
    everywhere = spec["components"]["parameters"][EVERYWHERE]
    lines = ["# The API", "", spec["info"]["description"], "", f"Header `{everywhere['name']}`, of every route: {everywhere['description']}", "",
             "This page is made from [openapi.json](../src/server/openapi.json) by `tools/make_api_docs.py`; the server hands the same file out at",
             "`/openapi.json`. Examples: [clients.md](clients.md). What differs from OpenAI, and why: [serving.md](serving.md).", "", "## Routes", ""]
    for path, item in spec["paths"].items():
        for method, operation in item.items():
            lines += [*route(path, method, operation, spec), ""]
    lines += ["## Objects", ""]
    for name, schema in spec["components"]["schemas"].items():
        lines += [*schema_section(name, schema), ""]
    return "\n".join(lines).rstrip() + "\n"


def main() -> int:
    text = render(json.loads(SPEC.read_text()))
    if sys.argv[1:] != ["--check"]:
        PAGE.write_text(text)
        return 0
    if PAGE.exists() and PAGE.read_text() == text:
        print("docs/api.md says what src/server/openapi.json says")
        return 0
    print("docs/api.md is not what src/server/openapi.json says: run tools/make_api_docs.py")
    return 1


if __name__ == "__main__":
    sys.exit(main())
