"""Coders as programs of PyTorch, whose batches and numbers of samples may be of any size."""

from typing import Any

import torch
from torch.export import Dim, ExportedProgram

from elboroom.errors import UsageError
from elboroom.exports.coder import Coder

_MOST = 400  # characters of an error of PyTorch's


def torch_program(coder: Coder) -> ExportedProgram:
    """Trace a coder.

    Raises:
        UsageError: PyTorch cannot trace it for every size.
    """
    try:
        example, shapes = coder.example, dynamic_shapes(coder)
        # Without gradients encoders of pictures split a batch, for caches, by its size.
        with torch.enable_grad():
            return torch.export.export(coder.module, (), example, dynamic_shapes=shapes)
    except Exception as error:
        raise not_exported(coder, error) from error


def dynamic_shapes(coder: Coder) -> dict[str, Any]:
    """Return the axes of each input that may have any size."""
    sizes = {name: Dim(name) for axes in coder.axes.values() for name in axes}
    return {
        name: {place: sizes[axis] for place, axis in enumerate(axes)}
        for name, axes in coder.axes.items()
    }


def not_exported(coder: Coder, error: Exception) -> UsageError:
    """Return the error for a coder that PyTorch cannot export."""
    text = str(error).strip().split("\n\n")[0]
    return UsageError(
        f"the {coder.name} cannot be exported",
        why=f"PyTorch cannot trace it: {type(error).__name__}: {text[:_MOST]}",
        fix="leave out of its forward what depends on values or on sizes of the batch: if, len(), "
        "int(), .item(); with networks of your own, try torch.export.export on them",
    )
