"""chat: on a terminal, and line by line through a pipe."""

import json
import re
import signal
import time
from pathlib import Path

import pytest
from program import SLOWNESS

PROMPT = r">\x1b\[0m "
MORE = r"\.\x1b\[0m "
GREEDY = ["--greedy", "-n", "24", "--compute", "exact"]


@pytest.fixture
def chat(terminal, smollm2):
    def start(*args, **env):
        screen = terminal("chat", "-m", smollm2, *args, **env)
        screen.expect(r"/help")
        screen.expect(PROMPT)
        return screen
    return start


def ask(screen, text: str) -> str:
    """Sends a message and gives what the screen shows of the answer and its figures."""
    screen.line(text)
    screen.expect(r"\n")
    start = screen.seen
    screen.expect(r"peak memory [^\r]*\r\n")
    end = screen.seen
    screen.expect(PROMPT)
    return screen.output[start:end]


def tokens(screen) -> tuple[int, int]:
    """How many tokens the last prompt had, and how many of them were in the cache."""
    screen.line("/stats")
    found = screen.expect(r"last answer: (\d+) tokens of prompt(?:, (\d+) of them from the cache,)? and \d+ of answer")
    screen.expect(PROMPT)
    return int(found[1]), int(found[2] or 0)


def test_stats_say_which_stages_chose_the_tokens(kvasir, small_model):
    say = "One\n/stats\n"
    stats = lambda *flags: kvasir("chat", "-m", small_model, "-n", "2", *flags, stdin=say).stderr.decode()  # noqa: E731
    assert "sampling: argmax\n" in stats("--greedy")
    assert "sampling: temperature(0.8) > mirostat2(tau 5, eta 0.1) > draw(seed " in stats("--mirostat", "2")


def test_through_a_pipe_it_answers_each_line(kvasir, smollm2):
    done = kvasir("chat", "-m", smollm2, *GREEDY, stdin="What is the capital of France?\n\nAnd of Italy?\n")
    assert done.returncode == 0 and done.stderr == b""
    text = done.stdout.decode()
    assert "Paris" in text and "Rome" in text
    assert ">" not in text and "\x1b" not in text


def test_a_pipe_that_ends_without_a_newline(kvasir, smollm2):
    assert "Paris" in kvasir.ok("chat", "-m", smollm2, *GREEDY, stdin="What is the capital of France?")


def test_a_block_through_a_pipe_is_one_message(kvasir, smollm2, tmp_path):
    saved = tmp_path / "chat.json"
    kvasir.ok("chat", "-m", smollm2, "-n", "4", stdin=f'"""\none\n\ntwo\n"""\nthree\\\nfour\n/save {saved}\n')
    messages = json.loads(saved.read_text())["messages"]
    assert [m["content"] for m in messages if m["role"] == "user"] == ["one\n\ntwo", "three\nfour"]


def test_a_saved_chat_goes_on_as_if_it_had_never_ended(kvasir, smollm2, tmp_path):
    saved, again = tmp_path / "a chat.json", tmp_path / "again.json"
    brief = [*GREEDY, "-n", "12"]
    whole = kvasir.ok("chat", "-m", smollm2, *brief, "--system", "Be brief.",
                      stdin=f"My name is Ada.\n/save {saved}\nWhat is my name?\n")
    chat = json.loads(saved.read_text())
    assert [m["role"] for m in chat["messages"]] == ["system", "user", "assistant"]
    rest = kvasir.ok("chat", "-m", smollm2, *brief, stdin=f"/load {saved}\nWhat is my name?\n/save {again}\n")
    messages = json.loads(again.read_text())["messages"]
    assert messages[:3] == chat["messages"]
    assert messages[-1]["content"] == rest.removesuffix("\n")
    assert whole == messages[2]["content"] + "\n" + rest


def test_what_was_said_before_is_known(kvasir, smollm2, tmp_path):
    before = tmp_path / "before.json"
    before.write_text(json.dumps([{"role": "user", "content": "My dog is called Rex."},
                                  {"role": "assistant", "content": "Rex is a lovely name for a dog."}]))
    question = "What is the name of my dog?\n"
    assert "Rex" in kvasir.ok("chat", "-m", smollm2, *GREEDY, stdin=f"/load {before}\n{question}")
    assert "Rex" not in kvasir.ok("chat", "-m", smollm2, *GREEDY, stdin=f"/load {before}\n/reset\n{question}")


def test_commands_without_a_terminal(kvasir, smollm2, tmp_path):
    (tmp_path / "bad.json").write_text("{")
    done = kvasir("chat", "-m", smollm2, "-n", "4", cwd=tmp_path,
                  stdin="/rest\n/load bad.json\n/load none.json\n/save\n/save no/such/folder.json\n/regen\n"
                        "/system Be kind.\n/system\n/help\n/stats\n/reset\n/exit\nnever answered\n")
    err = done.stderr.decode()
    assert done.returncode == 0 and done.stdout == b""
    for expected in ("there is no command /rest; did you mean /reset?", "bad.json: it is not JSON", "none.json",
                     "/save needs a file name", "cannot write no/such/folder.json", "There is no answer to replace",
                     "System message: Be kind.", "/regen", "int8", "The conversation is forgotten"):
        assert expected in err, expected


def test_bad_bytes_in_a_message_are_refused_and_the_chat_goes_on(kvasir, smollm2):
    done = kvasir("chat", "-m", smollm2, *GREEDY, stdin=b"caf\xe9\nWhat is the capital of France?\n")
    assert b"not UTF-8" in done.stderr and b"Paris" in done.stdout


def test_a_base_model_is_continued(kvasir, gemma3):
    done = kvasir("chat", "-m", gemma3, "--greedy", "-n", "5", "--compute", "exact",
                  stdin="The capital of Italy is Rome. The capital of Germany is Berlin. The capital of France is\n")
    assert b"Paris" in done.stdout
    assert b"Plain continuation" in done.stderr


def test_a_conversation_longer_than_the_context(kvasir, smollm2):
    lines = "".join(f"Remember the number {i}. Say it back to me in a long sentence.\n" for i in range(8))
    done = kvasir("chat", "-m", smollm2, "-c", "256", "-n", "40", "--seed", "1", stdin=lines)
    assert done.returncode == 0
    assert b"The context of 256 tokens is full" in done.stderr
    too_long = kvasir("chat", "-m", smollm2, "-c", "128", "-n", "8", stdin="word " * 300 + "\nHello\n")
    assert b"the context holds 128" in too_long.stderr
    assert too_long.stdout.strip()  # and "Hello" is answered


def test_on_a_terminal(chat):
    screen = chat(*GREEDY)
    assert "Paris" in ask(screen, "What is the capital of France?")
    assert tokens(screen)[1] == 0
    assert "Rome" in ask(screen, "And of Italy?")
    assert tokens(screen)[1] > 40  # the first exchange was not computed again
    screen.type("\x04")
    assert screen.wait() == 0


def test_the_line_with_the_figures_is_short_and_honest(chat):
    screen = chat("-n", "30", "--temp", "1", "--seed", "1")
    peaks = []
    for text in ("Tell me about otters.", "More, please."):
        line = ask(screen, text).split("\r\n")[-2]
        assert line.startswith("\x1b[2mprompt ")
        line = line.removeprefix("\x1b[2m")
        assert len(line) <= 100
        found = re.fullmatch(r"prompt [\d.]+ tok/s \(\d+% of limit\) · answer [\d.]+ tok/s \(\d+%\) · KV [\d.]+ [kM]B"
                             r" · peak memory (\d+) MB", line)
        assert found, line
        peaks.append(int(found[1]))
    # The buffer with which the limits are measured, as large as the weights, is no memory of the model.
    assert peaks[1] - peaks[0] < 30, peaks


def test_almost_all_of_an_earlier_exchange_is_cached(chat):
    screen = chat("--temp", "1", "--seed", "3", "-n", "40")
    for turn, text in enumerate(("Tell me about otters.", "More, please.", "And beavers?")):
        ask(screen, text)
        prompt, cached = tokens(screen)
        if turn:
            assert prompt - cached < 25  # the new message and the template around it only
    assert cached > 60


ENDLESS = ["-n", "-1", "--temp", "1", "--logit-bias", "2:-inf", "--logit-bias", "0:-inf"]


def test_ctrl_c_stops_the_answer_and_not_the_program(chat):
    screen = chat(*ENDLESS)
    screen.line("Tell me a very long story.")
    screen.expect(r"\n[^\n]*\w+ \w+ \w+")
    screen.send("\x03")
    screen.expect(r"\(stopped\)")
    screen.expect(r"peak memory")
    screen.expect(PROMPT)
    for _ in range(3):
        screen.type("half a line")
        screen.expect("half a line")
        screen.type("\x03")  # at the prompt it gives up the line, as often as one likes
        screen.expect(PROMPT)
    screen.line("/exit")
    assert screen.wait() == 0


def test_ctrl_c_while_the_prompt_is_read_leaves_the_conversation_as_it_was(chat, tmp_path):
    saved, long_chat = tmp_path / "saved.json", tmp_path / "long.json"
    turns = [{"role": role, "content": "word " * 900} for _ in range(3) for role in ("user", "assistant")]
    long_chat.write_text(json.dumps({"messages": turns}))
    screen = chat("-n", "4", "--compute", "exact")
    screen.line(f"/load {long_chat}")
    screen.expect("Loaded 6 messages")
    screen.expect(PROMPT)
    screen.line("Hello")
    screen.expect(r"reading the conversation \[[#-]+\] ")
    screen.send("\x03")
    screen.expect(r"\(stopped\)")
    screen.expect(PROMPT)
    screen.line(f"/save {saved}")
    screen.expect("Saved 6 messages")
    assert json.loads(saved.read_text())["messages"] == turns


def test_ctrl_c_while_loading_ends_the_program(terminal, gemma3):
    for _ in range(5):  # where loading is over before the key arrives, it was pressed at the prompt, which is another test's matter
        screen = terminal("chat", "-m", gemma3)
        end = time.monotonic() + 20 * SLOWNESS
        while "gemma3" not in Path(f"/proc/{screen.pid}/maps").read_text():  # the file is mapped first, then packed
            assert time.monotonic() < end
            time.sleep(0.005)
        screen.send("\x03")
        if screen.ends_or_shows("/help"):
            break
    assert screen.wait() == -signal.SIGINT
    assert "/help" not in screen.output


def test_regen_gives_another_answer(chat):
    screen = chat("--seed", "1", "--temp", "1.5", "-n", "20")
    first = ask(screen, "Invent a word.")
    second = ask(screen, "/regen")
    assert first.split("prompt")[0] != second.split("prompt")[0]


def test_several_lines_show_another_prompt(chat, tmp_path):
    screen = chat("-n", "4")
    screen.line('"""')
    screen.expect(MORE)
    screen.line("one")
    screen.expect(MORE)
    screen.line('two"""')
    screen.expect("peak memory")
    screen.expect(PROMPT)
    screen.line('"""never sent')
    screen.expect(MORE)
    screen.type("\x03")  # gives up the whole message
    screen.expect(PROMPT)
    saved = tmp_path / "chat.json"
    screen.line(f"/save {saved}")
    screen.expect("Saved 2 messages")
    assert json.loads(saved.read_text())["messages"][0]["content"] == "one\ntwo"


def test_history_is_kept_for_the_next_time(chat, kvasir):
    screen = chat("-n", "2")
    ask(screen, "Gr\u00fc\u00dfe an alle")
    screen.line("/exit")
    assert screen.wait() == 0
    assert (kvasir.home / "state/kvasir/history").exists()
    screen = chat("-n", "2")
    screen.type("\x1b[A\x1b[A")  # past /exit
    screen.expect("Gr\u00fc\u00dfe an alle")
    screen.type("\r")
    screen.expect("peak memory")


def test_a_home_that_cannot_be_written(chat):
    screen = chat("-n", "2", XDG_STATE_HOME="/proc/nowhere")
    ask(screen, "Hello")
    screen.type("\x04")
    assert screen.wait() == 0


def test_without_colours(terminal, smollm2):
    screen = terminal("chat", "-m", smollm2, "-n", "2", NO_COLOR="1")
    screen.expect(r"\r\n> ")
    screen.line("Hello")
    screen.expect("peak memory")
    screen.expect(r"\r\n> ")
    screen.line("/exit")
    assert screen.wait() == 0
    assert not re.search(r"\x1b\[[\d;]*m", screen.output)


def test_a_narrow_terminal(terminal, smollm2):
    screen = terminal("chat", "-m", smollm2, "-n", "4", columns=30)
    screen.expect(PROMPT)
    ask(screen, "Say something that is longer than this terminal is wide, please.")
    screen.type("\x04")
    assert screen.wait() == 0
