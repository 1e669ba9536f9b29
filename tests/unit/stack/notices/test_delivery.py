"""One request, and what came of it: whatever a receiver does, it ends soon, is judged right, and names no address."""

import datetime
import logging
import socket
import ssl
import time
from email.utils import format_datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sapphire.stack.notices.delivery import Came, deliver

SECRET = "T0SECRETSECRET0"


@pytest.mark.parametrize("status", [200, 201, 204])
def test_what_is_taken_is_delivered(webhook, receiver, status):
    webhook.answers = [status]
    assert deliver(receiver(), {"a": 1}).came is Came.DELIVERED
    assert webhook.got == [{"a": 1}]


@pytest.mark.parametrize(
    ("answer", "came", "pause_s"),
    [
        ((429, {"Retry-After": "7"}, b""), Came.AGAIN, 7.0),
        ((429, {}, b'{"message": "slow down", "retry_after": 0.65, "global": false}'), Came.AGAIN, 0.65),
        ((429, {}, b'{"ok": false, "error_code": 429, "parameters": {"retry_after": 30}}'), Came.AGAIN, 30.0),
        ((429, {"Retry-After": "2"}, b'{"retry_after": 5.5}'), Came.AGAIN, 5.5),
        ((429, {"Retry-After": "soon"}, b"[]"), Came.AGAIN, None),
        ((429, {"Retry-After": "-3"}, b""), Came.AGAIN, None),
        ((429, {"Retry-After": "1e99"}, b""), Came.AGAIN, 3_600.0),
        ((503, {"Retry-After": "9"}, b""), Came.AGAIN, 9.0),
        ((500, {}, b"oh"), Came.AGAIN, None),
        ((502, {}, b""), Came.UNKNOWN, None),
        ((504, {}, b""), Came.UNKNOWN, None),
        ((400, {}, b"invalid_payload"), Came.REFUSED, None),
        ((401, {}, b""), Came.REFUSED, None),
        ((404, {}, b"no_service"), Came.REFUSED, None),
        ((302, {"Location": "http://127.0.0.1:1/elsewhere"}, b""), Came.REFUSED, None),
        ("hang up", Came.UNKNOWN, None),
    ],
)
def test_an_answer_means_what_it_says(webhook, receiver, answer, came, pause_s):
    webhook.answers = [answer]
    outcome = deliver(receiver(), {})
    assert (outcome.came, outcome.pause_s) == (came, pause_s)
    assert outcome.what
    assert len(webhook.got) == 1


def test_a_date_to_try_again_at_is_read(webhook, receiver):
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=60)
    webhook.answers = [(429, {"Retry-After": format_datetime(later, usegmt=True)}, b"")]
    assert 50 < deliver(receiver(), {}).pause_s <= 60


def test_an_answer_that_never_ends_takes_no_longer_than_is_allowed(webhook, receiver):
    webhook.answers = [(200, {"content-length": "9"}, b""), "drip"]
    began = time.monotonic()
    assert deliver(receiver(), {}, within_s=0.5).came is Came.UNKNOWN
    assert deliver(receiver(), {}, within_s=0.5).came is Came.UNKNOWN
    assert time.monotonic() - began < 3


def test_nobody_who_listens_is_tried_again(receiver):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/services/{SECRET}"
        outcome = deliver(receiver(address=address), {})
    assert outcome.came is Came.AGAIN
    assert outcome.what.startswith("no connection: ")
    nowhere = deliver(receiver(address=f"https://no-such-host.invalid/{SECRET}"), {})
    assert nowhere.came is Came.AGAIN
    assert SECRET not in outcome.what + nowhere.what


def test_a_certificate_that_nobody_signed_is_no_connection(webhook_with, receiver, tmp_path):
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "server.pem").write_bytes(private + made.sign(key, hashes.SHA256()).public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    server = webhook_with(context)
    try:
        outcome = deliver(receiver(address=f"https://127.0.0.1:{server.port}/services/{SECRET}"), {})
    finally:
        server.close()
    assert outcome.came is Came.AGAIN
    assert "certificate" in outcome.what
    assert server.got == []


@pytest.mark.parametrize("path", [f"/services/{SECRET}", f"/bot123456789:{SECRET}/sendMessage", f"/x?token={SECRET}"])
def test_no_answer_and_no_log_repeats_an_address(webhook, receiver, caplog, path):
    address = f"http://127.0.0.1:{webhook.port}{path}"
    webhook.answers = [(404, {}, f"nothing at {path}, {address}, {SECRET}".encode())]
    with caplog.at_level(logging.DEBUG):
        outcome = deliver(receiver(address=address), {})
    assert "nothing at (not shown)" in outcome.what
    for secret in (SECRET, path, address):
        assert secret not in outcome.what
    assert SECRET not in repr(receiver(address=address))
    assert "POST http" not in caplog.text
    assert SECRET not in caplog.text
