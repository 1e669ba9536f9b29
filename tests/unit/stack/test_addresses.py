"""Ports: the same at each start, nobody else's, and never one that a stranger's connection may get."""

import os
import socket
from dataclasses import astuple
from pathlib import Path

import pytest

from sapphire.domain.errors import ConfigError, PortInUse
from sapphire.stack.addresses import Ports
from sapphire.stack.commands import _ports


def held(port=0):
    listener = socket.socket()
    listener.bind(("127.0.0.1", port))
    listener.listen()
    return listener


def test_a_folder_has_the_same_ports_again_and_another_one_others(tmp_path):
    first = Ports.choose(tmp_path / "one")
    assert first == Ports.choose(tmp_path / "one")
    assert len(set(astuple(first))) == 10
    assert set(astuple(first)) != set(astuple(Ports.choose(tmp_path / "other")))


def test_they_lie_below_those_of_outgoing_connections(tmp_path):
    begin = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert max(astuple(Ports.choose(tmp_path))) < begin


def test_a_port_that_is_taken_is_left_to_its_holder(tmp_path):
    before = Ports.choose(tmp_path)
    with held(before.exchange):
        after = Ports.choose(tmp_path)
        assert before.exchange not in astuple(after)
    assert Ports.choose(tmp_path) == before


def test_a_port_that_is_asked_for_and_taken_names_its_holder(tmp_path):
    with held() as listener:
        port = listener.getsockname()[1]
        with pytest.raises(PortInUse, match=f"port {port} is taken") as refused:
            Ports.choose(tmp_path, {"mlflow": port})
    assert str(os.getpid()) in refused.value.got
    assert Ports.choose(tmp_path, {"mlflow": port}).mlflow == port


def test_a_port_of_nobody_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="a port of nobody"):
        Ports.choose(tmp_path, {"printer": 1234})


def test_addresses_are_of_this_machine(tmp_path):
    ports = Ports.choose(tmp_path)
    assert ports.url("exchange", scheme="ws") == f"ws://127.0.0.1:{ports.exchange}"
    assert ports.bus_url == f"valkey://127.0.0.1:{ports.bus}/0"


def test_zero_takes_a_free_port_and_the_advice_says_so(tmp_path):
    zero = Ports.choose(tmp_path, {"exchange": 0, "mlflow": 0})
    assert 0 not in astuple(zero)
    with held(zero.exchange):
        again = Ports.choose(tmp_path, {"exchange": 0})
        assert again.exchange not in (0, zero.exchange)
        with pytest.raises(PortInUse) as refused:
            Ports.choose(tmp_path, {"exchange": zero.exchange})
    advice = refused.value.next
    assert "--port exchange=0" in advice
    # What it says works, by the words of the command.
    assert _ports(["exchange=0"]) == {"exchange": 0}
