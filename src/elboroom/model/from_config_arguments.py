"""The check of the arguments of `VAE.from_config`, before anything is built from them."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from elboroom.config import ModelConfig
from elboroom.data.statistics import Statistics
from elboroom.errors import UsageError, named

_FIXES = {
    "config": "give ModelConfig(…), or the `model` of a Config",
    "generator": "give torch.Generator().manual_seed(0)",
    "statistics": "give elboroom.data.statistics.statistics_of(data.train)",
    "images": "give a tensor, as by torch.as_tensor(images)",
}


def require_arguments(
    config: ModelConfig,
    event_shape: Sequence[int],
    generator: torch.Generator,
    statistics: Statistics | None,
    images: Tensor | None,
) -> tuple[int, ...]:
    """Check the types of the arguments, and return the shape as a tuple of integers.

    Raises:
        UsageError: an argument is of another type.
    """
    _require(config, ModelConfig, "config")
    _require(generator, torch.Generator, "generator")
    event = _event_shape(event_shape)
    if images is not None:
        _require(images, Tensor, "images")
    if statistics is not None:
        _require(statistics, Statistics, "statistics")
    return event


def _require(found: Any, expected: type, name: str) -> None:
    if not isinstance(found, expected):
        raise UsageError(
            f"{name} has another type than VAE.from_config takes",
            why=f"found {named(found)}; expected a {expected.__name__}",
            fix=_FIXES[name],
        )


def _event_shape(found: Any) -> tuple[int, ...]:
    sizes = tuple(found) if isinstance(found, Sequence) and not isinstance(found, str) else ()
    if not sizes or not all(isinstance(size, Integral) and int(size) >= 1 for size in sizes):
        raise UsageError(
            f"event_shape cannot be {found if isinstance(found, Sequence) else named(found)}",
            why="expected the shape of one x, a tuple of integers of 1 or more",
            fix="give (D,) for rows of D values, (C, H, W) for pictures, or data.event_shape",
        )
    return tuple(int(size) for size in sizes)


def require_statistics_of(statistics: Statistics, expected: tuple[int, ...]) -> None:
    """Check that statistics are of what a model measures of an event.

    Raises:
        UsageError: they are of another shape.
    """
    found = tuple(statistics.mean.shape)
    if found != expected:
        raise UsageError(
            "the statistics are not of such data",
            why=f"they are of values of shape {found}; expected {expected}",
            fix="give the statistics and the event_shape of the same data; of a table "
            "statistics_of(data.train, TableModel(columns).measured)",
        )
