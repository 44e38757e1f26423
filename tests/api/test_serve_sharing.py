"""Users who share one server: what they share, what they do not, and who comes first."""

import threading
import time

import pytest
from program import SLOWNESS
from serving import Server, post_bytes

TEXT = "/v1/completions"
PROMPT = "A lighthouse keeper counts the waves of the night, and writes their number down. " * 5
LONG = {"prompt": "Count from one to a thousand: one,", "max_tokens": 1800, "ignore_eos": True, "temperature": 0}


def key(name: str) -> dict:
    return {"Authorization": f"Bearer {name}-secret"}


@pytest.fixture
def shared(serve, tmp_path):
    """A server with keys, which computes one request at a time."""
    keys = tmp_path / "keys.txt"
    keys.write_text("".join(f"{name} {name}-secret priority=1000\n" for name in ("alice", "bobby", "carol")))
    return serve("--ctx", "2048", "--api-key-file", str(keys), "--max-running", "1")


def cached(server: Server, who: str, **members) -> int:
    answer = server.post(TEXT, {"prompt": PROMPT, "max_tokens": 1, **members}, **key(who))
    assert answer.status == 200, answer.body
    return answer.json["usage"]["prompt_tokens_details"]["cached_tokens"]


def test_users_share_no_cached_text(shared):
    """Or the time to the first token would tell one what another has asked."""
    assert cached(shared, "alice") == 0
    held = cached(shared, "alice")
    assert held >= 64
    assert cached(shared, "bobby") == 0 and cached(shared, "bobby") == held
    assert cached(shared, "alice", cache_salt="mine") == 0 and cached(shared, "alice", cache_salt="mine") == held
    assert cached(shared, "alice", cache_salt="other") == 0 and cached(shared, "alice") == held
    explained = shared.post(TEXT, {"prompt": PROMPT, "max_tokens": 1, "cache_explain": True}, **key("carol")).json["cache"][0]
    assert explained["matched_tokens"] == 0 and explained["ended_because"] == "not held"


def slots(server: Server) -> dict:
    return server.get("/slots", **key("carol")).json


def wait_for(server: Server, running: int, waiting: int):
    end = time.monotonic() + 30 * SLOWNESS
    while (now := slots(server))["running"] != running or now["waiting"] != waiting:
        assert time.monotonic() < end, now
        time.sleep(0.005)


class Queue:
    """Requests that wait for one that runs; in which order they are answered."""

    def __init__(self, server: Server):
        self.server, self.order, self.threads = server, [], []
        self.first = server.connect()
        self.first.sendall(post_bytes(TEXT, {**LONG, "priority": 1000, "stream": True}, "Authorization: Bearer carol-secret"))
        wait_for(server, 1, 0)

    def add(self, name: str, who: str, **members):
        def run():
            answer = self.server.post(TEXT, {"prompt": f"{name}:", "max_tokens": 3, "ignore_eos": True, **members}, **key(who))
            assert answer.status == 200
            self.order.append(name)

        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()
        wait_for(self.server, 1, len(self.threads))

    def answered(self) -> list[str]:
        self.first.close()
        for thread in self.threads:
            thread.join()
        return self.order


def test_users_take_turns(shared):
    """However many requests one sends: who comes later with one of their own waits for one of them, not for all."""
    queue = Queue(shared)
    for i in range(6):
        queue.add(f"alice {i}", "alice")
    queue.add("bobby", "bobby")
    order = queue.answered()
    assert len(order) == 7 and order.index("bobby") <= 2, order


def test_higher_priorities_come_first(shared):
    queue = Queue(shared)
    for name, priority in (("low", -5), ("usual 1", 0), ("usual 2", 0), ("high", 5), ("higher", 6)):
        queue.add(name, "alice", priority=priority)
    order = queue.answered()
    assert [name for name in order if "usual" not in name] == ["higher", "high", "low"], order
    assert order[-1] == "low"


def test_a_request_that_gives_way_goes_on_to_the_same_text(shared):
    """One of a higher priority is not kept waiting by an answer that runs, and that answer does not suffer."""
    body = {**LONG, "max_tokens": 150}
    undisturbed = shared.post(TEXT, body, **key("alice")).json["choices"][0]["text"]
    texts = []
    other = threading.Thread(target=lambda: texts.append(shared.post(TEXT, {**body, "cache_salt": "x"}, **key("alice")).json["choices"][0]["text"]))
    other.start()
    wait_for(shared, 1, 0)
    urgent = shared.post(TEXT, {"prompt": "Hurry:", "max_tokens": 2, "priority": 9}, **key("bobby"))
    assert urgent.status == 200 and texts == [], "it was answered while the other was not done"
    other.join()
    assert texts == [undisturbed]
    text = shared.get("/metrics", **key("carol")).body.decode()
    assert "\nkvasir_preemptions_total{" in text or "\nkvasir_preemptions_total " in text
    taken = next(line for line in text.splitlines() if line.startswith("kvasir_preemptions_total"))
    assert float(taken.rsplit(" ", 1)[1]) >= 1
