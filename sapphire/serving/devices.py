"""How much memory a language model's server may use: of the GPU that NVIDIA's driver shows, or of the machine."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from sapphire.domain.errors import NotReady

__all__ = ["DEVICES", "Device", "device_memory"]

Device: TypeAlias = Literal["gpu", "cpu"]
DEVICES: Final[tuple[Device, ...]] = ("gpu", "cpu")


def device_memory(device: Device) -> int:
    """Bytes that processes may use of the first GPU, or of the machine.

    Raises
    ------
    NotReady : this machine has no GPU.
    """
    if device == "cpu":
        import psutil  # type: ignore[import-untyped]

        return int(psutil.virtual_memory().total)
    return _gpu_memory()


def _gpu_memory() -> int:
    import pynvml  # type: ignore[import-untyped]

    try:
        pynvml.nvmlInit()
        try:
            found = pynvml.nvmlDeviceGetCount()
            if found:
                memory = pynvml.nvmlDeviceGetMemoryInfo(pynvml.nvmlDeviceGetHandleByIndex(0), pynvml.nvmlMemory_v2)
                return int(memory.total - memory.reserved)  # what the driver reserves, no process gets
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError as error:
        why = str(error)
    else:
        why = "none"
    raise NotReady(
        "this machine has no GPU",
        expected="one that NVIDIA's driver shows (nvidia-smi lists it)",
        got=why,
        next="run it on a node with a GPU; the runners cpu and cpu-torch need none",
    )
