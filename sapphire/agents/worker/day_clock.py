"""The clock of the day, as a system call.

Linux answers `clock_gettime` from a page of code and data that it maps into every process (the vDSO), so a filter on
system calls never sees it. Here the few functions on that page are overwritten, in this process alone, with the
system call that they spare; from then on a filter decides who may know the time.

References
----------
vdso(7). Conventions of system calls: syscall(2).
"""

from __future__ import annotations

import ctypes
import platform
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

__all__ = ["redirect_clocks"]

_X86 = {  # mov eax, NUMBER; syscall; ret
    name: b"\xb8" + number.to_bytes(4, "little") + b"\x0f\x05\xc3"
    for name, number in (("__vdso_clock_gettime", 228), ("__vdso_gettimeofday", 96), ("__vdso_time", 201))
}
_ARM = {  # mov x8, #NUMBER; svc #0; ret
    name: (0xD2800008 | number << 5).to_bytes(4, "little") + bytes.fromhex("010000d4c0035fd6")
    for name, number in (("__kernel_clock_gettime", 113), ("__kernel_gettimeofday", 169))
}
_CODE: Mapping[str, Mapping[str, bytes]] = {"x86_64": _X86, "aarch64": _ARM}
_VDSO_ADDRESS = 33  # AT_SYSINFO_EHDR
_NAMES_OF_FUNCTIONS = 11  # SHT_DYNSYM


def redirect_clocks() -> bool:
    """Let the C library ask the system for the time, call by call; whether that could be done."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.getauxval.restype, libc.getauxval.argtypes = ctypes.c_ulong, [ctypes.c_ulong]
    code, image = _CODE.get(platform.machine(), {}), libc.getauxval(_VDSO_ADDRESS)
    if not image or not code:
        return False
    places = dict(_functions(image))
    if not set(code) <= set(places):
        return False
    try:
        with Path("/proc/self/mem").open(
            "r+b", buffering=0
        ) as memory:  # a debugger's way: pages that cannot be written
            for name, instructions in code.items():
                memory.seek(places[name])
                memory.write(instructions)
    except OSError:
        return False
    return all(ctypes.string_at(places[name], len(each)) == each for name, each in code.items())


def _functions(image: int) -> Iterator[tuple[str, int]]:
    """Name and address of what an ELF image in memory offers (System V ABI, chapters 4 and 5)."""
    at, size, count, _ = struct.unpack("<Q10xHHH", ctypes.string_at(image + 40, 24))
    sections = [struct.unpack("<IIQQQQIIQQ", ctypes.string_at(image + at + size * i, 64)) for i in range(count)]
    for section in sections:
        if section[1] != _NAMES_OF_FUNCTIONS:
            continue
        names = image + sections[section[6]][4]
        for place in range(section[4], section[4] + section[5], 24):
            name, _, _, _, value, _ = struct.unpack("<IBBHQQ", ctypes.string_at(image + place, 24))
            if value:
                yield ctypes.string_at(names + name).decode(), image + value
