"""Arrays of images in `.npy` and `.npz` files, checked before they are used."""

import math
from pathlib import Path

import numpy as np

from elboroom.data.formats.array_files import load_arrays
from elboroom.data.source import Source, SourcePart, in_chunks, to_bytes_or_floats
from elboroom.errors import DataError

_TRAIN_NAMES = ("x_train", "images", "x", "data", "arr_0")
_MASK_NAMES = ("mask_train", "mask")
_LABEL_NAMES = ("y_train", "labels", "y")
_LARGEST_FLOAT32 = np.finfo(np.float32).max


def read_array(path: Path, *, real: bool = False, memory: float = math.inf) -> Source:
    """Read the images of a `.npy`, or the images, labels and test part of a `.npz`.

    A value is missing where it is NaN, or where the array `mask` (`mask_test` for the test part) is
    False.

    Args:
        path: the file.
        real: True if floats may have any finite value.
        memory: GiB that the images may take. Reading takes twice their size. A larger `.npy` is
            mapped: it stays on disk, in its own type.

    Raises:
        DataError: if the file is missing, is not such an array, has values that are not those of
            images, or is larger than `memory` and cannot be mapped.
    """
    arrays = load_arrays(path, memory)
    images = _require_images(_find(arrays, _TRAIN_NAMES, path), path)
    test = arrays.get("x_test")
    if test is not None and _require_images(test, path).shape[1:] != images.shape[1:]:
        raise DataError(
            f"the train and test images in {path} differ in shape",
            why=f"train has {images.shape[1:]}, test has {test.shape[1:]}",
            fix="save both with one shape",
        )
    white = _white_value([a for a in (images, test) if a is not None], path, real=real)
    stored = images, test
    masks = next((arrays[n] for n in _MASK_NAMES if n in arrays), None), arrays.get("mask_test")
    if any(mask is not None for mask in masks):
        images = _apply_mask(images, masks[0], white, path)
        test = None if test is None else _apply_mask(test, masks[1], white, path)
        white = 1.0
    return Source(
        name=path.name,
        train=_part(
            images, next((arrays[n] for n in _LABEL_NAMES if n in arrays), None), stored[0], path
        ),
        test=None if test is None else _part(test, arrays.get("y_test"), stored[1], path),
        white=white,
        mapped=isinstance(images, np.memmap),
    )


def _part(
    images: np.ndarray, labels: np.ndarray | None, stored: np.ndarray | None, path: Path
) -> SourcePart:
    return SourcePart(_to_images(images), _labels(labels, images, path), stored=stored)


def _find(arrays: dict[str, np.ndarray], names: tuple[str, ...], path: Path) -> np.ndarray:
    if len(arrays) == 1 and not arrays.keys() & {"x_test", "y_test", *_LABEL_NAMES}:
        return next(iter(arrays.values()))
    for name in names:
        if name in arrays:
            return arrays[name]
    raise DataError(
        f"{path} has no images",
        why=f"found {', '.join(sorted(arrays)) or 'no arrays'}; expected one of {', '.join(names)}",
        fix=f"rename the array of images to {names[0]}",
    )


def _require_images(array: np.ndarray, path: Path) -> np.ndarray:
    if array.ndim not in (2, 3, 4) or 0 in array.shape:
        raise DataError(
            f"{path} is not an array of images",
            why=f"found shape {array.shape}; expected (N, D), (N, H, W) or (N, C, H, W), not empty",
            fix="stack the images along a first axis",
        )
    return array


def _as_events(array: np.ndarray) -> np.ndarray:
    """Return (N, *event): vectors (D,) stay, images become (C, H, W) with the channels first."""
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and array.shape[-1] in (1, 3) and array.shape[1] not in (1, 3):
        array = np.moveaxis(array, -1, 1)
    return array


def _to_images(array: np.ndarray) -> np.ndarray:
    """Return events (N, *event), as uint8 or float32 unless they are mapped."""
    events = _as_events(array)
    return events if isinstance(array, np.memmap) else to_bytes_or_floats(events)


def _apply_mask(
    images: np.ndarray, mask: np.ndarray | None, white: float, path: Path
) -> np.ndarray:
    """Return values in [0, 1] as floats, NaN where the mask is False."""
    if mask is None:
        return images / np.float32(white)
    if mask.dtype != bool or mask.shape != images.shape:
        raise DataError(
            f"a mask in {path} does not fit its images",
            why=f"found {mask.dtype} {mask.shape}; expected booleans of shape {images.shape}",
            fix="save a mask shaped like the images, True where a pixel is known",
        )
    return np.where(mask, images / np.float32(white), np.float32(np.nan))


def _white_value(arrays: list[np.ndarray], path: Path, *, real: bool) -> float:
    """Return the value that stands for 1: 255 for bytes above 1, else 1.

    Raises:
        DataError: if the values are neither grey levels nor, if those are permitted, real.
    """
    for array in arrays:
        if array.dtype.kind not in "buif":
            raise _bad_values(path, f"type {array.dtype}", "save numbers")
    ends = np.array([_minimum_and_maximum(array) for array in arrays])
    if np.isnan(ends).any():
        raise _bad_values(path, "only NaN", "give some values that are not missing")
    low, high = ends[:, 0].min(), ends[:, 1].max()
    is_grey_bytes = all(a.dtype == np.uint8 for a in arrays) and high > 1
    is_real = (
        real and all(a.dtype.kind == "f" for a in arrays) and max(-low, high) <= _LARGEST_FLOAT32
    )
    if not is_grey_bytes and not is_real and (low < 0 or high > 1):
        raise _bad_values(
            path,
            f"{low:g} to {high:g} of type {arrays[0].dtype}",
            "divide by the largest possible value, save grey levels as uint8, or read real floats "
            "with --binarisation none and --likelihood gaussian",
        )
    return 255.0 if is_grey_bytes else 1.0


def _minimum_and_maximum(array: np.ndarray) -> tuple[float, float]:
    """Return the smallest and the largest value except NaN; NaN if there is no other."""
    lows, highs = zip(
        *((np.fmin.reduce(p, axis=None), np.fmax.reduce(p, axis=None)) for p in in_chunks(array)),
        strict=True,
    )
    return np.fmin.reduce(lows), np.fmax.reduce(highs)


def _bad_values(path: Path, found: str, fix: str) -> DataError:
    return DataError(
        f"the values in {path} cannot be used",
        why=f"found {found}; expected uint8 in 0…255, booleans, or numbers in [0, 1]",
        fix=fix,
    )


def _labels(labels: np.ndarray | None, images: np.ndarray, path: Path) -> np.ndarray | None:
    if labels is None:
        return None
    if labels.shape != (len(images),) or labels.dtype.kind not in "bui":
        raise DataError(
            f"the labels in {path} do not fit its images",
            why=f"found {labels.dtype} of shape {labels.shape}; expected {len(images)} integers",
            fix="save one integer class for each image",
        )
    return labels.astype(np.int64)
