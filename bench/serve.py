#!/usr/bin/env python3
"""The server under load beside llama.cpp's: tokens per second, time to first token, gaps between tokens.

    short    8 clients at once, each two requests of 180 prompt tokens and 96 generated ones
    shared   8 clients, prompts of 850 tokens of which the first 90 % are the same for all, 32 generated tokens
    stall    one stream; while it runs, a prompt of 6,000 tokens arrives. Its longest gaps are what counts
    crowd    256 clients for some minutes, half of whom leave in the middle; ours alone: no error, no page lost, no memory
             that stays, or the script ends with status 1
    streams  2,000 clients whose streams are open and wait; ours alone: memory per stream, threads

Prompts are token ids from this project's documents, the same for both servers, and every answer has its full length (ignore_eos), so both do
the same work. The peer is llama-server as PyPI's llama-cpp-python ships it, built natively, with a slot per client; flash
attention, weight repacking and a unified cache are tried, and the best setting counts. The servers take turns (A B A B), each
started anew, so that nothing is cached from a turn before. Writes bench/results/DATE-COMMIT-serve.json.

    ./dev bench serve                            short, shared and stall, two turns
    ./dev bench serve --loads crowd --minutes 10
    ./dev bench serve --loads streams
"""
from __future__ import annotations

import argparse
import asyncio
import json
import pathlib
import random
import re
import resource
import statistics
import time
import urllib.request
from dataclasses import asdict, dataclass

from harness import models, peer, places, results, servers
from harness.places import CPUS, die, note
from harness.sse_client import Stream, complete
from harness.tokens import tokenize

ITL_TARGET_MS = 50
SETTINGS = [{"fa": fa, "repack": repack, "unified": unified} for fa in (1, 0) for repack in (1, 0) for unified in (0, 1)]


@dataclass(frozen=True)
class Load:
    name: str
    clients: int
    requests: int  # of each client, one after the other
    prompt: int
    shared: int  # of the prompt, the same for all
    generate: int

    @property
    def context(self) -> int:
        return (self.prompt + self.generate + 255) // 256 * 256


LOADS = {load.name: load for load in (Load("short", 8, 2, 180, 0, 96), Load("shared", 8, 2, 850, 765, 32))}
STALL = Load("stall", 2, 1, 6000, 0, 900)
CROWD = Load("crowd", 256, 0, 120, 60, 48)
MOST_GROWTH = 0.05  # of resident memory between the first and the last third of a crowd
SETTLED_MINUTES = 5  # in less time the cache still fills, and growth says nothing
STREAMS = Load("streams", 2000, 1, 20, 0, 1)


class Prompts:
    """Pieces of a text that do not overlap, as token ids."""

    def __init__(self, model: pathlib.Path, text: str):
        self._ids = tokenize(model, text)
        self._next = 0

    def take(self, count: int) -> list[int]:
        if self._next + count > len(self._ids):
            self._next = 0
        piece = self._ids[self._next:self._next + count]
        self._next += count
        if len(piece) < count:
            die(f"the text has {len(self._ids)} tokens, but a prompt of {count} is wanted: name a longer one with --text")
        return piece

    def of(self, load: Load, count: int) -> list[list[int]]:
        head = self.take(load.shared) if load.shared else []
        return [head + self.take(load.prompt - load.shared) for _ in range(count)]


def body(prompt: list[int], generate: int, **more) -> dict:
    return {"prompt": prompt, "max_tokens": generate, "temperature": 0, "ignore_eos": True, **more}


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def summary(streams: list[Stream], seconds: float) -> dict:
    gaps = [gap for stream in streams for gap in stream.gaps]
    return {"tokens_per_second": sum(stream.completion_tokens for stream in streams) / seconds,
            "ttft_p50": statistics.median(stream.first for stream in streams),
            "itl_p50": statistics.median(gaps), "itl_p99": percentile(gaps, 0.99), "itl_max": max(gaps),
            "cached_tokens": sum(stream.cached_tokens for stream in streams)}


def check(streams: list[Stream], generate: int) -> None:
    for stream in streams:
        if stream.error:
            die(f"a request failed: {stream.error}")
        if stream.completion_tokens != generate:
            die(f"an answer has {stream.completion_tokens} tokens, but {generate} were asked for")


async def many(port: int, load: Load, prompts: list[list[int]]) -> dict:
    """Every client sends its requests one after the other, all clients at once."""
    async def client(number: int) -> list[Stream]:
        mine = prompts[number * load.requests:(number + 1) * load.requests]
        return [await complete(port, body(prompt, load.generate)) for prompt in mine]

    start = time.perf_counter()
    streams = sum(await asyncio.gather(*(client(number) for number in range(load.clients))), [])
    seconds = time.perf_counter() - start
    check(streams, load.generate)
    return summary(streams, seconds)


async def stall(port: int, prompts: list[list[int]]) -> dict:
    """The gaps of a stream from the moment when a long prompt arrives until that prompt has its first token."""
    first = asyncio.create_task(complete(port, body(prompts[0][:50], STALL.generate)))
    await asyncio.sleep(1)
    long = await complete(port, body(prompts[1], 2))
    stream = await first
    check([stream], STALL.generate)
    check([long], 2)
    beside = [b - a for a, b in zip(stream.events, stream.events[1:]) if b > long.started and a < long.events[0]]
    if len(beside) < 2 or stream.events[-1] < long.events[0]:
        die("the stream ended before the long prompt did: nothing was measured")
    return {"itl_p50": statistics.median(beside), "itl_p99": percentile(beside, 0.99), "itl_max": max(beside),
            "ttft_p50": long.first, "tokens_per_second": len(beside) / (long.events[0] - long.started)}


def measure(command: list, load: Load, prompts: list[list[int]]) -> dict:
    with servers.running(command) as server:
        if load is STALL:
            return asyncio.run(stall(server.port, prompts))
        return asyncio.run(many(server.port, load, prompts))


def better(load: Load, one: dict, other: dict) -> float:
    """How many times better `one` is: by tokens per second, or where a stream must not stall by its long gaps."""
    if load is STALL:
        return other["itl_p99"] / one["itl_p99"]
    return one["tokens_per_second"] / other["tokens_per_second"]


def against_peer(load: Load, options: argparse.Namespace, model: pathlib.Path, program: pathlib.Path,
                 prompts: Prompts) -> dict:
    ours, theirs, settings = [], [], list(SETTINGS)
    for turn in range(options.turns):
        texts = prompts.of(load, load.clients * load.requests)
        target = ["--itl-target-ms", ITL_TARGET_MS] if load is STALL else []
        ours.append(measure(servers.ours(model, options.threads, "-c", load.context * (1 if load is STALL else load.clients),
                                         *target), load, texts))
        tried = []
        for setting in settings:
            command = servers.theirs(program, model, options.threads, load.clients, load.context, setting)
            tried.append((measure(command, load, texts), setting))
        best = max(tried, key=lambda pair: better(load, pair[0], tried[0][0]))
        settings = [setting for figures, setting in tried if better(load, figures, best[0]) >= peer.KEEP_WITHIN]
        theirs.append(best[0] | {"setting": best[1]})
        note(f"{load.name}, turn {turn + 1} of {options.turns}: {line(ours[-1])}; llama-server {line(theirs[-1])}")
    return {"load": asdict(load), "kvasir": ours, "llama-server": theirs}


def line(figures: dict) -> str:
    return (f"{results.figure(figures['tokens_per_second'])} tokens/s, first token {figures['ttft_p50'] * 1000:.0f} ms, gaps "
            f"p50 {figures['itl_p50'] * 1000:.1f}, p99 {figures['itl_p99'] * 1000:.0f}, longest {figures['itl_max'] * 1000:.0f} ms")


async def crowd(server: servers.Running, minutes: float, prompts: list[list[int]]) -> dict:
    """Clients that come and go; half of them leave in the middle of an answer."""
    until = time.monotonic() + 60 * minutes
    chance = random.Random(1)
    counts = {"whole": 0, "left": 0, "tokens": 0}
    errors: list[str] = []
    resident: list[int] = []

    async def client() -> None:
        while time.monotonic() < until:
            leaves = chance.uniform(0.05, 20) if chance.random() < 0.5 else None
            stream = await complete(server.port, body(chance.choice(prompts), CROWD.generate), leaves)
            counts["tokens"] += len(stream.events)
            if stream.error:
                errors.append(stream.error)
                await asyncio.sleep(1)
            counts["whole" if stream.completion_tokens == CROWD.generate else "left"] += 1

    async def watch() -> None:
        while time.monotonic() < until:
            resident.append(server.resident_bytes)
            await asyncio.sleep(5)

    await asyncio.gather(watch(), *(client() for _ in range(CROWD.clients)))
    await asyncio.sleep(2)
    settled = gauges(server.port)
    third = max(1, len(resident) // 3)
    return counts | {"errors": len(errors), "first_errors": errors[:3], "minutes": minutes,
                     "resident_mb_after_a_third": max(resident[:third]) / 1e6, "resident_mb_last_third": max(resident[-third:]) / 1e6,
                     "after": settled}


def gauges(port: int) -> dict:
    """What still runs, and pages that nobody could give back: neither cached for reuse nor free."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = dict(re.findall(r"^(kvasir_[a-z_]+)(?:\{[^}]*\})? ([0-9.e+]+)$", text, re.MULTILINE))
    names = ("kvasir_requests_running", "kvasir_requests_waiting", "kvasir_kv_bytes", "kvasir_kv_cached_bytes")
    if missing := [name for name in names if name not in found]:
        die(f"/metrics has no {', '.join(missing)}")
    return {name: float(found[name]) for name in names}


def faults(crowd: dict) -> list[str]:
    """What must not be after a crowd."""
    after = crowd["after"]
    growth = crowd["resident_mb_last_third"] / crowd["resident_mb_after_a_third"] - 1
    found = [f"{crowd['errors']} errors, the first {crowd['first_errors']}"] if crowd["errors"] else []
    found += ["no answer was whole"] if not crowd["whole"] else []
    found += [f"{after[name]:.0f} in {name}" for name in ("kvasir_requests_running", "kvasir_requests_waiting") if after[name]]
    found += ["pages that are neither cached nor free"] if after["kvasir_kv_bytes"] != after["kvasir_kv_cached_bytes"] else []
    if growth > MOST_GROWTH and crowd["minutes"] >= SETTLED_MINUTES:
        found.append(f"resident memory grew by {100 * growth:.1f} %")
    return found


async def streams(server: servers.Running, prompts: list[list[int]]) -> dict:
    """Opens streams that wait behind one which is computed: each has its head and no token yet."""
    async def opened(prompt: list[int], generate: int) -> asyncio.StreamWriter:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        data = json.dumps(body(prompt, generate, stream=True)).encode()
        writer.write(f"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n"
                     f"Content-Length: {len(data)}\r\n\r\n".encode() + data)
        await writer.drain()
        if b" 200 " not in (status := await reader.readline()):
            die(f"a stream was refused: {status.decode()}")
        return writer

    first = await opened(prompts[0], 1500)
    await asyncio.sleep(1)
    before = {"resident_mb": server.resident_bytes / 1e6, "threads": server.threads}
    start = time.perf_counter()
    waiting = [await opened(prompt, 1) for prompt in prompts]
    seconds = time.perf_counter() - start
    await asyncio.sleep(1)
    open_now = gauges(server.port)
    after = {"resident_mb": server.resident_bytes / 1e6, "threads": server.threads}
    start = time.perf_counter()
    gauges(server.port)
    answered = time.perf_counter() - start
    for writer in (first, *waiting):
        writer.close()
    await asyncio.sleep(1)
    if open_now["kvasir_requests_waiting"] != len(prompts):
        die(f"{open_now['kvasir_requests_waiting']:.0f} streams of {len(prompts)} wait: the first one has ended, or some were lost")
    return {"streams": len(prompts), "opened_in_seconds": seconds, "before": before, "open": after,
            "kb_per_stream": (after["resident_mb"] - before["resident_mb"]) * 1000 / len(prompts), "metrics_ms_meanwhile": answered * 1000,
            "after": gauges(server.port)}


def allow_descriptors(count: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        die(f"this needs {count} open files, and the system allows {hard}: raise it with 'ulimit -Hn'")
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def alone(name: str, options: argparse.Namespace, model: pathlib.Path, prompts: Prompts) -> dict:
    """A load for our server only."""
    load = {"crowd": CROWD, "streams": STREAMS}[name]
    settings = ["--max-queue", 4 * load.clients] + (["--max-running", 1, "-c", 2048] if load is STREAMS else [])
    if load is STREAMS:
        allow_descriptors(load.clients + 200)
    with servers.running(servers.ours(model, options.threads, *settings)) as server:
        if load is STREAMS:
            return asyncio.run(streams(server, prompts.of(load, load.clients)))
        return asyncio.run(crowd(server, options.minutes, prompts.of(load, 64)))


def table(rows: list[dict]) -> str:
    lines = ["| load | | tokens/s | first token, p50 | between tokens, p50 | p99 |", "|---|---|---|---|---|---|"]
    for row in rows:
        for name in ("kvasir", "llama-server"):
            def middle(key: str) -> float:
                return statistics.median(turn[key] for turn in row[name])
            lines.append(f"| {row['load']['name']} | {name} | {results.figure(middle('tokens_per_second'))} | "
                         f"{middle('ttft_p50') * 1000:.0f} ms | {middle('itl_p50') * 1000:.1f} ms | {middle('itl_p99') * 1000:.0f} ms |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loads", default="short,shared,stall", help="of short, shared, stall, crowd and streams")
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--text", type=pathlib.Path, help="what prompts are cut from; default this project's documents")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=10, help="of crowd")
    parser.add_argument("-t", "--threads", type=int, default=CPUS)
    parser.add_argument("--peer", type=pathlib.Path, help="a llama-server to measure instead of the one from PyPI")
    options = parser.parse_args()
    names = options.loads.split(",")
    ours_alone = [name for name in ("streams", "crowd") if name in names]
    if unknown := set(names) - {"short", "shared", "stall", *ours_alone}:
        parser.error(f"--loads: there is no {', '.join(sorted(unknown))}")
    model = models.path_of(options.model)
    texts = [options.text] if options.text else sorted(places.ROOT.glob("docs/**/*.md"))
    prompts = Prompts(model, "\n".join(path.read_text() for path in texts))
    result = results.describe() | {"threads": options.threads, "loads": []}
    for name in (name for name in names if name not in ours_alone):
        result["loads"].append(against_peer(LOADS.get(name, STALL), options, model, servers.peer_program(options.peer), prompts))
        note(f"written to {results.write(result, '-serve')}")
    if result["loads"]:
        print(table(result["loads"]))
    for name in ours_alone:
        result[name] = alone(name, options, model, prompts)
        print(json.dumps(result[name], indent=1))
        note(f"written to {results.write(result, '-serve')}")
    if "crowd" in result and (found := faults(result["crowd"])):
        die("after the crowd: " + "; ".join(found))


if __name__ == "__main__":
    main()
