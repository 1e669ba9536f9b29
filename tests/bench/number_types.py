"""How far the same arithmetic is apart on other kinds of processor, by number type: what golden tolerances are made of.

    python tests/bench/number_types.py

Runs transformers of 2 and 6 layers in torch, and matrix products, means and deviations in NumPy, in a fresh process for
each set of kernels of this processor, and prints the worst relative difference to the widest set.

Measured on an Intel Xeon with AVX-512 (torch 2.15, NumPy 2.4, OpenBLAS), to AVX2 and to SSE: torch in float64 9e-16 and
3e-7, float32 4e-7 and 6e-7, float16 1.1e-3 and 9e-4, bfloat16 6e-3 and 8e-3. NumPy in float64 is 0 apart in means and
3e-15 in products, in float32 0 and 2e-6. What dominates is the order of sums and, in half types, their last digit.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

_NO_AVX512 = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR"
KERNELS = {
    "widest": {},
    "AVX2": {
        "NPY_DISABLE_CPU_FEATURES": _NO_AVX512,
        "OPENBLAS_CORETYPE": "Haswell",
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
    },
    "SSE": {
        "NPY_DISABLE_CPU_FEATURES": f"{_NO_AVX512} AVX2 FMA3",
        "OPENBLAS_CORETYPE": "Nehalem",
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
    },
}


def computed() -> dict[str, np.ndarray]:
    """Results by what they were computed in."""
    import torch

    torch.set_num_threads(1)
    found = {}
    for width, layers in ((16, 2), (256, 6)):
        torch.manual_seed(1)
        blocks = [
            torch.nn.TransformerEncoderLayer(width, 2, 4 * width, dropout=0.0, batch_first=True) for _ in range(layers)
        ]
        net = torch.nn.Sequential(torch.nn.Linear(40, width), *blocks, torch.nn.Linear(width, 3)).eval()
        x = torch.randn(64, 32, 40)
        for name in ("float64", "float32", "bfloat16", "float16"):
            kind = getattr(torch, name)
            with torch.no_grad():
                last = net.to(kind)(x.to(kind))[:, -1].double()
            found[f"torch {name}, {layers} layers"] = torch.nn.functional.softplus(last).numpy()
    dice = np.random.default_rng(0)
    close = 100.0 * np.exp(np.cumsum(0.002 * dice.standard_normal((500, 2)), axis=0))
    returns, weights = np.diff(np.log(close), axis=0), dice.standard_normal((499, 499))
    for name in ("float64", "float32"):
        r, w = returns.astype(name), weights.astype(name)
        found[f"numpy {name}, means"] = np.stack([r.mean(axis=0), r.std(axis=0)]).astype(np.float64)
        found[f"numpy {name}, products"] = (w @ r).astype(np.float64)
    return found


def apart(a: np.ndarray, b: np.ndarray) -> float:
    """The worst relative difference, as golden outputs are compared."""
    size = np.maximum(np.maximum(np.abs(a), np.abs(b)), np.median(np.abs(a)))
    return float((np.abs(a - b) / size).max())


def main() -> None:
    """Print the table."""
    if len(sys.argv) > 1:
        np.savez(sys.argv[1], **computed())
        return
    with tempfile.TemporaryDirectory() as folder:
        for kernels, variables in KERNELS.items():
            words = [sys.executable, __file__, f"{folder}/{kernels}.npz"]
            subprocess.run(words, env=os.environ | variables, check=True)
        widest, *others = (np.load(Path(folder, f"{kernels}.npz")) for kernels in KERNELS)
        print(f"{'':28}" + "".join(f"{kernels:>10}" for kernels in list(KERNELS)[1:]))
        for name in widest:
            print(f"{name:28}" + "".join(f"{apart(widest[name], other[name]):10.1e}" for other in others))


if __name__ == "__main__":
    main()
