"""Bytes → Dataset: read, split, binarise."""

import hashlib
import math
from pathlib import Path

import numpy as np
import torch

from elboroom.config import Binarisation, DataConfig, Split
from elboroom.data import binarisation as binarise
from elboroom.data.arrays import Source, read_array
from elboroom.data.dataset import Dataset, Identity, Part
from elboroom.data.mnist import read_mnist
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

    Raises:
        DataError: a file, a value or a size is not what the reader or the split can take; the
            message says what was expected, what was found, how to mend it.
    """
    source = (
        read_mnist()
        if config.source == "mnist"
        else read_array(Path(config.source), real=config.binarisation == "none")
    )
    train, test = split(source, config.split)
    train, validation = _take_validation(train, config.validation)
    identity = Identity(
        source=source.name,
        sha256=_digest(source),
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
    return read_array(Path(config.source), real=config.binarisation == "none")


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
    missing = source.has_gaps
    grey = Part(torch.tensor(rows.images), labels, source.white, how == "dynamic", missing)
    if how == "none" or (how == "dynamic" and training):
        return grey
    x = grey.x
    if how == "threshold":
        binary = binarise.threshold(x)
    else:
        binary = binarise.draw_once(x, stream=stream, start=start)
    if missing:
        binary = binary.float().masked_fill(x.isnan(), math.nan)
    return Part(binary, labels, missing=missing)


def _digest(source: Source) -> str:
    digest = hashlib.sha256()
    for images in (source.images, source.test_images):
        if images is not None:
            digest.update(np.ascontiguousarray(images).data)
    return digest.hexdigest()
