"""Bytes → Dataset: read, split, binarise."""

import torch

from elboroom.config import BinarisationName, DataConfig, Split
from elboroom.data.binarisation import Binarisation
from elboroom.data.dataset import Dataset, Identity, Part
from elboroom.data.formats.registry import read_data
from elboroom.data.lazy_images import LazyImages
from elboroom.data.mnist import read_mnist
from elboroom.data.rows import Rows
from elboroom.data.source import Source
from elboroom.data.splits import split, split_validation
from elboroom.data.variation import require_variation

__all__ = ["Dataset", "Identity", "Part", "load_data", "load_mnist"]

_TRAIN_STREAM, _TEST_STREAM = 0, 1


def load_mnist(
    binarisation: BinarisationName = DataConfig.binarisation,
    split: Split = DataConfig.split,
    validation: int = DataConfig.validation,
) -> Dataset:
    """Load the embedded MNIST with the options of `DataConfig`."""
    return load_data(DataConfig(binarisation=binarisation, split=split, validation=validation))


def load_data(config: DataConfig) -> Dataset:
    """Read, split and binarise the data of `config`.

    Images that would take more than its `memory` stay on disk. Memory then holds 16 bytes per row
    (its place in the file and in the order of the epoch) and the images of one batch.

    Raises:
        DataError: if a file, a value or a size does not fit the reader or the split; the message
            names what was expected, what was found and the fix.
    """
    is_embedded = config.source == "mnist"
    source = read_mnist() if is_embedded else read_data(config.path, config)
    train, test = split(source, config.split)
    train, validation = split_validation(train, config.validation)
    identity = Identity(
        source=source.name,
        sha256=source.sha256,
        binarisation=config.binarisation,
        split=config.split,
        test_images=len(test),
    )
    drawn = Binarisation(
        config.binarisation, source.white, missing=source.has_missing, stream=_TRAIN_STREAM
    )
    # Static draws give a row the same values in train and in validation.
    held_out = drawn.held_out(stream=_TRAIN_STREAM, start=len(train))
    train_part = _part(train, source, drawn)
    require_variation(train_part, source)
    return Dataset(
        identity=identity,
        train=train_part,
        validation=_part(validation, source, held_out) if len(validation) else None,
        test=_part(test, source, drawn.held_out(stream=_TEST_STREAM)),
    )


def _part(rows: Rows, source: Source, binarisation: Binarisation) -> Part:
    images = LazyImages(rows, binarisation)
    labels = None if rows.labels is None else torch.tensor(rows.labels)
    return Part(
        images if source.mapped else images.load(),
        labels,
        binarisation,
        source_rows=rows.index,
        files=rows.files,
        classes=source.classes,
        origin=rows.part.origin,
    )
