"""New data for a run: read whole, by the rule of values that the run's data were read by."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from elboroom.config import DataConfig
from elboroom.data.binarisation import Binarisation
from elboroom.data.dataset import Dataset, Identity, Part
from elboroom.data.formats.registry import read_data
from elboroom.data.mnist import read_mnist
from elboroom.data.source import Source
from elboroom.errors import DataError, UsageError

_STREAM = 1  # of static draws: that of a test part


def read_source(config: DataConfig) -> Source:
    """Stand-in."""
    is_embedded = config.source == "mnist"
    return read_mnist() if is_embedded else read_data(Path(config.source).expanduser(), config)


def load_new(source: str, like: DataConfig, event_shape: tuple[int, ...]) -> tuple[Identity, Part]:
    """Stand-in."""
    config = replace(like, source=source)
    found = read_source(config)
    images = [torch.from_numpy(np.ascontiguousarray(p.images)) for p in found.parts]
    shape = tuple(images[0].shape[1:])
    if shape != event_shape:
        raise DataError(
            f"{source} does not fit the model",
            why=f"its rows have shape {shape}; expected {event_shape}",
            fix="give data of the shape that the run was trained on",
        )
    x = torch.cat(images)
    method = Binarisation(config.binarisation, found.white, missing=found.has_missing).held_out(
        stream=_STREAM
    )
    labels = None
    if found.parts[0].labels is not None and all(p.labels is not None for p in found.parts):
        labels = torch.from_numpy(np.concatenate([p.labels for p in found.parts]))
    files = None
    if found.parts[0].files is not None:
        files = tuple(f for p in found.parts for f in p.files or ())
    numbers = np.concatenate([np.arange(len(p)) for p in found.parts])
    rows = method.read(x, np.arange(len(x)))
    part = Part(rows, labels, method, numbers, files, found.classes, found.parts[0].origin)
    return Identity(found.name, found.sha256, config.binarisation, "", len(x)), part


def part_of(data: Dataset, name: str) -> Part:
    """Stand-in."""
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    if name != "all":
        part = parts[name]
        if part is None:
            raise UsageError(
                "there is no validation part",
                why="the run was trained without --validation",
                fix="choose --part train, test or all",
            )
        return part
    whole = [p for p in parts.values() if p is not None]
    numbers = np.concatenate([p.numbers for p in whole])
    order = np.argsort(numbers, kind="stable")
    labels = None
    if whole[0].labels is not None:
        labels = torch.cat([p.labels for p in whole])[order]
    files = None
    if whole[0].files is not None:
        joined = [f for p in whole for f in p.files]
        files = tuple(joined[i] for i in order)
    x = torch.cat([p.x for p in whole])[torch.from_numpy(order)]
    return Part(
        x, labels, Binarisation(missing=whole[0].missing), numbers[order], files, whole[0].classes
    )
