"""The program as a whole: help, wrong calls, streams that are closed, completions."""

import os
import re
import shutil
import subprocess

import pytest
from conftest import Terminal
from program import BINARY

COMMANDS = [["run"], ["chat"], ["serve"], ["embed"], ["inspect"], ["tokenize"], ["detokenize"], ["apply-template"], ["grammar"], ["bench"],
            ["eval"],
            ["eval", "ppl"], ["eval", "kld"], ["eval", "tokens"], ["eval", "ruler"], ["eval", "evict"], ["eval", "golden"], ["tune"], ["completion"]]


def test_without_arguments_it_introduces_itself(kvasir):
    text = kvasir.ok()
    assert text == kvasir.ok("--help")
    for command in COMMANDS:
        assert command[0] in text
    assert "kvasir chat -m smollm2" in text


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(kvasir, command):
    text = kvasir.ok(*command, "--help")
    assert text.startswith(f"Usage: kvasir {' '.join(command)}")
    assert "Examples:" in text or "COMMAND" in text
    assert kvasir.ok(*command, "-h") == text


def test_help_is_a_command_too(kvasir):
    assert kvasir.ok("help") == kvasir.ok("--help")
    assert kvasir.ok("help", "eval", "ppl") == kvasir.ok("eval", "ppl", "--help")
    assert "did you mean 'tokenize'?" in kvasir.fails("help", "tokenise", code=2)
    assert "did you mean 'ppl'?" in kvasir.fails("eval", "pl", "--help", code=2)
    assert "kvasir chat" not in kvasir.ok("eval", "--help")


@pytest.mark.parametrize("columns", [40, 80, 100, 200])
def test_help_fits_the_terminal(terminal, columns):
    for command in ([], ["run"], ["bench"], ["eval", "ppl"]):
        screen = terminal(*command, "--help", columns=columns)
        assert screen.wait() == 0
        examples = screen.text().split("Examples:")
        for line in examples[0].splitlines() + examples[-1].split("\n\n")[-1].splitlines():
            # Only what one types is not broken: options, examples, choices.
            assert len(line) <= max(columns, 40) or line.startswith("  -") or "kvasir" in line, (columns, line)


def test_reading_from_a_terminal_says_so(terminal, data):
    screen = terminal("tokenize", "-m", str(data / "tokenizers/ggml-vocab-gpt-2.gguf"))
    screen.expect("Type the text; Ctrl-D on a line of its own ends it.")
    screen.send("Hello\n\x04")
    screen.expect(r"15496\tHello")
    assert screen.wait() == 0


def test_version_names_the_kernels(kvasir):
    text = kvasir.ok("--version")
    assert text.startswith("kvasir ") and "kernels: " in text
    assert "kernels: ref;" in kvasir.ok("--version", env={"KVASIR_ISA": "ref"})


@pytest.mark.parametrize("args", [["run", "-p", "x", "-m", "x"], ["chat", "-m", "x"], ["serve", "-m", "x"], ["embed", "-m", "x", "x"],
                                  ["inspect", "x"], ["inspect", "--cpu"], ["bench", "-m", "x"], ["tune", "-m", "x", "-f", "x"],
                                  ["calibrate", "-m", "x", "-f", "x"], ["eval", "ppl", "-m", "x", "-f", "x"],
                                  ["eval", "golden", "-m", "x", "--golden", "x"]],
                         ids=lambda args: " ".join(args[:2]))
def test_kernels_that_cannot_be_are_an_error_of_what_would_use_them(kvasir, args):
    message = kvasir.fails(*args, env={"KVASIR_ISA": "foo"})
    assert "KVASIR_ISA is 'foo'" in message and "can run: ref" in message and "(there are ref, avx2, avx512, vnni)" in message


def test_what_computes_nothing_only_warns_of_kernels_that_cannot_be(kvasir):
    for args in (["--version"], ["--help"], ["run", "--help"], []):
        done = kvasir(*args, env={"KVASIR_ISA": "foo"})
        assert done.returncode == 0 and done.stdout == kvasir(*args).stdout
        assert done.stderr.decode().startswith("kvasir: warning: KVASIR_ISA is 'foo'") and done.stderr.count(b"\n") == 1
    assert kvasir("--version", env={"KVASIR_ISA": ""}).stderr == b""
    assert kvasir("--version", env={"KVASIR_ISA": "ref"}).stderr == b""
    assert kvasir("completion", "bash", env={"KVASIR_ISA": "foo"}).stderr == b""


@pytest.mark.parametrize("args, expected", [
    (["tokenise"], "did you mean 'tokenize'?"),
    (["frobnicate"], "unknown command 'frobnicate'"),
    (["run", "-m", "x", "-p", "x", "--tempp", "1"], "did you mean '--temp'?"),
    (["run", "-m", "x", "-p", "x", "--threads=-1"], "--threads is '-1', but it must be a whole number from 0 to 1024"),
    (["run", "-m", "x", "-p", "x", "-t", "99999999999999"], "--threads is '99999999999999', but it must be"),
    (["run", "-m", "x", "-p", "x", "-n", "ten"], "--max-tokens is 'ten', but it must be a whole number -1 or more"),
    (["run", "-m", "x", "-p", "x", "-c", "1.5"], "--ctx is '1.5', but it must be a whole number"),
    (["run", "-m", "x", "-p", "x", "--temp", "nan"], "--temp is 'nan', but it must be a number"),
    (["run", "-m", "x", "-p", "x", "--temp", "-0.5"], "--temp is -0.5, but it must be from 0 to 100"),
    (["run", "-m", "x", "-p", "x", "--top-p", "2"], "--top-p is 2, but it must be from 0 to 1"),
    (["run", "-m", "x", "-p", "x", "--seed", "-1"], "--seed is '-1', but it must be a whole number from 0 to"),
    (["run", "-m", "x", "-p", "x", "--mirostat", "1"], "--mirostat is 1, but it must be 0"),
    (["run", "-m", "x", "-p", "x", "--compute", "best"], "--compute is 'best', but it must be one of fast,"),
    (["run", "-m", "x", "-p", "x", "--kv", "f8"], "--kv is 'f8': 'f8' in the cache specification is neither an open format (auto, f32, f16, q8"),
    (["run", "-m", "x", "-p", "x", "--stop", ""], "--stop is empty"),
    (["run", "-m", "x", "-p", "x", "--samplers", "top_k;spice"], "spice"),
    (["run", "-m", "x", "-p", "x", "--greedy", "--temp", "1"], "--temp excludes --greedy"),
    (["run", "-m", "x", "-p", "x", "-f", "x"], "excludes"),
    (["run", "-p", "x"], "--model is required"),
    (["run", "-m", "", "-p", "x"], "--model is empty"),
    (["run", "-m"], "--model needs a value"),
    (["run", "-m", "x", "extra"], "unknown argument 'extra'; a prompt follows -p"),
    (["tokenize", "-m", "x", "extra"], "unknown argument 'extra' (see:"),
    (["run", "smollm2", "-p", "x"], "--model is required; did you mean '-m smollm2'?"),
    (["run", "Why is the sky blue?"], "--model is required (see:"),
    (["bench", "-m", "x", "-p", "512,x"], "--prompt is '512,x', but it must be whole numbers"),
    (["bench", "-m", "x", "-p", "0", "-n", "0"], "there is nothing to measure"),
    (["bench", "-m", "x", "-r", "0"], "--repetitions is '0'"),
    (["eval", "ppl", "-m", "x", "-f", "x", "-c", "4"], "--ctx is '4', but it must be a whole number from 8"),
    (["eval", "ppl", "-m", "x"], "--file is required"),
    (["inspect"], "there is nothing to inspect"),
    (["apply-template"], "there is no template"),
    (["apply-template", "-m", "x", "--bos", "<s>"], "--file"),
    (["completion"], "SHELL is required: bash|zsh|fish|models"),
    (["completion", "tcsh"], "SHELL is 'tcsh', but it must be one of bash, zsh, fish, models"),
])
def test_a_wrong_call_is_one_line_and_code_2(kvasir, args, expected):
    message = kvasir.fails(*args, code=2)
    assert expected in message
    assert "--help)" in message


@pytest.mark.parametrize("command", [["run", "-p", "x"], ["chat"], ["tokenize"], ["detokenize"], ["apply-template"],
                                     ["bench"], ["eval", "ppl", "-f", "/dev/null"], ["eval", "golden", "--golden", "/"]],
                         ids=lambda command: " ".join(command[:2]))
def test_a_model_that_is_not_there(kvasir, command):
    message = kvasir.fails(*command, "-m", "no-such-model")
    assert "no-such-model" in message
    kvasir.fails(*command, "-m", "/dev/null")
    kvasir.fails(*command, "-m", "/")
    kvasir.fails(*command, "-m", str(BINARY))


def test_output_to_a_full_disk_is_an_error(kvasir):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([BINARY, "--help"], stdout=full, stderr=subprocess.PIPE, env=kvasir.env)
    assert done.returncode == 1
    assert done.stderr.decode() == "kvasir: cannot write to standard output: No space left on device\n"


def test_closed_standard_streams(kvasir, data):
    vocabulary = data / "tokenizers/ggml-vocab-gpt-2.gguf"
    done = subprocess.run(f"exec {BINARY} --help >&-", shell=True, stderr=subprocess.PIPE, env=kvasir.env)
    assert done.returncode == 1 and b"cannot write to standard output" in done.stderr
    done = subprocess.run(f"exec {BINARY} tokenize -m {vocabulary} <&-", shell=True, capture_output=True, env=kvasir.env)
    assert done.returncode == 1 and b"cannot read standard input" in done.stderr
    done = subprocess.run(f"exec {BINARY} tokenize -m nothing 2>&-", shell=True, env=kvasir.env, stdin=subprocess.DEVNULL)
    assert done.returncode == 1


@pytest.mark.parametrize("ignored", [False, True])
def test_a_reader_that_leaves_is_no_error(kvasir, data, ignored):
    """`kvasir ... | head -1` says nothing on stderr, also where a parent ignores SIGPIPE."""
    text = b"word " * 200_000
    command = [BINARY, "tokenize", "-m", data / "tokenizers/ggml-vocab-gpt-2.gguf"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             env=kvasir.env, restore_signals=not ignored)
    read_end = child.stdout
    child.stdin.write(text)
    child.stdin.close()
    assert read_end.readline() == b"4775\tword\n"
    read_end.close()
    assert child.stderr.read() == b""
    child.stderr.close()
    assert child.wait() in (141, -13)


def test_completions_are_valid_shell(kvasir, tmp_path):
    for shell in ("bash", "zsh", "fish"):
        script = kvasir.ok("completion", shell)
        for word in ("apply-template", "top-p", "golden", "precise"):
            assert word in script, (shell, word)
        if shutil.which(shell):
            (tmp_path / shell).write_text(script)
            subprocess.run([shell, "-n", tmp_path / shell], check=True)


def complete(kvasir, *words: str) -> set[str]:
    """What bash would offer for the last of `words`."""
    script = ('source <(kvasir completion bash); COMP_WORDS=(kvasir "$@"); COMP_CWORD=$#; _kvasir; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    path = f"{BINARY.parent}{os.pathsep}{kvasir.env['PATH']}"
    done = subprocess.run(["bash", "-c", script, "-", *words], capture_output=True, text=True, cwd=kvasir.home,
                          env={**kvasir.env, "PATH": path})
    assert done.stderr == ""
    return set(done.stdout.split())


def test_bash_completes(kvasir, smollm2):
    assert complete(kvasir, "") >= {"run", "chat", "eval", "--help", "--version"}
    assert complete(kvasir, "to") == {"tokenize"}
    assert complete(kvasir, "eval", "") >= {"ppl", "kld", "golden"}
    assert complete(kvasir, "run", "--comp") == {"--compute"}
    assert complete(kvasir, "run", "--compute", "") == {"fast", "balanced", "precise", "exact"}
    assert "smollm2" in complete(kvasir, "run", "-m", "smo")
    assert "smollm2" in complete(kvasir, "inspect", "")
    assert complete(kvasir, "eval", "ppl", "--chu") == {"--chunks"}
    assert complete(kvasir, "run", "-n", "") == set()


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
def test_fish_completes(kvasir, smollm2):
    def offers(line: str) -> set[str]:
        path = f"{BINARY.parent}{os.pathsep}{kvasir.env['PATH']}"
        done = subprocess.run(["fish", "-c", f"kvasir completion fish | source; complete -C '{line}'"],
                              capture_output=True, text=True, cwd=kvasir.home, env={**kvasir.env, "PATH": path})
        assert done.stderr == ""
        return {offer.split("\t")[0] for offer in done.stdout.splitlines()}

    assert offers("kvasir ") >= {"run", "chat", "eval"}
    assert offers("kvasir eval ") == {"ppl", "kld", "tokens", "golden", "ruler", "evict"}
    assert offers("kvasir run --comp") == {"--compute"}
    assert offers("kvasir run --compute ") == {"fast", "balanced", "precise", "exact"}
    assert "smollm2" in offers("kvasir run -m smo")
    assert offers("kvasir eval ppl --chu") == {"--chunks"}


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_zsh_completes(kvasir, smollm2):
    path = f"{BINARY.parent}{os.pathsep}{kvasir.env['PATH']}"
    screen = Terminal([shutil.which("zsh"), "-f", "-i"], {**kvasir.env, "PATH": path, "PS1": "ready> "})
    try:
        screen.line("autoload -Uz compinit && compinit -u && source <(kvasir completion zsh) && echo so''urced")
        screen.expect("sourced")
        for typed, completed in (("kvasir tok", "enize"), ("kvasir eval gol", "den"), ("kvasir run --comp", "ute"),
                                 ("kvasir run --compute exa", "ct"), ("kvasir run -m smol", "lm2"),
                                 ("kvasir eval ppl --chu", "nks"), ("kvasir inspect smol", "lm2")):
            screen.send("\x15" + typed)
            screen.expect(re.escape(typed))
            screen.send("\t")
            screen.expect(completed, timeout=20)
    finally:
        screen.close()
