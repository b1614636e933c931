"""Masks of observed values: True = observed, shaped like the event or the batch."""

import os
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from elboroom.config import DataConfig
from elboroom.data.formats.npy import NpyHeader, read_array, read_header
from elboroom.errors import DataError
from elboroom.untrusted import open_file

_PNG = b"\x89PNG\r\n\x1a\n"

Half = Literal["top", "bottom", "left", "right"]


def half_mask(half: Half, event_shape: tuple[int, ...]) -> Tensor:
    """Return a bool tensor of `event_shape` (C, H, W), True on one half of the image.

    An odd middle row or column is not observed.

    Example:
        >>> half_mask("left", (1, 2, 4))
        tensor([[[ True,  True, False, False],
                 [ True,  True, False, False]]])
    """
    if half not in get_args(Half):
        raise DataError(
            f"{half!r} is not a half of an image",
            why=f"found {half!r}; expected one of {', '.join(get_args(Half))}",
            fix="name one of these, or read another mask by load_mask",
        )
    if len(event_shape) != 3:
        raise DataError(
            f"the {half} half of an event of shape {event_shape} is not defined",
            why="halves are of images (C, H, W)",
            fix="give the mask as a boolean .npy array of the event's shape",
        )
    _, height, width = event_shape
    mask = torch.zeros(event_shape, dtype=torch.bool)
    rows, columns = height // 2, width // 2
    halves = {
        "top": mask[:, :rows],
        "bottom": mask[:, height - rows :],
        "left": mask[..., :columns],
        "right": mask[..., width - columns :],
    }
    halves[half].fill_(True)
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
    """Load the mask called `name` as a bool tensor of `event_shape`.

    Args:
        name: a half, or the path of a boolean `.npy`, or of a `.png` of black and of white
            pixels, which are observed.
        event_shape: shape of one row of the data.

    Raises:
        DataError: if there is no such half or file, or it is not a mask of `event_shape`.

    Example:
        >>> import numpy as np
        >>> from elboroom import load_mask
        >>> np.save("centre.npy", np.pad(np.ones((14, 14), dtype=bool), 7))
        >>> load_mask("centre.npy", data.event_shape).float().mean()  # the share that is seen
        tensor(0.2500)
        >>> torch.equal(load_mask("top", data.event_shape), mask)
        True
    """
    if name in get_args(Half):
        return half_mask(name, event_shape)  # type: ignore[arg-type]
    return torch.from_numpy(_read(Path(name).expanduser(), event_shape)).expand(event_shape).clone()


def _read(path: Path, event_shape: tuple[int, ...]) -> np.ndarray:
    try:
        with open_file(path) as file:
            if file.read(len(_PNG)) == _PNG:
                return _of_picture(path, event_shape)
            file.seek(0)
            size = os.fstat(file.fileno()).st_size
            _require_mask(path, read_header(file, size), event_shape)
            file.seek(0)
            return read_array(file, size)
    except DataError:
        raise
    except Exception as error:  # a damaged file raises more than OSError and ValueError
        raise DataError(
            f"cannot read the mask {path}",
            why=str(error) or "the file is empty",
            fix=f"give {', '.join(get_args(Half))}, a boolean .npy file, or a .png",
        ) from error


def _of_picture(path: Path, event_shape: tuple[int, ...]) -> np.ndarray:
    from elboroom.data.formats.picture_event import read_event  # needs Pillow
    from elboroom.data.formats.pictures import Recipe

    found = read_event(path, Recipe.of(DataConfig()), event_shape)
    if found.blended:
        raise DataError(
            f"{path} is not a mask",
            why="it has pixels that are not opaque",
            fix="save it without transparency, white where a value is observed",
        )
    between = np.unique(found.values[(found.values > 0) & (found.values < 255)])
    if len(between):
        raise DataError(
            f"the mask {path} has other pixels than black and white",
            why=f"found {len(between):,} levels in between, such as {between[0]} of 255; "
            "white stands for observed, black for not",
            fix="make it black and white: Image.open(…).convert('L').point(lambda v: 255 * (v > "
            "127)).save(…)",
        )
    return found.values == 255


def _require_mask(path: Path, found: NpyHeader, event_shape: tuple[int, ...]) -> None:
    shape = event_shape[-len(found.shape) :] if found.shape else None
    if found.shape != shape or found.dtype != bool:
        raise DataError(
            f"{path} is not a mask of this data",
            why=f"found {found.dtype} {found.shape}; expected booleans of shape {event_shape}",
            fix=f"save a boolean array of shape {event_shape}, True where a value is observed",
        )
