"""Answers of a given form over HTTP: response_format, json_schema, regex and grammar, with the real client."""

import json
import re
from typing import Annotated

import jsonschema
import pytest
from pydantic import BaseModel, Field

CHAT, COMPLETIONS, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/responses"
PERSON = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 15}, "age": {"type": "integer", "minimum": 0, "maximum": 120}},
          "required": ["name", "age"], "additionalProperties": False}
AS_SCHEMA = {"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": PERSON}}


def ask(text: str = "Tell me about a person as JSON.", **members) -> dict:
    return {"messages": [{"role": "user", "content": text}], "max_tokens": 150, "seed": 1, **members}


def contents(server, body: dict) -> list[str]:
    answer = server.post(CHAT, body)
    assert answer.status == 200, answer.body
    choices = answer.json["choices"]
    assert all(choice["finish_reason"] == "stop" for choice in choices), choices
    return [choice["message"]["content"] for choice in choices]


def content(server, body: dict) -> str:
    return contents(server, body)[0]


Name = Annotated[str, Field(max_length=12)]


class Person(BaseModel):
    name: Name
    likes: Annotated[list[Name], Field(max_length=2)]
    partner: Name | None


def test_a_schema_is_kept(server):
    texts = contents(server, ask(n=4, temperature=1.5, response_format=AS_SCHEMA))
    assert len(texts) == 4
    for text in texts:
        jsonschema.validate(json.loads(text), PERSON)
    for form in ({"response_format": {"type": "json_object", "schema": PERSON}},
                 {"response_format": {"type": "json_schema", "schema": PERSON}}, {"json_schema": PERSON}):
        jsonschema.validate(json.loads(content(server, ask(**form))), PERSON)


def test_an_object_begins_at_once(server):
    whole = 0
    choices = server.post(CHAT, ask("Say the JSON object with one member a that is 1.", n=4, max_tokens=200,
                                    response_format={"type": "json_object"})).json["choices"]
    assert len(choices) == 4
    for choice in choices:
        text = choice["message"]["content"]
        assert text.startswith("{")
        if choice["finish_reason"] == "stop":  # a small model may go on and on
            whole += isinstance(json.loads(text), dict)
    assert whole > 0


def test_regex_and_grammar(server):
    assert content(server, ask("Is water wet?", regex="yes|no")) in ("yes", "no")
    assert re.fullmatch("[a-c]{3}-[0-9]{2}", content(server, ask(regex="^[a-c]{3}-\\d{2}$")))
    assert content(server, ask(grammar='root ::= "(" root ")" | "x"', temperature=0, max_tokens=60)).strip("()") == "x"


def test_every_choice_has_its_own_state(server):
    answer = server.post(CHAT, ask(n=3, temperature=1.2, response_format=AS_SCHEMA)).json
    assert len(answer["choices"]) == 3
    for choice in answer["choices"]:
        jsonschema.validate(json.loads(choice["message"]["content"]), PERSON)
    batch = server.post(COMPLETIONS, {"prompt": ["One:", "Two:"], "max_tokens": 20, "regex": "[0-9]{1,3}"}).json
    assert all(re.fullmatch("[0-9]{1,3}", choice["text"]) for choice in batch["choices"])


def test_an_answer_that_was_cut_off_says_so(server):
    answer = server.post(CHAT, ask(response_format=AS_SCHEMA, max_tokens=3)).json
    assert answer["choices"][0]["finish_reason"] == "length"


def test_probabilities_are_those_of_the_model(server):
    choice = server.post(CHAT, ask("Is water wet?", regex="yes|no", logprobs=True, top_logprobs=5)).json["choices"][0]
    first = choice["logprobs"]["content"][0]
    # The alternatives are what the model thought, whether or not they were allowed.
    assert len(first["top_logprobs"]) == 5 and first["logprob"] <= first["top_logprobs"][0]["logprob"]


def test_the_client_parses(client):
    done = client.chat.completions.parse(model="smollm2", max_tokens=200, seed=3, response_format=Person,
                                         messages=[{"role": "user", "content": "Make up a person."}])
    assert isinstance(done.choices[0].message.parsed, Person)
    response = client.responses.parse(model="smollm2", max_output_tokens=200, text_format=Person, input="Make up a person.")
    assert isinstance(response.output_parsed, Person)


def test_the_client_streams(client):
    with client.chat.completions.stream(model="smollm2", max_tokens=200, seed=4, response_format=Person,
                                        messages=[{"role": "user", "content": "Make up a person."}]) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert "content.delta" in kinds
    assert isinstance(final.choices[0].message.parsed, Person)


def test_responses_repeat_their_format(server):
    answer = server.post(RESPONSES, {"input": "A person as JSON.", "max_output_tokens": 150,
                                     "text": {"format": {"type": "json_schema", "name": "p", "schema": PERSON, "strict": True}}}).json
    jsonschema.validate(json.loads(answer["output"][0]["content"][0]["text"]), PERSON)
    assert answer["text"]["format"]["type"] == "json_schema" and answer["text"]["format"]["schema"] == PERSON


@pytest.mark.parametrize(("members", "param", "message"), [
    ({"response_format": {"type": "sound"}}, "response_format.type", "must be \"text\", \"json_object\" or \"json_schema\""),
    ({"response_format": "json"}, "response_format", "must be an object"),
    ({"response_format": {"type": "json_schema"}}, "response_format.schema", "is missing"),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}, "response_format.json_schema.schema", "is missing"),
    ({"response_format": {"type": "json_schema", "json_schema": {"schema": 123}}}, "response_format.json_schema.schema", "at # must be an object"),
    ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"properties": {"a": {"not": {}}}}}}},
     "response_format.json_schema.schema", "#/properties/a/not is a keyword that is not supported"),
    ({"response_format": {"type": "json_schema", "json_schema": {"schema": {}, "extra": 1}}}, "response_format.json_schema.extra", "extra"),
    ({"json_schema": {"type": "strin"}}, "json_schema", "#/type is strin"),
    ({"regex": "(a"}, "regex", "a ) is missing"),
    ({"regex": "(?<=x)*"}, "regex", "look-around"),
    ({"regex": "a{0,60000}b{0,60000}(c{0,60000}){0,60000}"}, "regex", "use smaller repeats"),
    ({"grammar": "root ::= other"}, "grammar", "uses the rule other"),
    ({"grammar": "root ::= " + "(" * 60_000}, "grammar", "nest deeper"),
    ({"grammar": "%llguidance {}"}, "grammar", "line 1"),
    ({"grammar": 'root ::= root "a" | "b"'}, "grammar", "may begin with itself"),
    ({"grammar": "root ::= <no_such_token>"}, "grammar", "<no_such_token>"),
    ({"regex": "a", "grammar": 'root ::= "a"'}, "grammar", "grammar and regex both"),
    ({"response_format": {"type": "json_object"}, "regex": "a"}, "regex", "regex and response_format both"),
    ({"regex": "a", "ignore_eos": True}, "ignore_eos", "regex"),
])
def test_what_cannot_be_kept_is_refused(server, members, param, message):
    error = server.refuses(CHAT, ask(**members), param=param)
    assert message in error["message"]


def test_beside_tools_an_answer_is_in_the_form_or_a_call(server):
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    answer = server.post(CHAT, ask(tools=[tool], regex="[ab]{3}", max_tokens=60)).json["choices"][0]
    assert answer["message"].get("tool_calls") or re.fullmatch("[ab]{3}", answer["message"]["content"]), answer
    assert re.fullmatch("[ab]{3}", content(server, ask(tools=[tool], tool_choice="none", regex="[ab]{3}")))


def test_text_is_no_form(server):
    assert server.post(CHAT, ask(response_format={"type": "text"}, regex="a+", max_tokens=4)).status == 200
    server.refuses(RESPONSES, {"input": "Hi", "text": {"format": {"type": "grammar"}}}, param="text.format.type")
    server.refuses(RESPONSES, {"input": "Hi", "regex": "a", "text": {"format": {"type": "json_object"}}}, param="text.format")
