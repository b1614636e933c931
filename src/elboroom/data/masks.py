"""Masks: which pixels are seen. True = observed, shaped like the event or the batch."""

import os
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from elboroom.data.formats.npy import NpyHeader, read_array, read_header
from elboroom.data.formats.png import read_picture
from elboroom.errors import DataError
from elboroom.untrusted import open_file

Half = Literal["top", "bottom", "left", "right"]


def half_mask(half: Half, event_shape: tuple[int, ...]) -> Tensor:
    """Bool tensor of `event_shape` (C, H, W), True on one half of the image.

    An odd middle row or column counts as unseen.
    """
    if len(event_shape) != 3:
        raise DataError(
            f"the {half} half of an event of shape {event_shape} is not defined",
            why="halves are of images (C, H, W)",
            fix="give the mask as a boolean .npy array of the event's shape",
        )
    _, height, width = event_shape
    mask = torch.zeros(event_shape, dtype=torch.bool)
    rows, columns = height // 2, width // 2
    seen = {
        "top": mask[:, :rows],
        "bottom": mask[:, height - rows :],
        "left": mask[..., :columns],
        "right": mask[..., width - columns :],
    }
    seen[half].fill_(True)
    return mask


def seen(x: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return where `mask` is True and `x` is not missing, shaped like `x`.

    Args:
        x: (B, *event), NaN where a value is missing.
        mask: True = observed, shaped like `x` or like the event; None if all values are.
    """
    known = ~x.isnan()
    return known if mask is None else mask & known


def load_mask(name: str, event_shape: tuple[int, ...]) -> Tensor:
    """The mask called `name`: a half, a boolean `.npy`, or a picture whose white pixels are seen.

    Raises:
        DataError: no such half or file, or not a mask of `event_shape`.
    """
    if name in get_args(Half):
        return half_mask(name, event_shape)  # type: ignore[arg-type]
    return torch.from_numpy(_read(Path(name), event_shape)).expand(event_shape).clone()


def _read(path: Path, event_shape: tuple[int, ...]) -> np.ndarray:
    if path.suffix == ".png":
        return read_picture(path, event_shape) > 0.5
    try:
        with open_file(path) as file:
            size = os.fstat(file.fileno()).st_size
            _require_mask(path, read_header(file, size), event_shape)
            file.seek(0)
            return read_array(file, size)
    except DataError:
        raise
    except Exception as error:  # a torn file raises more than OSError, ValueError
        raise DataError(
            f"cannot read the mask {path}",
            why=str(error) or "the file is empty",
            fix=f"give one of {', '.join(get_args(Half))}, a boolean .npy file, or a .png",
        ) from error


def _require_mask(path: Path, found: NpyHeader, event_shape: tuple[int, ...]) -> None:
    shape = event_shape[-len(found.shape) :] if found.shape else None
    if found.shape != shape or found.dtype != bool:
        raise DataError(
            f"{path} is not a mask of this data",
            why=f"expected booleans of shape {event_shape}, found {found.dtype} {found.shape}",
            fix=f"save a boolean array of shape {event_shape}, True where a pixel is seen",
        )
