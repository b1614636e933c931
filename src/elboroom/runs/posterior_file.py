"""Posteriors of many images in one file: draws, and what is known of each."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from elboroom.errors import RunError
from elboroom.infer.posterior import Posterior
from elboroom.runs.atomic import write_file


def kept(posterior: Posterior, k: int) -> dict[str, Tensor]:
    """What is kept of a posterior of B rows, on the processor.

    Args:
        posterior: the result of any method.
        k: draws kept of each row and chain.

    Returns:
        `z` (C, k, B, D), the layout of ArviZ; `mean` (B, D); `elbo` or `log_evidence` (B,) in nats
        where the method knows it; and each diagnostic, (B,).
    """
    found = {"z": posterior.sample_chains(k), "mean": posterior.mean}
    found |= posterior.evidence | posterior.diagnostics
    return {name: table.detach().cpu() for name, table in found.items()}


def join(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The rows of all parts, one after the other."""
    names = parts[0].keys()
    return {n: torch.cat([part[n] for part in parts], 2 if n == "z" else 0) for n in names}


def require_absent(path: Path) -> None:
    """Refuse a file that is there, or whose folder is not, before any work is done.

    Raises:
        RunError: it cannot be written.
    """
    if path.exists():
        raise RunError(
            f"{path} is in the way",
            why="a posterior is never written over another file",
            fix="give another --out, or remove the file",
        )
    if not path.parent.is_dir():
        raise RunError(
            f"{path} cannot be written",
            why=f"there is no folder {path.parent}",
            fix="make the folder, or give another --out",
        )


def write(
    path: Path,
    found: dict[str, Tensor],
    *,
    index: list[int],
    mask: Tensor,
    summary: str,
) -> None:
    """Write an .npz that `numpy.load` reads, whole or not at all.

    Args:
        path: of the file.
        found: what `kept` or `join` returned.
        index: rows of the test part.
        mask: (*event), True where a pixel was seen.
        summary: what was asked, and what came of it, as JSON.

    Raises:
        DiskError: it cannot be written.
    """
    arrays: dict[str, Any] = {name: table.numpy() for name, table in found.items()}
    arrays |= {"index": np.array(index), "mask": mask.numpy(), "summary": summary}
    buffer = BytesIO()
    np.savez(buffer, **arrays)
    write_file(path, buffer.getvalue())
