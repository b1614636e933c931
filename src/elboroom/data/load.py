"""Path → Source, and new data for a run."""

from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from elboroom.config import BinarisationName, DataConfig, Split, ValueKind
from elboroom.config.data import MNIST
from elboroom.config.kinds import VALUE_KINDS, Colour
from elboroom.data.binarisation import Binarisation
from elboroom.data.dataset import TEST_STREAM, Dataset, not_data
from elboroom.data.formats.errors import (
    BrokenPictureError,
    NoPicturesError,
    UnequalSizesError,
    require_no_recipe,
)
from elboroom.data.formats.groups import with_groups
from elboroom.data.formats.names import AbsentArraysError, LeftOverArraysError
from elboroom.data.formats.registry import read_data
from elboroom.data.identity import WHOLE, Identity
from elboroom.data.mnist import read_mnist
from elboroom.data.part import Part, join, read_part
from elboroom.data.reading import Reading
from elboroom.data.rows import Rows
from elboroom.data.sharing import shared_passes
from elboroom.data.source import Source
from elboroom.data.value_kind import value_kind
from elboroom.errors import DataError, command

_MOST_SHOWN = 9  # columns in an error
_COLOURS: dict[int, Colour] = {1: "grey", 3: "rgb"}
"""The option for pictures of so many channels."""


def load_mnist(
    binarisation: BinarisationName = DataConfig.binarisation,
    split: Split = DataConfig.split,
    validation: int | Literal["auto"] = DataConfig.validation,
) -> Dataset:
    """Load the embedded MNIST with the options of `DataConfig`.

    Example:
        >>> mnist = load_mnist(validation=5000)
        >>> {name: len(part) for name, part in mnist.parts.items()}
        {'train': 55000, 'validation': 5000, 'test': 10000}
        >>> mnist.event_shape, mnist.identity.binarisation, mnist.train.labels[:5]
        ((1, 28, 28), 'threshold', tensor([5, 0, 4, 1, 9]))
    """
    return load_data(DataConfig(binarisation=binarisation, split=split, validation=validation))


@shared_passes()
def load_data(config: DataConfig) -> Dataset:
    """Read, split and binarise the data of `config`.

    Images that would take more than its `memory` stay on disk. Memory then holds 16 bytes per row
    (its place in the file and in the order of the epoch) and the images of one batch. All processes
    of torchrun must load the data: they share the passes over rows on disk.

    Raises:
        UsageError: if `config` is an array, a path or anything else but a DataConfig.
        DataError: if a file, a value or a size does not fit the reader or the split; the message
            names what was expected, what was found and the fix.

    Example:
        >>> import numpy as np
        >>> from elboroom import DataConfig, load_data
        >>> np.save("rows.npy", np.random.default_rng(0).normal(size=(200, 5)))
        >>> mine = load_data(DataConfig(source="rows.npy"))
        >>> len(mine.train), len(mine.test), mine.event_shape, mine.kind
        (180, 20, (5,), 'real')
    """
    if not isinstance(config, DataConfig):
        raise not_data(config, "DataConfig")
    source = with_groups(read_source(config), config.group_by)
    return Dataset.of(source, config.resolved())


def read_source(config: DataConfig) -> Source:
    """Read the source of some options, without the groups of another file."""
    if config.source == MNIST:
        require_no_recipe(MNIST, config)
        return read_mnist()
    return read_data(config.path, config).with_origins()


def read_new(config: DataConfig, event_shape: tuple[int, ...]) -> Source:
    """Read the source of new data for a run, of which they need not have the unused arrays.

    Pictures are prepared as those of the run were; arrays are taken as they are.

    Args:
        config: options of the run's data, with the source of the new data.
        event_shape: shape of one row of the run's data.

    Raises:
        DataError: if it cannot be read. Its fix is one of new data, which have no `--unused`.
    """
    try:
        return read_source(_in_channels(config, event_shape))
    except NoPicturesError:
        return read_new(config.without_picture_options(), ())
    except AbsentArraysError as error:
        unused = tuple(name for name in config.unused if name not in error.names)
        return read_new(replace(config, unused=unused), event_shape)
    except LeftOverArraysError as error:
        fix = f"save a copy without {', '.join(error.names)}, with the arrays of the run's data"
        raise DataError(error.what, why=error.why, fix=fix) from error
    except BrokenPictureError as error:
        fix = "save it again, or take it out"
        raise DataError(error.what, why=error.why, fix=fix) from error
    except UnequalSizesError as error:
        known = _are_pictures(event_shape)
        fix = _packed(config.path, event_shape) if known else "give data of the run's shape"
        raise DataError(error.what, why=error.why, fix=fix) from error


def _packed(path: Path, event_shape: tuple[int, ...]) -> str:
    """Return how to bring pictures to the shape of an event."""
    channels, height, width = event_shape
    options = ["--size", f"{width}x{height}", "--colour", _COLOURS[channels]]
    line = command("pack", path, f"{path.stem}.npy", *options)
    return f"bring them to the size of the run's data: {line}, and give that file"


def _in_channels(config: DataConfig, event_shape: tuple[int, ...]) -> DataConfig:
    """Return options that give pictures the channels of an event (C, H, W), if they are open."""
    if config.colour != "auto" or not _are_pictures(event_shape):
        return config
    return replace(config, colour=_COLOURS[event_shape[0]])


def _are_pictures(event_shape: tuple[int, ...]) -> bool:
    return len(event_shape) == 3 and event_shape[0] in _COLOURS


@shared_passes()
def load_new(
    source: str, config: DataConfig, identity: Identity, event_shape: tuple[int, ...]
) -> Dataset:
    """Load other data for a run, or the run's own data from where they are now.

    Data with the digest of the run's data are its own, moved or renamed, and keep their parts. All
    rows of any other data are in the test part, which is the training part too, and are read by the
    rule of values of the run's data.

    Args:
        source: path of the data.
        config: options of the run's data.
        identity: identity of the run's data.
        event_shape: shape of one row of the run's data.

    Raises:
        DataError: if they cannot be read, or their rows have another shape or other values.
        IncomparableError: if they are the run's data, but are divided into other parts.

    Example:
        >>> import numpy as np
        >>> from elboroom import DataConfig
        >>> from elboroom.data import load_new
        >>> np.save("new.npy", np.eye(28)[None].repeat(4, 0))
        >>> new = load_new("new.npy", DataConfig(), data.identity, data.event_shape)
        >>> new.test.x.shape, new.identity.split
        (torch.Size([4, 1, 28, 28]), 'whole')
    """
    ways = {"binarisation": identity.binarisation, "split": identity.split}
    config = replace(config, source=source, **ways)
    found = read_new(config, event_shape)
    _require_shape(config.path, found, event_shape)
    _require_columns(found, identity)
    if found.sha256 == identity.sha256:
        data = Dataset.of(with_groups(found, config.group_by), config)
        identity.require_same(
            data.identity,
            what=f"{source} has the values of the run's data, but not its parts",
            fix="give the data with the labels, groups and parts that the run was trained with",
        )
        return data
    return _whole(found, config, identity)


def _whole(source: Source, config: DataConfig, of_run: Identity) -> Dataset:
    """Return all rows of a source as the test part, with values as those of a run."""
    white = 255.0 if of_run.values == "bytes" and _is_bytes(source) else source.white
    source = replace(source, white=white)
    method = Binarisation(config.binarisation, white, missing=source.has_missing)
    once, parts, start = method.held_out(stream=TEST_STREAM), list[Part](), 0
    for part in source.parts:
        parts.append(read_part(Rows.of(part), source, replace(once, start=start)))
        start += len(part)
    whole = join(parts)
    values = None if of_run.values is None else value_kind([whole])
    if values is not None and of_run.values is not None:
        _require_values(source, values, of_run.values)
    identity = Identity(
        source.name, source.sha256, config.binarisation, WHOLE, len(whole), values=values
    )
    reading = Reading.of(source, {"test": "every row"})
    return Dataset(identity, train=whole, validation=None, test=whole, reading=reading)


def _require_shape(path: Path, source: Source, event_shape: tuple[int, ...]) -> None:
    found = source.train.images.shape[1:]
    if found != event_shape:
        are_pictures = source.train.files is not None and _are_pictures(event_shape)
        raise DataError(
            f"{source.name} does not fit the run",
            why=f"found rows of shape {found}; the run was trained on {event_shape}",
            fix=_packed(path, event_shape)
            if are_pictures
            else "give data with the shape of the run's data",
        )


def _require_columns(source: Source, identity: Identity) -> None:
    """Check that the columns have the names of those of the run, in their order, if both do."""
    mine, found = identity.columns, source.columns_digest
    if mine is not None and found is not None and mine != found:
        raise DataError(
            f"the columns of {source.name} are not those of the run's data",
            why=f"found {', '.join(source.columns[:_MOST_SHOWN])}",
            fix="write the columns that the run was trained on, in their order",
        )


def _is_bytes(source: Source) -> bool:
    """Return whether all values are bytes; booleans, which are read as bytes too, are not."""
    stored = [part.images if part.stored is None else part.stored for part in source.parts]
    return all(values.dtype == np.uint8 for values in stored)


def _require_values(source: Source, values: ValueKind, of_run: ValueKind) -> None:
    """Check that the values of a source may stand for values as those of a run."""
    kinds = get_args(ValueKind)
    is_scaled = source.white != 1.0 and of_run != "bytes"
    if is_scaled or kinds.index(values) > kinds.index(of_run):
        found = "bytes" if is_scaled else VALUE_KINDS[values]
        raise DataError(
            f"the values of {source.name} do not mean those of the run's data",
            why=f"found {found}, from {source.scan.low:g} to {source.scan.high:g}; the run was "
            f"trained on {VALUE_KINDS[of_run]}",
            fix="bring them to the scale and the type of the run's data",
        )
