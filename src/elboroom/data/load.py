"""Source → Dataset: divide the rows, make the values binary if asked, describe the result."""

from collections.abc import Mapping
from dataclasses import replace
from typing import get_args

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from elboroom.config import DataConfig, ValueKind
from elboroom.config.data import MNIST
from elboroom.config.kinds import VALUE_KINDS
from elboroom.data.binarisation import Binarisation
from elboroom.data.dataset import WHOLE, Dataset, Identity
from elboroom.data.formats.arrays import source_of
from elboroom.data.formats.registry import read_data
from elboroom.data.groups import with_groups
from elboroom.data.lazy_images import LazyImages
from elboroom.data.mnist import read_mnist
from elboroom.data.part import Part, join
from elboroom.data.reading import Reading
from elboroom.data.rows import Rows
from elboroom.data.source import Source
from elboroom.data.splits import divide
from elboroom.data.value_kind import value_kind
from elboroom.data.variation import require_variation
from elboroom.errors import DataError

TRAIN_STREAM, TEST_STREAM = 0, 1


def read_source(config: DataConfig) -> Source:
    """Read the source of some options, with the groups that they name."""
    if config.source == MNIST:
        return with_groups(read_mnist(), config.group_by)
    source = read_data(config.path, config)
    return with_groups(_with_origins(source), config.group_by)


def dataset_of(source: Source, config: DataConfig) -> Dataset:
    """Divide a source into parts, and make their values binary if the options ask for it.

    Args:
        source: rows of images.
        config: resolved options of the data.

    Raises:
        DataError: if the rows cannot be divided so, or all training values come out equal.
    """
    division = divide(source, config)
    train, validation, test = division.train, division.validation, division.test
    drawn = Binarisation(
        config.binarisation, source.white, missing=source.has_missing, stream=TRAIN_STREAM
    )
    # Static draws give a row the same values in train and in validation.
    held_out = drawn.held_out(stream=TRAIN_STREAM, start=len(train))
    identity = Identity(
        source=source.name,
        sha256=source.sha256,
        binarisation=config.binarisation,
        split=config.split,
        test_images=len(test),
        drawn_rows=division.digest,
    )
    train_part = _part(train, source, drawn)
    require_variation(train_part, source)
    data = Dataset(
        identity=identity,
        train=train_part,
        validation=None if validation is None else _part(validation, source, held_out),
        test=_part(test, source, drawn.held_out(stream=TEST_STREAM)),
        reading=Reading.of(source, division.chosen),
    )
    return _with_kind(data)


def dataset_of_arrays(
    name: str, arrays: Mapping[str, ArrayLike | Tensor], config: DataConfig
) -> Dataset:
    """Make a dataset of arrays and tensors by their names in an `.npz`; `groups` are groups.

    Raises:
        DataError: as in `dataset_of` and `source_of`.
    """
    config = replace(config, source=name, group_by="groups" if "groups" in arrays else None)
    found = {key: _to_numpy(values) for key, values in arrays.items()}
    source = source_of(name, _without_masked(found), config)
    return dataset_of(_with_origins(source), config.resolved())


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
    """
    ways = {"binarisation": identity.binarisation, "split": identity.split}
    config = replace(config, source=source, **ways)
    found = read_source(replace(config, group_by=None))
    _require_shape(found, event_shape)
    if found.sha256 == identity.sha256:
        data = dataset_of(with_groups(found, config.group_by), config)
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
        parts.append(_part(Rows.of(part), source, replace(once, start=start)))
        start += len(part)
    whole = parts[0] if len(parts) == 1 else join(parts)
    values = None if of_run.values is None else value_kind([whole])
    if values is not None and of_run.values is not None:
        _require_values(source, values, of_run.values)
    identity = Identity(
        source.name, source.sha256, config.binarisation, WHOLE, len(whole), values=values
    )
    reading = Reading.of(source, {"test": "every row"})
    return Dataset(identity, train=whole, validation=None, test=whole, reading=reading)


def _to_numpy(values: ArrayLike | Tensor) -> np.ndarray:
    if not isinstance(values, Tensor):
        return np.asanyarray(values)
    values = values.detach().cpu()
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy()


def _without_masked(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Replace arrays of `numpy.ma` by their values, and masks that are True where these count."""
    plain = dict(arrays)
    for key, values in arrays.items():
        if isinstance(values, np.ma.MaskedArray):
            plain[key] = values.data
            mask = key.replace("x_", "mask_")
            plain[mask] = ~np.ma.getmaskarray(values) & arrays.get(mask, np.True_)
    return plain


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


def _with_origins(source: Source) -> Source:
    """Name the arrays of a source apart, so that rows with the same number are not mistaken."""
    if len({part.origin for part in source.parts}) == len(source.parts):
        return source
    named = {
        name: part and replace(part, origin=name)
        for name, part in (("validation", source.validation), ("test", source.test))
    }
    return replace(source, train=replace(source.train, origin="train"), **named)


def _with_kind(data: Dataset) -> Dataset:
    """Note the kind of the values in the identity, unless they are made binary."""
    if data.identity.binarisation != "none":
        return data
    return replace(data, identity=replace(data.identity, values=data.kind))


def _require_shape(source: Source, event_shape: tuple[int, ...]) -> None:
    found = source.train.images.shape[1:]
    if found != event_shape:
        raise DataError(
            f"{source.name} does not fit the run",
            why=f"found rows of shape {found}; the run was trained on {event_shape}",
            fix="give data with the shape of the run's data",
        )


def _is_bytes(source: Source) -> bool:
    return all(part.images.dtype == np.uint8 for part in source.parts)


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
