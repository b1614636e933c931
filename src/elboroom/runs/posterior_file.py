"""Posteriors of many images in one .npz: draws, means, evidence and diagnostics."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from elboroom.errors import RunError
from elboroom.infer.posterior import Posterior
from elboroom.runs.atomic import write_file


def to_arrays(posterior: Posterior, k: int) -> dict[str, Tensor]:
    """Return the arrays that are stored of a posterior of B rows, on the CPU.

    Args:
        posterior: result of any method.
        k: number of draws to store for each row and chain.

    Returns:
        `z` (C, k, B, D), in the layout of ArviZ; `mean` (B, D); `elbo` or `log_evidence` (B,) in
        nats, if the method gives it; and each diagnostic, (B,).
    """
    found = {"z": posterior.sample_chains(k), "mean": posterior.mean}
    found |= posterior.evidence | posterior.diagnostics
    return {name: table.detach().cpu() for name, table in found.items()}


def join(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Concatenate the rows of all parts."""
    names = parts[0].keys()
    return {n: torch.cat([part[n] for part in parts], 2 if n == "z" else 0) for n in names}


def require_absent(path: Path) -> None:
    """Check that a file can be written at `path`, before any work is done.

    Raises:
        RunError: if it exists already, or its folder does not.
    """
    if path.exists():
        raise RunError(
            f"{path} is in the way",
            why="a posterior is never written over another file",
            fix="give another --out, or delete the file",
        )
    if not path.parent.is_dir():
        raise RunError(
            f"{path} cannot be written",
            why=f"the folder {path.parent} does not exist",
            fix="create the folder, or give another --out",
        )


def write(
    path: Path, found: dict[str, Tensor], *, index: list[int], mask: Tensor, summary: str
) -> None:
    """Write an .npz that `numpy.load` reads, whole or not at all.

    Args:
        path: path of the file.
        found: arrays that `to_arrays` or `join` returned.
        index: rows of the test part.
        mask: (*event), True for observed pixels.
        summary: options and results as JSON.

    Raises:
        DiskError: if it cannot be written.
    """
    arrays: dict[str, Any] = {name: table.numpy() for name, table in found.items()}
    arrays |= {"index": np.array(index), "mask": mask.numpy(), "summary": summary}
    buffer = BytesIO()
    np.savez(buffer, **arrays)
    write_file(path, buffer.getvalue())
