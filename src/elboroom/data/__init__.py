"""Bytes → Dataset: read, split, binarise."""

import os
from pathlib import Path

import torch

from elboroom.config import Binarisation, DataConfig, Split
from elboroom.data.dataset import Dataset, Identity, Part
from elboroom.data.formats.arrays import read_array
from elboroom.data.lazy_images import Reader
from elboroom.data.mnist import read_mnist
from elboroom.data.source import Source
from elboroom.data.splits import Rows, split
from elboroom.errors import DataError

__all__ = ["Dataset", "Identity", "Part", "load_data", "load_mnist"]

_TRAIN_STREAM, _TEST_STREAM = 0, 1


def load_mnist(
    binarisation: Binarisation = DataConfig.binarisation,
    split: Split = DataConfig.split,
    validation: int = DataConfig.validation,
) -> Dataset:
    """The embedded MNIST, as `DataConfig` describes it."""
    return load_data(
        DataConfig(binarisation=binarisation, split=split, validation=validation),
    )


def load_data(config: DataConfig) -> Dataset:
    """Read, split and binarise the data of `config`.

    Images that would take more than its `memory` stay on disk. In memory are then 8 bytes for each
    row, its place in the file, as many for the order of an epoch, and the images of one batch.

    Raises:
        DataError: a file, a value or a size is not what the reader or the split can take; the
            message says what was expected, what was found, how to mend it.
    """
    source = _read(config)
    train, test = split(source, config.split)
    train, validation = _take_validation(train, config.validation)
    identity = Identity(
        source=source.name,
        sha256=source.sha256,
        binarisation=config.binarisation,
        split=config.split,
        test_images=len(test),
    )
    # Rows taken for validation are drawn as they would be in train.
    return Dataset(
        identity=identity,
        train=_part(train, source, config.binarisation, _TRAIN_STREAM, training=True),
        validation=_part(validation, source, config.binarisation, _TRAIN_STREAM, start=len(train))
        if len(validation)
        else None,
        test=_part(test, source, config.binarisation, _TEST_STREAM),
    )


def _read(config: DataConfig) -> Source:
    if config.source == "mnist":
        return read_mnist()
    if os.path.isdir(config.source):
        from elboroom.data.formats.folder import (
            read_folder,  # and Pillow, which no other data needs
        )

        return read_folder(Path(config.source), memory=config.memory)
    real = config.binarisation == "none"
    return read_array(Path(config.source), real=real, memory=config.memory)


def _take_validation(train: Rows, count: int) -> tuple[Rows, Rows]:
    if count >= len(train):
        raise DataError(
            f"--validation {count} leaves nothing to train on",
            why=f"the training part has {len(train):,} images",
            fix=f"take fewer than {len(train):,}",
        )
    return train[: len(train) - count], train[len(train) - count :]


def _part(
    rows: Rows,
    source: Source,
    how: Binarisation,
    stream: int,
    *,
    start: int = 0,
    training: bool = False,
) -> Part:
    labels = None if rows.labels is None else torch.tensor(rows.labels)
    is_grey, redraw = how == "none", how == "dynamic" and training
    drawn = "grey" if is_grey or redraw else "threshold" if how == "threshold" else "once"
    missing, white = source.has_gaps, source.white if drawn == "grey" else 1.0
    reader = Reader(rows.array, rows.index, source.white, drawn, stream, start, missing)
    images = reader if source.mapped else reader.all()
    return Part(images, labels, white, redraw, missing)
