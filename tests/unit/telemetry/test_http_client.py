"""The client of our parts, against sockets that keep a connection, break it, answer slowly or not at all."""

import contextlib
import re
import socket
import ssl
import threading
import time

import httpx
import pytest

from sapphire.domain.errors import ConfigError, NotReady
from sapphire.telemetry import HttpClient, http_client

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Server:
    """Hands each connection to `serve`, with its number; what was sent is in `requests`."""

    def __init__(self, serve):
        self.requests, self.connections = [], 0
        self._serve, self._listening = serve, socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._run, args=(connection, self.connections), daemon=True).start()

    def _run(self, connection, number):
        with connection, contextlib.suppress(OSError):  # the client may hang up first
            self._serve(self, connection, number)

    def read(self, connection):
        """A request; empty where the other side has closed."""
        head, data = b"", b""
        while not head and (part := connection.recv(65_536)):
            data += part
            head, _, body = data.partition(b"\r\n\r\n") if b"\r\n\r\n" in data else (b"", b"", b"")
        if head:
            length = int(dict(re.findall(rb"(?i)(content-length): (\d+)", head)).get(b"Content-Length", 0))
            while len(body) < length:
                body += connection.recv(65_536)
            self.requests.append(head)
        return head

    def close(self):
        self._listening.close()


@pytest.fixture
def serving():
    made = []

    def make(serve):
        made.append(Server(serve))
        return made[-1]

    yield make
    for server in made:
        server.close()


def keeps(server, connection, number):
    while server.read(connection):
        connection.sendall(OK)


def breaks_when_used_again(server, connection, number):
    server.read(connection)
    connection.sendall(OK)
    if number == 1:
        server.read(connection)  # the second request on it is read, and not answered
        return
    keeps(server, connection, number)


def test_a_connection_is_kept(serving):
    server = serving(keeps)
    client = HttpClient(server.url, "the part", within_s=5.0)
    for _ in range(3):
        assert client.get("/readyz").is_ok
    assert server.connections == 1


def test_one_that_was_idle_for_as_long_as_servers_keep_theirs_is_not_used_again(serving, monkeypatch):
    assert http_client._IDLE_S < 5.0, "uvicorn closes after 5 s"
    monkeypatch.setattr(http_client, "_IDLE_S", 0.05)
    server = serving(keeps)
    client = HttpClient(server.url, "the part", within_s=5.0)
    client.post("/views")
    time.sleep(0.1)
    client.post("/views")
    assert server.connections == 2


def test_what_may_be_repeated_is_sent_again_where_the_connection_broke(serving):
    server = serving(breaks_when_used_again)
    client = HttpClient(server.url, "the part", within_s=5.0)
    for _ in range(2):
        assert client.post("/views", {"a": 1}, repeats=True).is_ok
    assert (server.connections, len(server.requests)) == (2, 3)


def test_a_command_is_sent_once(serving):
    server = serving(breaks_when_used_again)
    client = HttpClient(server.url, "the part", within_s=5.0)
    client.post("/halt", {"reason": "x"})
    with pytest.raises(NotReady, match=r"the part at .* did not answer /halt"):
        client.post("/halt", {"reason": "x"})
    assert len(server.requests) == 2
    assert client.post("/halt", {"reason": "x"}).is_ok, "the next call opens another connection"


def drips(server, connection, number):
    server.read(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(100):
        time.sleep(0.02)
        connection.sendall(b"x")


def is_silent(server, connection, number):
    server.read(connection)
    time.sleep(3.0)


@pytest.mark.parametrize("serve", [drips, is_silent])
def test_the_deadline_is_for_the_whole_call(serving, serve):
    client = HttpClient(serving(serve).url, "the part", within_s=0.3)
    began = time.monotonic()
    with pytest.raises(NotReady, match=r"expected: an answer within 0.3 s"):
        client.get("/state")
    assert time.monotonic() - began < 1.5, "a drop at a time held it up"


def test_nobody_there_is_not_ready_and_the_token_is_not_told(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    client = HttpClient(f"http://127.0.0.1:{port}", "the part", within_s=1.0, token="secret-of-the-part")
    with pytest.raises(NotReady) as error:
        client.get("/readyz", next="start it")
    assert error.value.next == "start it"
    assert "secret-of-the-part" not in repr(error.value) + str(error.value) + repr(vars(client).get("_client"))


@pytest.mark.parametrize("url", ["", "127.0.0.1:80", "valkey://127.0.0.1:1", "http://"])
def test_what_is_no_address_is_refused(url):
    with pytest.raises(ConfigError, match="not the address of the part"):
        HttpClient(url, "the part", within_s=1.0)


@pytest.mark.parametrize(("status", "not_now"), [(429, True), (502, True), (503, True), (504, True), (500, False)])
def test_what_a_status_means(status, not_now):
    answer = http_client.Answer(status, b'["no object"]')
    assert (answer.is_ok, answer.is_not_now, answer.facts()) == (False, not_now, {})


def test_whom_to_trust_is_read_once_for_all_clients(monkeypatch):
    """Reading it takes longer than an answer, and parts that come up are asked again and again."""
    http_client._certificates.cache_clear()
    made, read = [], httpx.create_ssl_context
    monkeypatch.setattr(httpx, "create_ssl_context", lambda **given: made.append(given) or read(**given))
    for _ in range(3):
        with contextlib.suppress(NotReady):
            HttpClient("http://127.0.0.1:1", "nobody", within_s=0.5).get("/livez")
    assert made == [{"trust_env": False}]
    assert http_client._certificates().verify_mode is ssl.CERT_REQUIRED
    assert http_client._certificates().check_hostname
