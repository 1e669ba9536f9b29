"""A network of namespaces on this machine: a host for each part, a bridge between them, and their names in each.

Nothing of it reaches the machine's own network: the bridge lies in a namespace too, and no host has another route.
"""

import os
import subprocess
from pathlib import Path

SUBNET = "10.213.7"
HOSTS_FILES = Path("/etc/netns")
"""`ip netns exec` lays NAMESPACE/hosts of this folder over /etc/hosts."""


class Lan:
    def __init__(self, hosts):
        self._tag, self.hosts = f"sapphire{os.getpid()}", tuple(hosts)

    def words(self, host, command):
        """The command as it is run on a host."""
        return ("ip", "netns", "exec", self._namespace(host), *command)

    def address(self, host):
        """Where a host is."""
        return f"{SUBNET}.{self.hosts.index(host) + 1}"

    def __enter__(self):
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in (*self.hosts, "switch"):
            namespace = self._namespace(name)
            subprocess.run(("ip", "netns", "del", namespace), check=False, capture_output=True)
            names = HOSTS_FILES / namespace / "hosts"
            names.unlink(missing_ok=True)
            if names.parent.is_dir():
                names.parent.rmdir()

    def _make(self):
        known = "127.0.0.1 localhost\n" + "".join(
            f"{SUBNET}.{number} {host}\n" for number, host in enumerate(self.hosts, 1)
        )
        _run("ip", "netns", "add", self._namespace("switch"))
        self._ip("switch", "link", "add", "br0", "type", "bridge")
        self._ip("switch", "link", "set", "br0", "up")
        for number, host in enumerate(self.hosts, 1):
            namespace = self._namespace(host)
            folder = HOSTS_FILES / namespace
            folder.mkdir(parents=True)
            (folder / "hosts").write_text(known)
            _run("ip", "netns", "add", namespace)
            self._ip("switch", "link", "add", f"p{number}", "type", "veth", "peer", "eth0", "netns", namespace)
            self._ip("switch", "link", "set", f"p{number}", "master", "br0", "up")
            self._ip(host, "addr", "add", f"{SUBNET}.{number}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                self._ip(host, "link", "set", device, "up")

    def _ip(self, host, *words):
        _run("ip", "-n", self._namespace(host), *words)

    def _namespace(self, host):
        return f"{self._tag}-{host}"


def _run(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr.strip()} (the test needs root and iproute2)"
    return done.stdout
