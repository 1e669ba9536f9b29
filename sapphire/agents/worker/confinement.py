"""Confinement: a process gives up files, sockets and other processes, for good.

Two steps. `confine` leaves Python and its packages to be read and nothing else, so that code can be imported but no
snapshot, ledger or key be found; sockets and new processes are gone. `seal`, once the code is imported and warm, leaves
memory, threads and the descriptors that are open: no path can be opened or looked at any more, no clock of the day read
and no entropy drawn.

Landlock (Linux 5.13) rules paths, seccomp rules system calls; both are made by plain system calls. The filter of the
second step reaches threads that numerical libraries have started (TSYNC). Where the system has neither, an audit hook
refuses what Python itself would open and the state is `observed`: native code is not seen by it.

References
----------
Linux kernel documentation: userspace-api/landlock, userspace-api/seccomp_filter. Numbers of system calls:
arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from sapphire.agents.worker.filters import install_filter, opening_rules, sealing_rules

__all__ = ["Isolation", "confine", "seal"]

Isolation = Literal["enforced", "observed"]
"""Whether the system keeps a worker from files and sockets, or an audit hook in Python does."""

_PR_SET_PDEATHSIG, _SIGKILL = 1, 9
_PR_SET_NO_NEW_PRIVS = 38
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446  # the same on every architecture
_VERSION_FLAG = 1
_PATH_BENEATH = 1
_RUN, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 1 << 1, 1 << 2, 1 << 3
_RIGHTS_OF_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many rights on paths each version of Landlock rules; later ones rule as many as version 5."""
_SYSTEM = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/zoneinfo",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/dev/null",
    "/dev/urandom",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
)
_ROOMS = ("agents", "domain", "statistics")
_libc = ctypes.CDLL(None, use_errno=True)


class _Ruleset(ctypes.Structure):
    _fields_ = (("handled_access_fs", ctypes.c_uint64),)


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def confine(scratch: Path) -> Isolation:
    """Leave Python and its packages to be read, and nothing else; no socket, no new process, no debugger's access.

    Parameters
    ----------
    scratch : an empty folder that may be written and not read, until the process is sealed: others may write there.
    """
    sys.addaudithook(_Watch.hook)
    _Watch.confined, _Watch.scratch = True, scratch
    if not sys.platform.startswith("linux"):
        return "observed"
    _libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return "observed"
    ruled = _rule_paths(_readable(), scratch)
    filtered = install_filter(_libc, platform.machine(), opening_rules(platform.machine()))
    _Watch.enforced = ruled and filtered
    return "enforced" if _Watch.enforced else "observed"


def seal() -> None:
    """Give up every path, the clock of the day and entropy. What is imported stays imported.

    Raises
    ------
    OSError : the system took the first step and refuses the second.
    """
    _Watch.sealed = True
    if not _Watch.enforced:
        return
    if not _rule_paths((), None) or not install_filter(_libc, platform.machine(), sealing_rules(platform.machine())):
        raise OSError(ctypes.get_errno(), "the second step of the confinement was refused")


class _Watch:
    """What the audit hook goes by. It refuses by itself only where the system does not."""

    confined = False
    enforced = False
    sealed = False
    scratch = Path(os.devnull)

    _ALWAYS = ("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "pty.")
    _SEALED = ("open", "os.listdir", "os.scandir", "os.walk", "import", "ctypes.dlopen", "glob.glob", "sqlite3.connect")

    @classmethod
    def hook(cls, event: str, arguments: tuple[Any, ...]) -> None:
        if cls.enforced or not cls.confined:
            return
        if event.startswith(cls._ALWAYS) or (cls.sealed and event in cls._SEALED):
            raise PermissionError(f"an agent may not use {event}: it sees its window and nothing else")
        if event == "open" and not cls._is_code(arguments[0]):
            raise PermissionError(f"an agent may not open {arguments[0]}: it sees its window and nothing else")

    @classmethod
    def _is_code(cls, place: object) -> bool:
        if not isinstance(place, str | bytes | os.PathLike):
            return True  # a descriptor that is open already
        path = Path(os.fsdecode(place)).absolute()
        return any(path.is_relative_to(root) for root in (*_readable(), cls.scratch))


def _readable() -> Sequence[Path]:
    """Folders and files that importing needs."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    places = [Path(sysconfig.get_path(name)) for name in names]
    places += [Path(place) for place in sys.path if Path(place).name in ("site-packages", "dist-packages")]
    places += [Path(sys.base_prefix) / "lib", *map(Path, _SYSTEM)]
    platform_root = Path(__file__).parents[2]
    places += [platform_root / room for room in _ROOMS] + [platform_root / "__init__.py"]
    return [place for place in dict.fromkeys(places) if place.exists()]


def _rule_paths(readable: Sequence[Path], scratch: Path | None) -> bool:
    """Let only these be read from now on, and `scratch` be written and listed; whether the system took it."""
    version = _libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), _VERSION_FLAG)
    if version < 1:
        return False
    handled = (1 << _RIGHTS_OF_ABI.get(version, 16)) - 1
    attribute = _Ruleset(handled)
    ruleset = _libc.syscall(_LANDLOCK_CREATE, ctypes.byref(attribute), ctypes.c_size_t(8), 0)
    if ruleset < 0:
        return False
    try:
        for place in (*readable, *([scratch] if scratch else ())):
            rights = _rights(place, handled) if place != scratch else handled & ~(_RUN | _READ_FILE)
            opened = os.open(place, os.O_PATH | os.O_CLOEXEC)
            try:
                beneath = _PathBeneath(rights, opened)
                if _libc.syscall(_LANDLOCK_ADD, ruleset, _PATH_BENEATH, ctypes.byref(beneath), 0) != 0:
                    return False
            finally:
                os.close(opened)
        return bool(_libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _rights(place: Path, handled: int) -> int:
    """Reading; what is written to the null device is gone."""
    if place.is_dir():
        return _READ_FILE | _READ_DIR
    return _READ_FILE | (_WRITE_FILE if str(place) == os.devnull else 0) & handled
