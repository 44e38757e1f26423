"""A client for streamed completions that costs little: on a small machine it takes its time from the server it measures."""
from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field


@dataclass
class Stream:
    """What one request saw. Times are of the client's clock, in seconds; `tokens` counts events that carry text."""
    started: float
    events: list[float] = field(default_factory=list)
    completion_tokens: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    error: str = ""

    @property
    def first(self) -> float:
        """Time to first token."""
        return self.events[0] - self.started

    @property
    def gaps(self) -> list[float]:
        """Between one token and the next."""
        return [b - a for a, b in zip(self.events, self.events[1:])]


async def complete(port: int, body: dict, stop_after: float | None = None) -> Stream:
    """POST /v1/completions with stream on; leaves in the middle after `stop_after` seconds, as a client would that lost
    interest."""
    stream = Stream(time.perf_counter())
    data = json.dumps(body | {"stream": True, "stream_options": {"include_usage": True}}).encode()
    head = (f"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(data)}\r\nConnection: close\r\n\r\n").encode()
    writer = None
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + data)
        await writer.drain()
        status = (await reader.readline()).split()
        if len(status) < 2 or status[1] != b"200":
            answer = await reader.read()
            stream.error = f"{b' '.join(status).decode()}: {answer[-300:].decode(errors='replace')}"
            return stream
        async with asyncio.timeout(stop_after):
            await _read_events(reader, stream)
    except TimeoutError:
        pass  # left on purpose
    except OSError as error:
        stream.error = str(error)
    finally:
        if writer is not None:
            writer.close()
    return stream


async def _read_events(reader: asyncio.StreamReader, stream: Stream) -> None:
    while line := await reader.readline():
        if not line.startswith(b"data: {"):
            continue  # blank lines, the sizes of chunks, [DONE]
        now = time.perf_counter()
        event = json.loads(line[6:])
        if "error" in event:
            stream.error = json.dumps(event["error"])
            return
        choices = event.get("choices") or []
        if choices and choices[0].get("finish_reason") is None:
            stream.events.append(now)
        if usage := event.get("usage"):
            stream.completion_tokens = usage["completion_tokens"]
            stream.prompt_tokens = usage["prompt_tokens"]
            stream.cached_tokens = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
