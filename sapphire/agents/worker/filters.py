"""Filters on system calls (seccomp), as programs for the kernel's packet filter.

Each rule is made of the number of a call; what is refused fails with "operation not permitted", so that Python raises
PermissionError at the line that asked. `clone3` fails as if it were unknown, because its flags lie behind a pointer
that a filter cannot read: the C library then uses `clone`, of which threads are let through and processes are not.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["install_filter", "opening_rules", "sealing_rules"]

_ARCHITECTURES: Mapping[str, int] = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_SET_MODE_FILTER, _TSYNC = 1, 1
_SECCOMP: Mapping[str, int] = {"x86_64": 317, "aarch64": 277}
_ALLOW, _REFUSE, _UNKNOWN = 0x7FFF0000, 0x00050000 | 1, 0x00050000 | 38  # EPERM, ENOSYS
_LOAD, _EQUAL, _AT_LEAST, _BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST = 0, 4, 16  # offsets in struct seccomp_data; arguments are 64 bits, low half first
_CLONE_THREAD = 0x00010000
_X32 = 0x40000000
_REALTIME = (0, 5, 11)  # CLOCK_REALTIME, CLOCK_REALTIME_COARSE, CLOCK_TAI

Instruction = tuple[int, int, int, int]

_CALLS: Mapping[str, tuple[int, int]] = {  # name to number on x86_64 and on aarch64; -1 where there is none
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "poll": (7, -1), "ppoll": (271, 73), "lseek": (8, 62),
    "readv": (19, 65), "writev": (20, 66), "select": (23, -1), "pselect6": (270, 72), "fstat": (5, 80),
    "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214), "mremap": (25, 216),
    "madvise": (28, 233), "membarrier": (324, 283), "mbind": (237, 235), "get_mempolicy": (239, 236),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132),
    "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "sched_setaffinity": (203, 122),
    "sched_getparam": (143, 121), "sched_getscheduler": (145, 120), "getcpu": (309, 168),
    "nanosleep": (35, 101), "clock_nanosleep": (230, 115), "clock_getres": (229, 114),
    "futex": (202, 98), "futex_waitv": (449, 449), "set_robust_list": (273, 99), "set_tid_address": (218, 96),
    "rseq": (334, 293), "arch_prctl": (158, -1), "getpid": (39, 172), "gettid": (186, 178),
    "exit": (60, 93), "exit_group": (231, 94), "restart_syscall": (219, 128), "getrusage": (98, 165),
    "uname": (63, 160), "fcntl": (72, 25),
}  # fmt: skip
_REFUSED_FIRST: Mapping[str, tuple[int, int]] = {
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242), "sendmsg": (46, 211), "recvmsg": (47, 212),
    "fork": (57, -1), "vfork": (58, -1), "execve": (59, 221), "execveat": (322, 281),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kill": (62, 129),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "shmget": (29, 194), "shmat": (30, 196), "mq_open": (240, 180), "msgget": (68, 186), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "keyctl": (250, 219), "add_key": (248, 217),
    "request_key": (249, 218), "mount": (165, 40), "unshare": (272, 97), "setns": (308, 268),
    "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264),
}  # fmt: skip
_CLONE, _CLONE3, _CLOCK = (56, 220), (435, 435), (228, 113)


def opening_rules(machine: str) -> Sequence[Instruction] | None:
    """Everything but sockets, new processes and other processes' memory; None where the numbers are not known."""
    if machine not in _ARCHITECTURES:
        return None
    refused = _numbers(_REFUSED_FIRST, machine)
    rules = _threads_alone(machine) + [each for number in refused for each in _answer(number, _REFUSE)]
    return [*_head(machine), *rules, (_RETURN, 0, 0, _ALLOW)]


def sealing_rules(machine: str) -> Sequence[Instruction] | None:
    """Memory, threads, open descriptors and clocks that do not tell the day; None where the numbers are not known."""
    if machine not in _ARCHITECTURES:
        return None
    rules = _threads_alone(machine) + _no_day(_of(_CLOCK, machine))
    rules += [each for number in _numbers(_CALLS, machine) for each in _answer(number, _ALLOW)]
    return [*_head(machine), *rules, (_RETURN, 0, 0, _REFUSE)]


def install_filter(libc: Any, machine: str, rules: Sequence[Instruction] | None) -> bool:
    """Put a filter on every thread of this process, for good; whether the system took it."""
    if rules is None:
        return False
    program = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *rule) for rule in rules))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))

    filled = Program(len(rules), ctypes.cast(program, ctypes.c_void_p))
    return bool(libc.syscall(_SECCOMP[machine], _SET_MODE_FILTER, _TSYNC, ctypes.byref(filled)) == 0)


def _head(machine: str) -> list[Instruction]:
    """Refuse calls of another architecture, and load the number of the call."""
    other = [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _REFUSE)] if machine == "x86_64" else []
    return [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, _ARCHITECTURES[machine]),
        (_RETURN, 0, 0, _REFUSE),
        (_LOAD, 0, 0, _NUMBER),
        *other,
    ]


def _threads_alone(machine: str) -> list[Instruction]:
    """`clone` for a thread is let through, for a process refused; `clone3` is unknown."""
    return [
        (_EQUAL, 0, 4, _of(_CLONE, machine)),
        (_LOAD, 0, 0, _FIRST),
        (_BITS, 0, 1, _CLONE_THREAD),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
        *_answer(_of(_CLONE3, machine), _UNKNOWN),
    ]


def _no_day(number: int) -> list[Instruction]:
    """`clock_gettime` but for the clocks that tell the day."""
    refused = [each for clock in _REALTIME for each in _answer(clock, _REFUSE)]
    return [(_EQUAL, 0, len(refused) + 2, number), (_LOAD, 0, 0, _FIRST), *refused, (_RETURN, 0, 0, _ALLOW)]


def _answer(number: int, answer: int) -> list[Instruction]:
    return [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, answer)]


def _of(numbers: tuple[int, int], machine: str) -> int:
    return numbers[0] if machine == "x86_64" else numbers[1]


def _numbers(calls: Mapping[str, tuple[int, int]], machine: str) -> list[int]:
    return [number for pair in calls.values() if (number := _of(pair, machine)) >= 0]
