"""JSON Schema, keyword by keyword, with PyPI jsonschema as the judge; and `kvasir grammar`, with which anybody can try it."""

import json
import sys

import pytest
from program import BINARY, MODELS, ROOT

sys.path.insert(0, str(ROOT / "tools"))
import structured_output_table as tables  # noqa: E402

CASES = json.loads(tables.CASES.read_text(encoding="utf-8"))
REFUSED = json.loads((tables.CASES.parent / "refused.json").read_text(encoding="utf-8"))
SMOLLM2 = str(MODELS / "smollm2.gguf")
SAMPLES = 6


@pytest.fixture(scope="session")
def answers() -> list[dict]:
    return tables.ask(str(BINARY), SMOLLM2, CASES, SAMPLES)


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda n: f"{n}-{CASES[n]['keyword']}")
def test_documents_are_those_of_the_schema(answers, number):
    result = tables.judge(CASES[number], answers[number])
    assert result["accepted"] == result["valid"] and result["refused"] == result["invalid"], answers[number]["matches"]
    assert not result["broken"]


def test_walks_end(answers):
    """Only then is there a document to judge. Where a pattern has no end of its own a random walk hardly ever finds one."""
    results = [tables.judge(case, answer) for case, answer in zip(CASES, answers, strict=True)]
    assert sum(result["ended"] for result in results) >= 0.9 * sum(result["samples"] for result in results)


def test_the_published_table_is_what_is_measured(answers):
    fresh = tables.table([(case["keyword"], tables.judge(case, answer)) for case, answer in zip(CASES, answers, strict=True)])
    assert fresh == tables.published()


def test_what_cannot_be_kept_is_refused_with_its_pointer(kvasir):
    lines = [json.dumps({"schema": case["schema"], "texts": ["{}"]}) for case in REFUSED]
    answers = [json.loads(line) for line in kvasir.ok("grammar", "--cases", stdin="\n".join(lines)).splitlines()]
    assert len(answers) == len(REFUSED)
    for case, answer in zip(REFUSED, answers, strict=True):
        assert f"the schema at {case['pointer']} " in answer["error"], (case, answer)


def test_a_text_is_judged(kvasir, tmp_path):
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "integer", "minimum": 3}')
    assert kvasir.ok("grammar", "--json-schema", str(schema), stdin="4\n") == "yes\n"
    done = kvasir("grammar", "--json-schema", str(schema), stdin="2")
    assert (done.returncode, done.stdout) == (1, b"no\n")
    grammar = tmp_path / "grammar.gbnf"
    grammar.write_text('root ::= "a" root | "b"')
    assert kvasir.ok("grammar", "--grammar", str(grammar), stdin="aab") == "yes\n"
    assert "line 1, column 10" in kvasir.fails("grammar", "--grammar", "-", code=2, stdin="root ::= *")


def test_samples_are_texts_of_the_form(kvasir):
    lines = kvasir.ok("grammar", "--regex", "[a-c]{2}(x|yz)", "--samples", "30", "-m", SMOLLM2).splitlines()
    assert len(lines) == 30 and len(set(lines)) > 3
    cases = json.dumps({"regex": "[a-c]{2}(x|yz)", "texts": [json.loads(line) for line in lines]})
    assert json.loads(kvasir.ok("grammar", "--cases", stdin=cases))["matches"] == [True] * 30


def test_a_model_answers_in_the_form(kvasir, tmp_path):
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps({"type": "object", "properties": {"city": {"type": "string", "maxLength": 20},
                                                                   "people": {"type": "integer", "maximum": 999}},
                                  "required": ["city", "people"], "additionalProperties": False}))
    answer = kvasir.ok("run", "-m", "smollm2", "-p", "Describe Paris as JSON.", "--greedy", "-q", "--json-schema", str(schema))
    assert set(json.loads(answer)) == {"city", "people"}
    assert kvasir.ok("run", "-m", "smollm2", "-p", "Is water wet?", "-q", "--regex", "yes|no").strip() in ("yes", "no")
    assert kvasir.ok("chat", "-m", "smollm2", "--regex", "[ab]{3}", stdin="Hi\n").strip().strip("ab") == ""


def test_wrong_forms_are_usage_errors(kvasir):
    assert "--regex cannot be used: the regular expression '(' is wrong at byte 1" in kvasir.fails(
        "run", "-m", "smollm2", "-p", "x", "--regex", "(", code=2)
    assert "there is no form" in kvasir.fails("grammar", code=2)
    assert "name one with -m" in kvasir.fails("grammar", "--regex", "a", "--samples", "3", code=2)
