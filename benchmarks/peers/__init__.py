"""Peers, measured beside elboroom: each script runs in an environment that holds only peers."""

import subprocess
import sys
from pathlib import Path

_ENVIRONMENT = Path(__file__).parents[2] / ".peers"
_REQUIREMENTS = ("numpyro==0.22.0", "jax==0.10.2")


def run(script: str, *arguments: object) -> None:
    """Run a script of this folder; its environment is made the first time."""
    python = _ENVIRONMENT / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", _ENVIRONMENT], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *_REQUIREMENTS], check=True)
    subprocess.run([python, Path(__file__).parent / script, *map(str, arguments)], check=True)
