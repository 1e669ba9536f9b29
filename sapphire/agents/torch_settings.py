"""Torch, settled: one thread and deterministic kernels while an agent computes, and as it was afterwards.

One thread is also the faster choice for models this small: with two, on a machine whose cores are busy, a forecast of
6 ms took 110 ms, most of it spent waiting for the other thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["settled_torch"]


@contextmanager
def settled_torch() -> Iterator[None]:
    """One thread, because the order of sums depends on their number, and kernels that repeat themselves."""
    import torch

    threads = torch.get_num_threads()
    mode = torch.get_deterministic_debug_mode()
    torch.set_num_threads(1)
    torch.set_deterministic_debug_mode("error")  # use_deterministic_algorithms does the same after 5 s of imports
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(mode)
