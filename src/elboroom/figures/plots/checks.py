"""Checks of the arrays that figures are made of."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from elboroom.errors import NotDrawableError, UsageError
from elboroom.figures.plots.arrays import Array


def require_images(name: str, array: Array, leading: str) -> None:
    """Check that `array` holds images.

    Args:
        name: name of the argument in the error.
        array: `(*leading, C, H, W)` with C = 1 or 3.
        leading: names of the axes before the image, such as `"S, P"`.

    Raises:
        NotDrawableError: if it does not, or one of its axes is empty.
    """
    expected_ndim = len(leading.split(",")) + 3
    if array.ndim != expected_ndim or array.shape[-3] not in (1, 3) or array.size == 0:
        raise NotDrawableError(
            f"{name}: expected images of shape ({leading}, C, H, W), found {array.shape}",
            why="this figure shows images with C = 1 (grey) or 3 (RGB) and no empty axis",
            fix="reshape the events to (C, H, W), or leave the figure out if they are not images",
        )


def require_shape(name: str, array: Array, shape: tuple[int, ...], axes: str) -> None:
    """Check that `array` has `shape`, whose axes are named by `axes`, such as `"P, n, m"`.

    Raises:
        UsageError: if it has another shape.
    """
    if array.shape != shape:
        raise UsageError(
            f"{name}: expected shape ({axes}) = {shape}, found {array.shape}",
            why="axes of the same name have the same length in all arguments",
            fix=f"pass {name} with that shape",
        )


def require_names(name: str, names: Sequence[str] | None, count: int) -> None:
    """Check that there are `count` names, if there are any.

    Raises:
        UsageError: if there are not.
    """
    if names is not None and len(names) != count:
        raise UsageError(
            f"{name}: expected {count}, found {len(names)}",
            why="there is one for each of what they name",
            fix="pass as many names, or None",
        )


def require_mask(name: str, mask: Array, images: Array) -> None:
    """Check that `mask` is boolean and shaped like `images`.

    Raises:
        UsageError: if it is not.
    """
    if mask.dtype != np.bool_ or mask.shape != images.shape:
        raise UsageError(
            f"{name}: expected bool of shape {images.shape}, found {mask.dtype} of {mask.shape}",
            why="a mask is True where a pixel was seen",
            fix="convert with .astype(bool) and broadcast to the shape of the images",
        )


def require_draws(name: str, array: Array, shape: tuple[int, ...], axes: str) -> None:
    """Check that `array` holds K ≥ 1 finite draws of `shape`.

    Args:
        name: name of the argument in the error.
        array: `(K, *shape)`.
        shape: shape of one draw.
        axes: names of the axes of `shape`, such as `"P, 2"`.

    Raises:
        UsageError: if it does not.
    """
    require_shape(name, array, (max(len(array), 1), *shape), f"K, {axes}")
    if not np.isfinite(array).all():
        count = np.sum(~np.isfinite(array))
        raise UsageError(
            f"{name}: expected finite draws, found {count} values that are not finite",
            why="a draw that is not finite has no place in the figure",
            fix="look for the cause where the draws were made: a chain may have diverged",
        )


def require_methods(name: str, methods: Collection[str], at_most: int | None = None) -> None:
    """Check that there is a method, and that there are no more than `at_most`.

    Raises:
        UsageError: if there are not.
    """
    if not methods or (at_most is not None and len(methods) > at_most):
        expected = "one method or more" if at_most is None else f"1 to {at_most} methods"
        raise UsageError(
            f"{name}: expected {expected}, found {len(methods)}",
            why="each method has its own place and style in this figure",
            fix="choose some of them, or draw several figures",
        )
