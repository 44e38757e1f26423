"""The server's life: loading, clients that leave, a full queue, the end."""

import json
import re
import signal
import socket
import subprocess
import threading
import time

import pytest
from serving import ANSWER_TIMEOUT, events_of, post_bytes, read_all, status_of

CHAT = "/v1/chat/completions"
LONG = {"messages": [{"role": "user", "content": "Count from one to a thousand."}], "max_tokens": 1500, "ignore_eos": True,
        "temperature": 0}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


def test_the_announced_curl_line_works(serve):
    server = serve("--ctx", "128")  # where an answer ends that has no end of its own
    lines = server.log.splitlines()
    first = next(i for i, line in enumerate(lines) if "curl " in line)
    command = lines[first].rstrip("\\") + lines[first + 1]
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=ANSWER_TIMEOUT, check=False)
    if b"curl: command not found" in done.stderr:
        pytest.skip("curl is not installed")
    assert json.loads(done.stdout)["choices"][0]["message"]["content"]


def test_a_client_that_leaves_ends_its_request(server):
    """Within a step, whatever the request is doing; nothing is left behind."""
    for body in ({**LONG, "stream": True}, LONG, {**LONG, "n": 3}):
        before = server.metric("kvasir_requests_cancelled_total")
        connection = server.connect()
        connection.sendall(post_bytes(CHAT, body))
        end = time.monotonic() + 30
        while not any(r["phase"] == "generating" for r in server.slots()["requests"]):
            assert time.monotonic() < end
        connection.close()
        server.idle(timeout=5)
        assert server.metric("kvasir_requests_cancelled_total") == before + body.get("n", 1)
    assert server.metric("kvasir_clients_left_total") >= 3


def test_clients_that_leave_at_any_moment(server):
    """A thousand of them, while one stream goes on undisturbed."""
    texts = []

    def stream():
        answer = server.post(CHAT, {**LONG, "stream": True, "max_tokens": 100})
        texts.append("".join(e["choices"][0]["delta"].get("content", "") for e in events_of(answer.body)[:-1]))

    alone = server.post(CHAT, {**LONG, "max_tokens": 100}).json["choices"][0]["message"]["content"]
    reader = threading.Thread(target=stream)
    reader.start()
    request = post_bytes(CHAT, {**LONG, "stream": True, "messages": [{"role": "user", "content": "word " * 500}]})
    for i in range(1000):
        with server.connect() as connection:
            connection.sendall(request[: i % 100 * len(request) // 90])
            time.sleep((i % 7) * 0.001)
    reader.join()
    assert texts == [alone]
    slots = server.idle()
    assert slots["memory"]["kv"] == slots["memory"]["kv_cached"], "all other pages were returned"
    server.alive()


def test_a_slow_reader_holds_nobody_up(server):
    with server.connect() as slow:
        slow.sendall(post_bytes(CHAT, {**LONG, "stream": True, "logprobs": True, "top_logprobs": 20}))
        start = time.monotonic()
        server.post(CHAT, {**LONG, "max_tokens": 5})
        assert time.monotonic() - start < 30
    server.idle()


def test_a_full_queue(serve):
    server = serve("--max-running", "1", "--max-queue", "1", "--ctx", "2048")
    streams = []
    for _ in range(2):
        streams.append(server.connect())
        streams[-1].sendall(post_bytes(CHAT, {**LONG, "stream": True}))
        streams[-1].recv(1000)
        while server.slots()["running"] == 0:
            pass  # the first one leaves the queue before the second one comes
    answer = server.post(CHAT, LONG)
    assert answer.status == 429 and int(answer.headers["retry-after"]) >= 1
    assert answer.error["type"] == "rate_limit_error" and answer.error["code"] == "queue_full"
    for stream in streams:
        stream.close()
    server.idle()
    assert server.post(CHAT, {**LONG, "max_tokens": 1}).status == 200
    assert server.refuses(CHAT, {**LONG, "n": 10}), "a request that never fits is not to be repeated"


def test_a_deadline(server):
    answer = server.post(CHAT, {**LONG, "timeout_ms": 2000}).json
    assert answer["choices"][0]["finish_reason"] == "timeout"
    assert 0 < answer["usage"]["completion_tokens"] < 1500


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_answers_under_way_are_finished_before_the_end(serve, number):
    server = serve()
    idle = server.connect()
    connection = server.connect()
    connection.sendall(post_bytes(CHAT, {**LONG, "stream": True, "max_tokens": 60}))
    connection.recv(10)
    server.process.send_signal(number)
    assert read_all(idle) == b""
    data = read_all(connection)
    assert data.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    assert server.process.wait(30) == 0
    with pytest.raises(ConnectionRefusedError):
        server.connect()


def test_a_second_signal_ends_them_at_once(serve):
    server = serve()
    connection = server.connect()
    connection.sendall(post_bytes(CHAT, {**LONG, "stream": True}))
    connection.recv(10)
    start = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 0 and time.monotonic() - start < 15
    assert b"[DONE]" not in read_all(connection)


def test_a_drain_ends_in_time(serve):
    server = serve("--drain-timeout", "0.5")
    connection = server.connect()
    connection.sendall(post_bytes(CHAT, LONG))
    while server.slots()["running"] == 0:
        pass
    start = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - start < 15
    connection.close()


def test_kill_in_mid_stream(serve):
    server = serve()
    connection = server.connect()
    connection.sendall(post_bytes(CHAT, {**LONG, "stream": True}))
    connection.recv(10)
    server.stop(signal.SIGKILL)
    assert b"[DONE]" not in read_all(connection)


def test_what_cannot_be_served_is_said_in_one_line(kvasir, server, tmp_path):
    assert "another program listens there" in kvasir.fails("serve", "-m", "smollm2", "--port", str(server.port))
    assert "must be an IP address" in kvasir.fails("serve", "-m", "smollm2", "--host", "nowhere.example", "--port", "0")
    assert "--ctx" in kvasir.fails("serve", "-m", "smollm2", "--memory", "200M", "--port", "0")  # its numbers: test_serve_crowds.py
    assert "holds no key" in kvasir.fails("serve", "-m", "smollm2", "--api-key-file", "/dev/null", "--port", "0")
    missing = kvasir.fails("serve", "-m", "smollm2", "--api-key-file", str(tmp_path / "none"), "--port", "0")
    assert "cannot read the API keys" in missing
    assert "--model is required" in kvasir.fails("serve", code=2)


def test_settings_come_from_file_environment_and_flags(kvasir, tmp_path):
    file = tmp_path / "serve.toml"
    file.write_text('model = "smollm2"\nport = 1234\nmax_queue = 7\ncors_origins = "x"\n')
    assert "line 4: cors_origins is no setting" in kvasir.fails("serve", "--config", str(file))
    file.write_text('model = "smollm2"\nport = 1234\nmax_queue = 7\ncors_origin = ["https://a", "https://b"]\nmemory = "4G"\n')
    text = kvasir.ok("serve", "--config", str(file), "--max-queue", "9", "--print-config",
                     env={"KVASIR_SERVE_MAX_QUEUE": "8", "KVASIR_SERVE_PORT": "5", "KVASIR_SERVE_ALLOWED_HOST": "a, b"})
    for line in ('model = "smollm2"', "port = 5", "max_queue = 9", 'cors_origin = ["https://a", "https://b"]', 'memory = "4G"',
                 'allowed_host = ["a", "b"]'):
        assert line + "\n" in text
    again = tmp_path / "again.toml"
    again.write_text(text)
    assert kvasir.ok("serve", "--config", str(again), "--print-config") == text
    assert "KVASIR_SERVE_PORT is 'x'" in kvasir.fails("serve", "--print-config", env={"KVASIR_SERVE_PORT": "x"})
    assert "--max-queue is '0'" in kvasir.fails("serve", "--max-queue", "0", "--print-config", code=2)
    assert "--port is '70000'" in kvasir.fails("serve", "--port", "70000", code=2)
    file.write_text("port = [")
    assert "serve.toml, line 1" in kvasir.fails("serve", "--config", str(file))


def test_while_the_model_loads(serve):
    """The address answers from the first moment on, so that whoever waits can ask."""
    server = serve("--port", str(free_port()), ready=False)
    port = int(server.process.args[server.process.args.index("--port", 6) + 1])
    seen = []
    end = time.monotonic() + 120
    while 200 not in seen:
        assert time.monotonic() < end and server.process.poll() is None
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                data = read_all(connection)
        except ConnectionRefusedError:
            continue
        seen.append(status_of(data))
        if seen[-1] == 503:
            assert b"retry-after: 1" in data
    assert seen[0] == 503 and set(seen) == {503, 200}


def test_metrics(server):
    before = server.metric("kvasir_time_to_first_token_seconds_count")
    generated = server.metric("kvasir_generated_tokens_total")
    server.post(CHAT, {**LONG, "max_tokens": 7})
    server.idle()
    assert server.metric("kvasir_time_to_first_token_seconds_count") == before + 1
    assert server.metric("kvasir_generated_tokens_total") == generated + 7
    assert server.metric("kvasir_resident_bytes") > server.metric("kvasir_weights_bytes") > 10e6
    assert server.metric("vllm:iteration_tokens_total_sum") >= 7
    blocks = int(re.search(r'num_gpu_blocks="(\d+)"', server.get("/metrics").body.decode())[1])
    assert blocks >= 2048 // 64, "at least those of one request of full length"
    text = server.get("/metrics").body.decode()
    for name in ("vllm:num_requests_running", "vllm:time_to_first_token_seconds_bucket", "vllm:generation_tokens_total",
                 "vllm:request_success_total", "vllm:kv_cache_usage_perc", "kvasir_http_requests_total", "vllm:cache_config_info",
                 "vllm:iteration_tokens_total_bucket", "vllm:request_params_n_bucket", "vllm:request_params_max_tokens_bucket",
                 "vllm:request_inference_time_seconds_bucket", "vllm:request_max_num_generation_tokens_bucket",
                 "vllm:time_per_output_token_seconds_bucket", "kvasir_weights_bytes", "kvasir_step_tokens_bucket"):
        assert f"\n{name}{{" in text, name
    types = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")]
    assert len(types) == len(set(types)), "each metric is described once"
    for line in text.splitlines():
        assert line.startswith("#") or len(line.rsplit(" ", 1)) == 2 and float(line.rsplit(" ", 1)[1]) >= 0


def test_status_of_the_answer_to_head_is_that_of_get(server):
    assert status_of(server.raw(b"HEAD /slots HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")) == 200
