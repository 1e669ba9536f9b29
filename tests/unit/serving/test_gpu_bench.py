"""The bench of a GPU says in one line that a machine has none."""

import os
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[2] / "bench" / "gpu.py"
GPU = Path("/dev/nvidiactl").exists()


def test_the_bench_of_a_gpu_is_refused_where_there_is_none():
    asked = subprocess.run(
        [sys.executable, str(BENCH), "--check"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"PYTHONPATH": str(BENCH.parents[2])},
    )
    assert asked.returncode == (0 if GPU else 1)
    assert GPU or "this machine has no GPU" in asked.stderr
    assert GPU or "Traceback" not in asked.stderr
