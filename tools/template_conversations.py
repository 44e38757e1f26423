"""The conversations that make_template_cases.py renders with every published template."""

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather at a place, now.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "City & country, e.g. \"Köln, DE\""},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                "days": {"type": ["integer", "null"], "default": 1, "minimum": 0.5},
            },
            "required": ["city"],
        },
    },
}
SEARCH = {
    "type": "function",
    "function": {
        "name": "search",
        "description": "Searches <documents>.\nReturns a list.",
        "parameters": {
            "type": "object",
            "properties": {
                "query": {"type": "string"},
                "filter": {"type": "object", "properties": {"year": {"type": "integer"}}, "required": []},
                "tags": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["query", "tags"],
        },
        "return": {"type": "array", "items": {"type": "string"}},
    },
}
NO_ARGUMENTS = {
    "type": "function",
    "function": {"name": "now", "description": "", "parameters": {"type": "object", "properties": {}}},
}
TOOLS = [WEATHER, SEARCH, NO_ARGUMENTS]

DOCUMENTS = [
    {"title": "One", "text": "First text.", "doc_id": 1},
    {"title": "Zwei", "text": "Zweiter \"Text\" & mehr.", "doc_id": 2},
]


def user(content):
    return {"role": "user", "content": content}


def assistant(content, **more):
    return {"role": "assistant", "content": content, **more}


def system(content):
    return {"role": "system", "content": content}


def call(name, arguments, call_id="call00001"):
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def tool(content, name="get_weather", call_id="call00001"):
    return {"role": "tool", "name": name, "tool_call_id": call_id, "content": content}


ODD_TEXT = "  Ünïcödé 🙂 日本語 {{ braces }} {% tag %} {# no #} \"quoted\" 'single' <b>&amp;</b>\n\n\ttabbed\\n  "


def _conversations():
    yield "one", {"messages": [user("Hi")]}
    yield "system", {"messages": [system("Be brief."), user("Hi")], "add_generation_prompt": True}
    yield "turns", {
        "messages": [user("One?"), assistant("1"), user("Two?"), assistant("2"), user("Three?")],
        "add_generation_prompt": True,
    }
    yield "ends with assistant", {"messages": [system("S"), user("A"), assistant("B")]}
    yield "odd text", {
        "messages": [system(ODD_TEXT), user(ODD_TEXT), assistant(ODD_TEXT), user(" x ")],
        "add_generation_prompt": True,
    }
    yield "tools", {"messages": [user("Weather?")], "tools": TOOLS, "add_generation_prompt": True}
    yield "tools and system", {"messages": [system("S"), user("Weather?")], "tools": [WEATHER]}
    yield "tool call", {
        "messages": [
            system("S"),
            user("Weather in Köln?"),
            assistant(None, tool_calls=[call("get_weather", {"city": "Köln", "days": 3, "unit": None, "x": [1.5, True]})]),
            tool('{"temperature": 21.5}'),
            assistant("It is 21.5 degrees."),
            user("Thanks"),
        ],
        "tools": TOOLS,
        "add_generation_prompt": True,
    }
    yield "tool result is last", {
        "messages": [
            user("Weather?"),
            assistant("", tool_calls=[call("get_weather", {"city": "Rome"})]),
            tool("sunny"),
        ],
        "tools": [WEATHER],
        "add_generation_prompt": True,
    }
    yield "two calls", {
        "messages": [
            user("Both?"),
            assistant(
                "Let me see.",
                tool_calls=[
                    call("get_weather", {"city": "A"}, "callaaaaa"),
                    call("search", {"query": "q", "tags": ["a", "b"]}, "callbbbbb"),
                ],
            ),
            tool({"temperature": 1}, call_id="callaaaaa"),
            tool(["x", "y"], "search", "callbbbbb"),
        ],
        "tools": TOOLS,
        "add_generation_prompt": True,
    }
    yield "arguments as text", {
        "messages": [
            user("Weather?"),
            assistant(None, tool_calls=[call("get_weather", '{"city": "Rome"}')]),
            tool("sunny"),
            user("Thanks"),
        ],
        "tools": [WEATHER],
    }
    yield "call is last", {
        "messages": [user("W?"), assistant(None, tool_calls=[call("now", {})])],
        "tools": [NO_ARGUMENTS],
    }
    yield "parts", {
        "messages": [
            system([{"type": "text", "text": "S"}]),
            user([{"type": "text", "text": "Look: "}, {"type": "image"}, {"type": "text", "text": "well?"}]),
            assistant([{"type": "text", "text": "Nice."}]),
            user([{"type": "text", "text": "Bye"}]),
        ],
        "add_generation_prompt": True,
    }
    yield "documents", {
        "messages": [system("S"), user("What do they say?")],
        "documents": DOCUMENTS,
        "add_generation_prompt": True,
    }
    yield "thinking", {
        "messages": [
            user("2+2?"),
            assistant("<think>\nFour, surely.\n</think>\n\n4"),
            user("3+3?"),
            assistant("6", reasoning_content="Six."),
            user("4+4?"),
        ],
        "add_generation_prompt": True,
        "enable_thinking": True,
        "thinking": True,
        "keep_past_thinking": True,
    }
    yield "no thinking", {
        "messages": [system("S /no_think"), user("2+2?"), assistant("4", thinking="x"), user("3?")],
        "add_generation_prompt": True,
        "enable_thinking": False,
        "thinking": False,
        "reasoning_effort": "high",
        "thinking_budget": 512,
        "date_string": "1 Jan 2025",
    }
    yield "developer", {
        "messages": [{"role": "developer", "content": "D"}, user("Hi"), assistant("x", thinking="t")],
        "tools": [WEATHER],
        "builtin_tools": ["browser", "python"],
        "model_identity": "You are K.",
    }
    yield "unknown role", {"messages": [user("Hi"), {"role": "narrator", "content": "Once."}]}
    yield "two users", {"messages": [user("A"), user("B")], "add_generation_prompt": True}
    yield "nothing", {"messages": []}
    yield "content is absent", {"messages": [user("A"), {"role": "assistant"}, user("B")]}


def contexts():
    """(name, variables) of each conversation, prepared the way transformers prepares them."""
    for name, conversation in _conversations():
        context = {"bos_token": "<s>", "eos_token": "</s>", "tools": None, "documents": None}
        yield name, {**context, "add_generation_prompt": False, **conversation}
