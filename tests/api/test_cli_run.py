"""run: a prompt, an answer, and what it cost."""

import json
import re
import signal
import subprocess
import time

import pytest
from conftest import SMALL_EOS
from program import BINARY

STATS = (r"^prompt [\d.]+ tok/s \(\d+% of limit\) · answer [\d.]+ tok/s \(\d+%\) · KV [\d.]+ [kM]B"
         r" · peak memory [\d.]+ [MG]B\n$")


EXACT = ["--compute", "exact", "--greedy"]  # where the words of the answer count


def answer(kvasir, *args, **kwargs) -> dict:
    """Without the figures that would have to be measured."""
    return json.loads(kvasir.ok("run", "--json", "-q", *args, **kwargs))


def test_an_answer_and_one_quiet_line(kvasir, smollm2):
    done = kvasir("run", "-m", smollm2, "-p", "What is the capital of France?", *EXACT, "-n", "20")
    assert done.returncode == 0
    assert "Paris" in done.stdout.decode()
    assert done.stdout.endswith(b"\n")
    line = done.stderr.decode()
    assert re.match(STATS, line) and len(line) <= 101, line


def test_json_has_everything(kvasir, smollm2):
    common = ["-m", smollm2, "-p", "Name a colour.", "-n", "8", "--seed", "5", "--samplers", "top_k;temperature"]
    got = json.loads(kvasir.ok("run", "--json", *common))
    assert got["seed"] == 5
    assert got["sampling"] == "top_k(40) > temperature(0.8) > draw(seed 5) (not in the order: top_p, min_p)"
    assert 0 < len(got["tokens"]) <= 8 and got["generated_tokens"] == len(got["tokens"])
    assert got["finish_reason"] in ("stop", "length")
    assert got["prompt_tokens"] > 0 and got["cached_tokens"] == 0
    for key in ("prompt_tokens_per_second", "prompt_percent_of_limit", "decode_tokens_per_second",
                "decode_percent_of_limit", "kv_bytes", "peak_resident_bytes"):
        assert got[key] > 0, key
    quiet = answer(kvasir, *common)
    assert list(quiet) == list(got) and quiet["tokens"] == got["tokens"] and quiet["decode_tokens_per_second"] > 0
    assert quiet["prompt_percent_of_limit"] is None and quiet["decode_percent_of_limit"] is None


def test_the_prompt_from_a_file_or_standard_input(kvasir, smollm2, tmp_path):
    (tmp_path / "prompt.txt").write_text("What is the capital of France?\n")
    common = ["-m", smollm2, "--greedy", "-n", "12"]
    texts = {answer(kvasir, *common, "-p", "What is the capital of France?")["text"],
             answer(kvasir, *common, "-f", str(tmp_path / "prompt.txt"))["text"],
             answer(kvasir, *common, "-f", "-", stdin="What is the capital of France?\n")["text"],
             answer(kvasir, *common, stdin="What is the capital of France?\n")["text"]}
    assert len(texts) == 1


def test_the_same_seed_gives_the_same_text(kvasir, smollm2):
    common = ["-m", smollm2, "-p", "Tell me a story.", "-n", "24", "--temp", "1.2"]
    one = answer(kvasir, *common, "--seed", "1", "-t", "1")
    two = answer(kvasir, *common, "--seed", "1", "-t", "2")
    other = answer(kvasir, *common, "--seed", "2")
    assert one["text"] == two["text"] != other["text"]
    fresh = answer(kvasir, *common)
    assert answer(kvasir, *common, "--seed", str(fresh["seed"]))["text"] == fresh["text"]


def test_stop_texts_are_not_part_of_the_answer(kvasir, smollm2):
    common = ["-m", smollm2, "-p", "Count from one to ten.", "--greedy", "-n", "60"]
    whole = answer(kvasir, *common)["text"]
    stop = whole[len(whole) // 2:][:6]
    cut = answer(kvasir, *common, "--stop", "never appears, surely", "--stop", stop)
    assert cut["text"] == whole[:whole.index(stop)]
    assert cut["finish_reason"] == "stop"


def test_a_system_message_counts(kvasir, smollm2):
    common = ["-m", smollm2, "-p", "Who are you?", "--greedy", "-n", "16"]
    plain = answer(kvasir, *common)
    told = answer(kvasir, *common, "--system", "You are a pirate called Redbeard.")
    assert told["text"] != plain["text"]


def test_raw_continues_the_text(kvasir, gemma3, smollm2):
    capitals = "The capital of Italy is Rome. The capital of Germany is Berlin. The capital of France is"
    text = answer(kvasir, "-m", gemma3, "-p", capitals, *EXACT, "-n", "4")["text"]
    assert "Paris" in text
    raw = answer(kvasir, "-m", smollm2, "--raw", "-p", capitals, *EXACT, "-n", "4")
    assert "Paris" in raw["text"]
    assert raw["prompt_tokens"] < 25  # no template around it
    assert "chat template" in kvasir.fails("run", "-m", gemma3, "--system", "x", "-p", "x")
    assert "--raw" in kvasir.fails("run", "-m", smollm2, "--raw", "--system", "x", "-p", "x")


@pytest.mark.parametrize("compute", ["fast", "balanced", "precise", "exact"])
def test_every_precision(kvasir, smollm2, compute):
    for kv in ("f32", "f16"):
        got = answer(kvasir, "-m", smollm2, "--compute", compute, "--kv", kv, "-p", "Count: one two three four five",
                     "--raw", "--greedy", "-n", "3")
        assert got["text"].split()[:2] == ["six", "seven"] and got["compute"] == compute and got["kv"] == kv


NEVER_ENDS = ["--logit-bias", "2:-inf", "--logit-bias", "0:-inf"]  # the tokens with which smollm2 ends an answer


def test_the_end_of_the_context(kvasir, small_model):
    common = ["-m", small_model, "--raw", "-p", "One two three four", "-c", "192", "-n", "300", "--seed", "1",
              "--logit-bias", f"{SMALL_EOS}:-inf"]
    full = answer(kvasir, *common)
    # The last token needs no place in the cache: nothing comes after it.
    assert full["finish_reason"] == "length" and full["prompt_tokens"] + len(full["tokens"]) == 192 + 1
    shifted = answer(kvasir, *common, "--ctx-shift")
    assert shifted["finish_reason"] == "length" and len(shifted["tokens"]) == 300
    assert shifted["tokens"][:len(full["tokens"])] == full["tokens"]
    # The oldest half goes in whole pages; a context too small for that ends like one that does not shift.
    small = answer(kvasir, *common, "-c", "128", "--ctx-shift")
    assert small["finish_reason"] == "length" and small["prompt_tokens"] + len(small["tokens"]) == 128 + 1


def test_a_prompt_longer_than_the_context(kvasir, smollm2):
    message = kvasir.fails("run", "-m", smollm2, "-p", "word " * 200, "-c", "64")
    assert "64" in message and re.search(r"2\d\d", message)


def test_prompts_that_are_empty_or_no_text(kvasir, smollm2):
    assert "the prompt is empty" in kvasir.fails("run", "-m", smollm2, "-p", "")
    assert "the prompt is empty" in kvasir.fails("run", "-m", smollm2, stdin="")
    assert "the prompt is empty" in kvasir.fails("run", "-m", smollm2, "--raw", "-p", "")
    assert "not UTF-8" in kvasir.fails("run", "-m", smollm2, "-p", b"caf\xe9")
    assert "not UTF-8" in kvasir.fails("run", "-m", smollm2, stdin=bytes(range(256)))
    assert "not UTF-8" in kvasir.fails("run", "-m", smollm2, "-p", "x", "--system", b"\xff", code=2)
    assert "nothing.txt" in kvasir.fails("run", "-m", smollm2, "-f", "nothing.txt")
    assert kvasir("run", "-m", smollm2, "--raw", "-n", "4", stdin=bytes(range(256))).returncode == 0


def test_a_token_outside_the_vocabulary(kvasir, smollm2):
    message = kvasir.fails("run", "-m", smollm2, "-p", "x", "--logit-bias", "999999:1")
    assert "999999" in message


def test_a_token_that_is_banned_never_comes(kvasir, smollm2):
    common = ["-m", smollm2, "-p", "Name a colour.", "--greedy", "-n", "1"]
    first = answer(kvasir, *common)["tokens"][0]
    assert answer(kvasir, *common, "--logit-bias", f"{first}:-inf")["tokens"][0] != first


def test_no_tokens_at_all(kvasir, smollm2):
    got = answer(kvasir, "-m", smollm2, "-p", "Hello", "-n", "0")
    assert got["text"] == "" and got["finish_reason"] == "length"


@pytest.mark.parametrize("flags, expected", [
    (["--greedy"], "argmax"),
    (["--temp", "0", "--top-k", "5", "--repeat-penalty", "1.5"],
     "penalties(last 64: repeat 1.5, presence 0, frequency 0) > argmax"),
    (["--seed", "3"], "top_k(40) > top_p(0.95) > min_p(0.05) > temperature(0.8) > draw(seed 3)"),
    (["--seed", "3", "--mirostat", "2"], "temperature(0.8) > mirostat2(tau 5, eta 0.1) > draw(seed 3)"),
    (["--seed", "3", "--samplers", "temperature;top_k", "--top-p", "1", "--min-p", "0"],
     "temperature(0.8) > top_k(40) > draw(seed 3)"),
    (["--seed", "3", "--temp", "1", "--top-k", "0", "--top-p", "1", "--min-p", "0"], "draw(seed 3)"),
])
def test_it_says_which_stages_really_chose_the_tokens(kvasir, small_model, flags, expected):
    common = ["-m", small_model, "--raw", "-p", "One", "-n", "2", *flags]
    assert answer(kvasir, *common)["sampling"] == expected
    lines = kvasir("run", *common, "--verbose").stderr.decode().splitlines()
    assert lines[0] == f"sampling: {expected}"
    assert re.fullmatch(r"\d+ tokens of prompt and \d of answer", lines[1]) and len(lines) == 3, lines


def test_quiet(kvasir, smollm2):
    assert kvasir("run", "-m", smollm2, "-p", "Hello", "-n", "2", "-q").stderr == b""


def test_a_reader_that_leaves_ends_the_answer(kvasir, smollm2):
    command = [BINARY, "run", "-m", smollm2, "--raw", "-p", "One two three", "-n", "-1", "--temp", "1"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=kvasir.env)
    child.stdout.read(1)
    child.stdout.close()
    assert child.stderr.read() == b""
    assert child.wait(60) in (141, -13)


ENDLESS = ["--raw", "-p", "One two three", "-n", "-1", "--temp", "1", "--ctx-shift", *NEVER_ENDS]


def test_ctrl_c_ends_the_answer_and_still_says_what_it_cost(terminal, smollm2):
    screen = terminal("run", "-m", smollm2, *ENDLESS)
    screen.expect(r"\w+ \w+ \w+")
    screen.send("\x03")
    screen.expect(r"peak memory")
    assert screen.wait() == 130


def test_a_second_ctrl_c_ends_the_program(kvasir, smollm2):
    command = [BINARY, "run", "-m", smollm2, *ENDLESS]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=kvasir.env)
    child.stdout.read(1)
    for _ in range(200):
        child.send_signal(signal.SIGINT)
        time.sleep(0.001)
        if child.poll() is not None:
            break
    child.stdout.close()
    assert child.wait(60) in (130, -signal.SIGINT)


def test_on_a_terminal_without_a_prompt_it_says_so(terminal, smollm2):
    screen = terminal("run", "-m", smollm2)
    screen.expect("there is no prompt: give one with -p TEXT or -f FILE, or pipe it in")
    assert screen.wait() == 2
