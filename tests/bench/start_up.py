"""How long a quant waits for `import sapphire` and for `sapphire --help`: medians of fresh processes.

Run by `make bench`. What dominates: the interpreter's own start, then typer.
"""

import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 15
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import sapphire": [sys.executable, "-c", "import sapphire"],
    "sapphire --help": [str(Path(sys.executable).with_name("sapphire")), "--help"],
}


def seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    load = os.getloadavg()[0]
    print(f"start-up on {platform.machine()}, {os.cpu_count()} cores, load {load:.1f}, n = {RUNS} fresh processes each")
    for name, command in COMMANDS.items():
        taken = sorted(seconds(command) for _ in range(RUNS))
        print(f"  {name:<18} median {1e3 * statistics.median(taken):6.0f} ms   least {1e3 * taken[0]:6.0f} ms")


if __name__ == "__main__":
    main()
