"""HTTPS with a certificate of our own making."""

import json
import socket
import ssl
import subprocess
import time

import pytest
from serving import events_of, post_bytes, read_all, status_of

CHAT = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3, "temperature": 0}


def make_certificate(folder, name: str, *options: str):
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout", key, "-out", certificate,
                    "-days", "2", "-subj", "/CN=kvasir test", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", *(options or ("-nodes",))],
                   check=True, capture_output=True)
    return certificate, key


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"), "server")


@pytest.fixture
def secure(serve, certificate):
    server = serve("--tls-cert", str(certificate[0]), "--tls-key", str(certificate[1]), "--ctx", "2048", "--max-body", "2M",
                   "--header-timeout", "2", trust=certificate[0])
    assert server.url.startswith("https://")
    return server


def test_answers_and_streams(secure):
    assert secure.get("/health").json == {"status": "ok"}
    whole = secure.post("/v1/chat/completions", CHAT).json["choices"][0]["message"]["content"]
    events = events_of(secure.post("/v1/chat/completions", {**CHAT, "stream": True}).body)
    assert events[-1] == "[DONE]" and "".join(e["choices"][0]["delta"].get("content", "") for e in events[:-1]) == whole
    origin = f"https://localhost:{secure.port}"
    assert secure.get("/v1/models", Host=f"localhost:{secure.port}", Origin=origin).status == 200


def test_a_connection_serves_many_requests_and_says_farewell(secure):
    with secure.connect() as connection:
        connection.sendall(post_bytes("/tokenize", {"prompt": "x " * 100_000}))  # many TLS records
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        data = b""
        while piece := connection.recv(65536):  # ends without ssl.SSLEOFError: the server sent close_notify
            data += piece
    assert data.count(b"HTTP/1.1 200 OK") == 2 and data.endswith(b'{"status":"ok"}\n')


def test_limits_hold(secure):
    assert status_of(secure.raw(post_bytes("/tokenize", b"x" * 2_200_000))) == 413
    secure.alive()


def test_a_client_that_leaves_ends_its_request(secure):
    before = secure.metric("kvasir_requests_cancelled_total")
    connection = secure.connect()
    connection.sendall(post_bytes("/v1/chat/completions", {**CHAT, "max_tokens": 1500, "ignore_eos": True, "stream": True}))
    assert connection.recv(100).startswith(b"HTTP/1.1 200")
    connection.close()
    secure.idle(timeout=10)
    assert secure.metric("kvasir_requests_cancelled_total") == before + 1


def test_what_is_no_tls_is_cut_off(secure):
    for data in (b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\0" * 100, b""):
        with socket.create_connection(("127.0.0.1", secure.port), timeout=30) as connection:
            connection.sendall(data)
            start = time.monotonic()
            assert b"HTTP/1.1" not in read_all(connection)
            assert time.monotonic() - start < 20
    secure.alive()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_versions_are_refused(secure):
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", secure.port), timeout=30) as connection, pytest.raises((ssl.SSLError, ConnectionResetError)):
        old.wrap_socket(connection)
    secure.alive()


def test_many_at_once(secure):
    connections = [secure.connect() for _ in range(40)]
    for connection in connections:
        connection.sendall(post_bytes("/tokenize", {"prompt": "Hello"}, "Connection: close"))
    for connection in connections:
        assert json.loads(read_all(connection).split(b"\r\n\r\n", 1)[1])["count"] > 0


def test_it_stops_in_order(secure):
    idle = secure.connect()
    assert secure.stop() == 0
    assert read_all(idle) == b""


def test_files_that_do_not_fit_are_named(kvasir, certificate, tmp_path):
    cert, key = map(str, certificate)
    other_key = str(make_certificate(tmp_path, "other")[1])
    locked_key = str(make_certificate(tmp_path, "locked", "-passout", "pass:secret")[1])
    text = tmp_path / "text.pem"
    text.write_text("no PEM\n")

    def fails(*args: str) -> str:
        return kvasir.fails("serve", "-m", "smollm2", "--port", "0", *args)

    assert "give --tls-key too" in fails("--tls-cert", cert)
    assert "give --tls-cert too" in fails("--tls-key", key)
    assert f"--tls-cert {tmp_path}/none cannot be read: No such file" in fails("--tls-cert", f"{tmp_path}/none", "--tls-key", key)
    assert f"--tls-key {tmp_path}/none cannot be read" in fails("--tls-cert", cert, "--tls-key", f"{tmp_path}/none")
    assert f"--tls-cert {text} is not usable: it must be a certificate in PEM" in fails("--tls-cert", str(text), "--tls-key", key)
    assert f"--tls-key {text} is not usable: it must be a private key in PEM" in fails("--tls-cert", cert, "--tls-key", str(text))
    assert "the key of the certificate in --tls-cert" in fails("--tls-cert", cert, "--tls-key", other_key)
    assert "without a password" in fails("--tls-cert", cert, "--tls-key", locked_key)
