"""Ports: the same at each start, nobody else's, and never one that a stranger's connection may get."""

import os
import socket
from pathlib import Path

import pytest

from sapphire.domain.errors import ConfigError, PortInUse
from sapphire.stack.addresses import Ports, ports_of_the_workspace
from sapphire.stack.commands.up_and_down import _ports
from sapphire.stack.keeper import KeeperSettings
from sapphire.stack.network import Network


def listening(port=0):
    listener = socket.socket()
    listener.bind(("127.0.0.1", port))
    listener.listen()
    return listener


def test_a_folder_has_the_same_ports_again_and_another_one_others(tmp_path):
    first = Ports.choose(tmp_path / "one")
    assert first == Ports.choose(tmp_path / "one")
    assert len(set(first.numbers)) == 11
    assert set(first.numbers) != set(Ports.choose(tmp_path / "other").numbers)


def test_they_lie_below_those_of_outgoing_connections(tmp_path):
    begin = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert max(Ports.choose(tmp_path).numbers) < begin


def test_a_port_that_is_taken_is_left_to_its_holder(tmp_path):
    before = Ports.choose(tmp_path)
    with listening(before.exchange):
        after = Ports.choose(tmp_path)
        assert before.exchange not in after.numbers
    assert Ports.choose(tmp_path) == before


def test_a_port_that_is_asked_for_and_taken_names_its_holder(tmp_path):
    with listening() as listener:
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
    assert 0 not in zero.numbers
    with listening(zero.exchange):
        again = Ports.choose(tmp_path, {"exchange": 0})
        assert again.exchange not in (0, zero.exchange)
        with pytest.raises(PortInUse) as refused:
            Ports.choose(tmp_path, {"exchange": zero.exchange})
    advice = refused.value.next
    assert "--port exchange=0" in advice
    # What it says works, by the words of the command.
    assert _ports(["exchange=0"]) == {"exchange": 0}


def test_hosts_are_those_of_the_network(tmp_path):
    network = Network("0.0.0.0", "localhost", {"exchange": "127.0.0.3"})
    ports = Ports.choose(tmp_path, network=network)
    assert ports.url("exchange", scheme="ws") == f"ws://127.0.0.3:{ports.exchange}"
    assert ports.url("exchange_control") == f"http://127.0.0.3:{ports.exchange_control}"
    assert ports.bus_url == f"valkey://localhost:{ports.bus}/0"
    assert Ports.choose(tmp_path, network=Network("[::]")).url("service") == f"http://[::1]:{ports.service}"
    assert Ports.choose(tmp_path, network=Network("0.0.0.0")).url("service") == f"http://127.0.0.1:{ports.service}"


@pytest.mark.parametrize("bind", ["0.0.0.0", "127.0.0.2", "::", "::1", "localhost"])
def test_a_port_is_free_where_it_is_bound(tmp_path, bind):
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    with socket.socket(family) as holder:
        holder.bind((bind, 0))
        holder.listen()
        with pytest.raises(PortInUse, match="is taken"):
            Ports.choose(tmp_path, {"bus": holder.getsockname()[1]}, network=Network(bind))


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (Network("192.0.2.1"), "not of this machine"),  # RFC 5737: documentation's
        (Network("2001:db8::1"), "not of this machine"),
        (Network("no-such.invalid"), "the address to bind has no address"),
        (Network("127.0.0.1:80"), "the address to bind has no address"),
        (Network(host="no-such.invalid"), "network.host has no address"),
        (Network(hosts={"bus": "no-such.invalid"}), "network.hosts.bus has no address"),
        (Network(host="0.0.0.0"), "network.host"),
        (Network(hosts={"bus": "::"}), "network.hosts.bus"),
    ],
)
def test_what_cannot_be_bound_or_reached_is_named(tmp_path, network, reason):
    with pytest.raises(ConfigError, match=reason) as refused:
        Ports.choose(tmp_path, network=network)
    assert refused.value.expected
    assert refused.value.next


def test_ports_are_read_from_the_workspace_and_the_environment_over_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert ports_of_the_workspace({}) == {}
    (tmp_path / "sapphire.toml").write_text("[ports]\nbus = 20500\nkeeper = 20600\n")
    assert ports_of_the_workspace({"SAPPHIRE_PORTS_BUS": "20501", "SAPPHIRE_PORTS_MLFLOW": "0"}) == {
        "bus": 20501, "keeper": 20600, "mlflow": 0
    }  # fmt: skip
    for bad in ("70000", "-1", "twenty"):
        with pytest.raises(ConfigError, match="SAPPHIRE_PORTS_BUS") as refused:
            ports_of_the_workspace({"SAPPHIRE_PORTS_BUS": bad})
        assert bad in refused.value.got


def test_a_part_s_settings_are_the_workspace_s_and_the_environment_s_over_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sapphire.toml").write_text("[parts.keeper]\nprobe_every_s = 0.5\nhung_after_s = 20\n")
    settings = KeeperSettings().configured("keeper").overridden("keeper", {"SAPPHIRE_KEEPER_HUNG_AFTER_S": "30"})
    assert (settings.probe_every_s, settings.hung_after_s, settings.probe_within_s) == (
        0.5,
        30,
        KeeperSettings().probe_within_s,
    )
    assert KeeperSettings().configured("collector") == KeeperSettings()


def test_the_network_is_read_from_the_workspace_and_the_environment_over_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Network.read({}) == Network("127.0.0.1")
    text = '[network]\nbind = "0.0.0.0"\nhost = "trading"\n[network.hosts]\nexchange = "exchange.lan"\n'
    (tmp_path / "sapphire.toml").write_text(text)
    network = Network.read({})
    assert network == Network("0.0.0.0", "trading", {"exchange": "exchange.lan"})
    over = {"SAPPHIRE_NETWORK_BIND": "::", "SAPPHIRE_NETWORK_HOST": "", "SAPPHIRE_NETWORK_HOSTS_BUS": "bus.lan"}
    assert Network.read(over) == Network("::", "trading", {"exchange": "exchange.lan", "bus": "bus.lan"})
    assert Network.from_dict(network.as_dict()) == network
    (tmp_path / "sapphire.toml").write_text('[network]\nbnid = "0.0.0.0"\n')
    with pytest.raises(ConfigError, match="unknown setting") as refused:
        Network.read({})
    assert "did you mean network.bind?" in refused.value.next
