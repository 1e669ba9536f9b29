"""How fast a GPU serves a model of Qwen3-8B's size in FP8 with an adapter, and whether its memory is what was planned.

Weights are random and made on the device, so nothing is fetched; the adapter is random too. Speed does not depend on
what weights say. vLLM runs in this process's children, without HTTP. Refused where there is no GPU.

    python tests/bench/gpu.py [--config FOLDER] [--device gpu|cpu] [--check]
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sapphire.domain.errors import Refused, SapphireError
from sapphire.serving.devices import Device, device_memory
from sapphire.serving.memory_plan import CONTEXT, GIB, MemoryPlan, ModelShape, ServerMemory

LENGTH, SEQUENCES, RANK = 2_048, 4, 16
PROMPT, ANSWER, TURNS = 1_024, 128, 5
SLACK = 0.02
"""Of the device, beside what the plan says, for the share that vLLM is given."""
MODULES = (
    *(f"self_attn.{name}" for name in ("q_proj", "k_proj", "v_proj", "o_proj")),
    *(f"mlp.{name}" for name in ("gate_proj", "up_proj", "down_proj")),
)


def write_adapter(shape: ModelShape, folder: Path) -> None:
    """A random adapter on every matrix, in peft's layout."""
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(7)
    arrays = {}
    for layer in range(shape.layers):
        for module, (rows, columns) in zip(MODULES, shape.matrices, strict=True):
            name = f"base_model.model.model.layers.{layer}.{module}"
            arrays[f"{name}.lora_A.weight"] = torch.randn(RANK, rows, dtype=torch.bfloat16) / rows**0.5
            arrays[f"{name}.lora_B.weight"] = torch.randn(columns, RANK, dtype=torch.bfloat16) / RANK
    save_file(arrays, folder / "adapter_model.safetensors")
    about = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": RANK, "lora_alpha": RANK, "bias": "none",
        "target_modules": [module.split(".")[1] for module in MODULES],
    }  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(about), "utf-8")


def used(device: Device) -> int:
    """Bytes of the device that processes use."""
    if device == "cpu":
        import psutil

        return int(psutil.virtual_memory().used)
    import pynvml

    pynvml.nvmlInit()
    memory = pynvml.nvmlDeviceGetMemoryInfo(pynvml.nvmlDeviceGetHandleByIndex(0), pynvml.nvmlMemory_v2)
    pynvml.nvmlShutdown()
    return int(memory.used)


def device_name(device: Device) -> str:
    """What numbers are of."""
    if device == "cpu":
        return f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
    import pynvml

    pynvml.nvmlInit()
    name = pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(0))
    pynvml.nvmlShutdown()
    return str(name)


@dataclass
class Engine:
    """vLLM with random weights.

    Parameters
    ----------
    llm : vLLM's own.
    adapter : as its requests name it.
    vocabulary : of its model.
    dice : of prompts, each of which is new.
    """

    llm: Any
    adapter: Any
    vocabulary: int
    dice: np.random.Generator

    def seconds(self, prompts: int, length: int, answer: int, *, adapter: Any = None) -> float:
        """How long it takes to answer so many new prompts at once."""
        from vllm import SamplingParams

        tokens = self.dice.integers(0, self.vocabulary, (prompts, length)).tolist()
        how = SamplingParams(temperature=0.0, max_tokens=answer, ignore_eos=True, detokenize=False)
        begun = time.perf_counter()
        made = self.llm.generate(
            [{"prompt_token_ids": each} for each in tokens], how, use_tqdm=False, lora_request=adapter
        )
        taken = time.perf_counter() - begun
        written = [len(each.outputs[0].token_ids) for each in made]
        if written != [answer] * prompts:
            raise Refused("vLLM wrote something else", expected=f"{answer} tokens each", got=str(written))
        return taken


def engine(config: Path, shape: ModelShape, plan: ServerMemory, folder: Path, *, share: float) -> Engine:
    """vLLM on the device, with the words that a server of ours has."""
    from vllm import LLM
    from vllm.lora.request import LoRARequest

    llm = LLM(
        model=str(config), skip_tokenizer_init=True, load_format="dummy", dtype="bfloat16", generation_config="vllm",
        quantization="fp8_per_channel", seed=0, gpu_memory_utilization=share, kv_cache_memory_bytes=plan.cache,
        max_model_len=LENGTH, max_num_seqs=SEQUENCES, max_num_batched_tokens=2_048, enable_prefix_caching=True,
        enable_lora=True, max_loras=1, max_lora_rank=RANK,
    )  # fmt: skip
    return Engine(llm, LoRARequest("random", 1, str(folder)), shape.vocabulary, np.random.default_rng(7))


def median(measure: Callable[[], float]) -> float:
    """Of some turns, after one that warms up."""
    measure()
    return float(np.median([measure() for _ in range(TURNS)]))


def speeds(running: Engine) -> None:
    """Prints what takes how long."""
    first = median(lambda: running.seconds(1, PROMPT, 1))
    print(f"time to first token, prompt of {PROMPT:,} tokens  {1e3 * first:9.1f} ms")
    together = median(lambda: running.seconds(SEQUENCES, PROMPT, 1))
    print(f"prompts, {SEQUENCES} at once                        {SEQUENCES * PROMPT / together:9.0f} tokens/s")
    for name, adapter in (("", None), (", with the adapter", running.adapter)):
        for many in (1, SEQUENCES):
            short, long = (
                median(
                    lambda many=many, count=count, adapter=adapter: running.seconds(many, 32, count, adapter=adapter)
                )
                for count in (1, 1 + ANSWER)
            )
            label = f"answers, {many} at once{name}"
            print(f"{label:<47} {many * ANSWER / (long - short):8.0f} tokens/s")


def measure(config: Path, device: Device) -> None:
    """The whole bench.

    Raises
    ------
    NotReady : this machine has no GPU.
    Refused : it is too small for the model, or more memory was used than planned.
    """
    available = device_memory(device)
    shape = ModelShape.read(config)
    plan = ServerMemory.of(
        "bench", shape, share=1.0 - CONTEXT / available, length=LENGTH, sequences=SEQUENCES, quantization="fp8",
        adapters=1, rank=RANK,
    )  # fmt: skip
    MemoryPlan(available, (plan,)).require()
    print(
        f"{device_name(device)}, {available / GIB:.1f} GiB; "
        f"{shape.parameters / 1e9:.2f} billion parameters, n = {TURNS}"
    )
    before = used(device)
    with tempfile.TemporaryDirectory() as folder:
        write_adapter(shape, Path(folder))
        begun = time.perf_counter()
        running = engine(config, shape, plan, Path(folder), share=min(0.95, plan.inside / available + SLACK))
        print(f"started in {time.perf_counter() - begun:.0f} s")
        speeds(running)
    taken, planned = used(device) - before, plan.inside + CONTEXT
    print(f"memory  {taken / GIB:.2f} GiB, planned {planned / GIB:.2f} GiB\n{MemoryPlan(available, (plan,)).table()}")
    if device == "gpu" and taken > planned:
        raise Refused("more memory was used than planned", expected=f"{planned:,} bytes", got=f"{taken:,} bytes")


def main() -> int:
    """The command."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument(
        "--config", type=Path, default=Path(__file__).parent / "qwen3_8b", help="folder of config.json"
    )
    options.add_argument("--device", choices=("gpu", "cpu"), default="gpu")
    options.add_argument("--check", action="store_true", help="only whether there is such a device")
    given = options.parse_args()
    try:
        if given.check:
            device_memory(given.device)
        else:
            measure(given.config, given.device)
    except SapphireError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
