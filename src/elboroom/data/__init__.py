"""Bytes → Dataset: read, split, binarise."""

from typing import Literal

from elboroom.config import BinarisationName, DataConfig, Split
from elboroom.data.dataset import Dataset, not_data, require_dataset
from elboroom.data.formats.groups import with_groups
from elboroom.data.identity import Identity
from elboroom.data.load import load_new, read_source
from elboroom.data.part import Part
from elboroom.data.reading import Reading
from elboroom.data.source import noun

__all__ = [
    "Dataset",
    "Identity",
    "Part",
    "Reading",
    "load_data",
    "load_mnist",
    "load_new",
    "noun",
    "require_dataset",
]


def load_mnist(
    binarisation: BinarisationName = DataConfig.binarisation,
    split: Split = DataConfig.split,
    validation: int | Literal["auto"] = DataConfig.validation,
) -> Dataset:
    """Load the embedded MNIST with the options of `DataConfig`."""
    return load_data(DataConfig(binarisation=binarisation, split=split, validation=validation))


def load_data(config: DataConfig) -> Dataset:
    """Read, split and binarise the data of `config`.

    Images that would take more than its `memory` stay on disk. Memory then holds 16 bytes per row
    (its place in the file and in the order of the epoch) and the images of one batch.

    Raises:
        UsageError: if `config` is an array, a path or anything else but a DataConfig.
        DataError: if a file, a value or a size does not fit the reader or the split; the message
            names what was expected, what was found and the fix.
    """
    if not isinstance(config, DataConfig):
        raise not_data(config, "DataConfig")
    source = with_groups(read_source(config), config.group_by)
    return Dataset.of(source, config.resolved())
