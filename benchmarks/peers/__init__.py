"""Peers, measured beside elboroom: each script runs in an environment that holds only peers."""

import os
import subprocess
import sys
from pathlib import Path

_ENVIRONMENT = Path(__file__).parents[2] / ".peers"
# PyTorch is pinned because an unpinned one may bring gigabytes of CUDA libraries.
_REQUIREMENTS = (
    "torch==2.13.0",
    "pyro-ppl==1.9.2",
    "pythae==0.1.2",
    "numpyro==0.22.0",
    "jax==0.10.2",
)


def install() -> None:
    """Make the environment of the peers, unless it holds just these versions already."""
    python, installed = _ENVIRONMENT / "bin" / "python", _ENVIRONMENT / "installed"
    if installed.exists() and installed.read_text().split() == list(_REQUIREMENTS):
        return
    subprocess.run([sys.executable, "-m", "venv", _ENVIRONMENT], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", *_REQUIREMENTS], check=True)
    installed.write_text("\n".join(_REQUIREMENTS))


def run(script: str, *arguments: object) -> None:
    """Run a script of this folder; its environment is made the first time.

    Raises:
        RuntimeError: it failed; the message is what it wrote last.
    """
    install()
    python = _ENVIRONMENT / "bin" / "python"
    # elboroom's own bound on how long OpenMP spins is not for them
    environment = {k: v for k, v in os.environ.items() if k != "GOMP_SPINCOUNT"}
    command = [str(python), str(Path(__file__).parent / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"{script} failed:\n{done.stderr[-3000:]}")
