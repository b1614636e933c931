"""Peers, measured side by side with elboroom, in an environment that holds only peers."""

import os
import subprocess
import sys
from pathlib import Path

_ENVIRONMENT = Path(__file__).parents[2] / ".peers"
_CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
_PACKAGES = (
    "torch",
    "pyro-ppl==1.9.2",
    "pythae==0.1.2",
    "numpyro",
    "jax",
    "flax==0.12.8",
    "optax==0.2.8",
    "pillow",
    "scikit-learn==1.9.1",
    "palmerpenguins==0.1.6",
    "statsmodels==0.15.0",
    "vega_datasets==0.9.0",
    "pandas==2.3.3",  # of the last that palmerpenguins and miceforest were written for
    "lightgbm==4.5.0",  # miceforest calls a private method that later ones changed
    "miceforest==6.0.5",
)
"""Packages of the peers. Those without a version take the one that `constraints.txt` pins."""


def install() -> None:
    """Make the environment of the peers, unless it holds these versions already."""
    python, installed = _ENVIRONMENT / "bin" / "python", _ENVIRONMENT / "installed"
    wanted = requirements()
    if installed.exists() and installed.read_text().split() == wanted:
        return
    subprocess.run([sys.executable, "-m", "venv", _ENVIRONMENT], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
    installed.write_text("\n".join(wanted))


def requirements() -> list[str]:
    """Return the packages of the peers, each with its version."""
    lines = _CONSTRAINTS.read_text().splitlines()
    pinned = {line.partition("==")[0]: line for line in lines if "==" in line}
    return [package if "==" in package else pinned[package] for package in _PACKAGES]


def run(script: str, *arguments: object, threads: int | None = None) -> None:
    """Run a script of this folder; the first call makes its environment.

    Args:
        script: name of its file.
        arguments: what it takes on the command line.
        threads: the most that OpenMP may start; None leaves it to the peer.

    Raises:
        RuntimeError: if it fails; the message is the end of what it printed.
    """
    install()
    python = _ENVIRONMENT / "bin" / "python"
    # Peers run with their own default for how long OpenMP's threads spin.
    environment = {k: v for k, v in os.environ.items() if k != "GOMP_SPINCOUNT"}
    environment |= {"OMP_NUM_THREADS": str(threads)} if threads else {}
    command = [str(python), str(Path(__file__).parent / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"{script} failed:\n{done.stderr[-3000:]}")
