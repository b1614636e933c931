"""Work that several processes do together, started by a real torchrun."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
SECONDS = 120  # until a test that hangs fails


def torchrun(
    processes: int, *arguments: object, options: tuple[str, ...] = (), **more: str
) -> subprocess.CompletedProcess[str]:
    """Run a module of Python in some processes on this machine, of one thread each.

    Args:
        processes: how many.
        arguments: the name of the module, and its own arguments.
        options: further options of torchrun.
        more: variables of the environment.
    """
    line = [*TORCHRUN, f"--nproc-per-node={processes}", *options, "-m", *map(str, arguments)]
    env = os.environ | {"OMP_NUM_THREADS": "1"} | more
    started = subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    )
    try:
        out, err = started.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        started.terminate()  # torchrun then ends the processes
        started.communicate()
        raise
    return subprocess.CompletedProcess(line, started.returncode, out, err)


def found_by_ranks(processes: int, folder: Path, module: str, *arguments: str) -> list[Any]:
    """Return what each rank wrote as JSON by `report`, in the order of ranks."""
    done = torchrun(processes, module, folder, *arguments)
    assert done.returncode == 0, done.stderr[-4_000:]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(processes)]


def report(found: Any) -> None:
    """Write what this rank found for `found_by_ranks`."""
    path = Path(sys.argv[1]) / f"{os.environ['RANK']}.json"
    path.write_text(json.dumps(found))
