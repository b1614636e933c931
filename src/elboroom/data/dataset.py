"""The Dataset: parts of one source, and its identity."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from elboroom.config import DataConfig, PartName, ValueKind
from elboroom.data.binarisation import Binarisation
from elboroom.data.formats.arrays import source_of
from elboroom.data.formats.errors import require_no_recipe
from elboroom.data.formats.extras import library_of
from elboroom.data.formats.groups import with_groups
from elboroom.data.given_arrays import as_arrays
from elboroom.data.identity import Identity
from elboroom.data.part import Part, join, read_part
from elboroom.data.reading import Reading
from elboroom.data.rows import Rows
from elboroom.data.source import Source, noun
from elboroom.data.splits import divide
from elboroom.data.typical_values import TypicalValues
from elboroom.data.value_kind import value_kind
from elboroom.data.variation import require_variation
from elboroom.data.withheld import WATCHED_BY, require_one_table, withhold
from elboroom.errors import UsageError
from elboroom.html_table import Shown, Summary, Table

TRAIN_STREAM, TEST_STREAM = 0, 1
"""Streams of static draws."""


@dataclass(frozen=True, repr=False)
class Dataset(Shown):
    """Training, optional validation and test parts of one source.

    Attributes:
        identity: what two results must share to be compared.
        train: the rows that a model is trained on.
        validation: rows that training is watched by, or None.
        test: the rows that are held out.
        reading: what was read, and how the parts were chosen; None for parts made by hand.

    Example:
        >>> bits = torch.rand(300, 8, 8, generator=generator) < 0.5
        >>> mine = Dataset.from_arrays(bits[:250], bits[250:])
        >>> mine.event_shape, mine.kind
        ((1, 8, 8), 'binary')
        >>> {name: len(part) for name, part in mine.parts.items()}
        {'train': 250, 'test': 50}
    """

    identity: Identity
    train: Part
    validation: Part | None
    test: Part
    reading: Reading | None = None

    @classmethod
    def of(cls, source: Source, config: DataConfig) -> "Dataset":
        """Divide a source into parts, and make their values binary if the options ask for it.

        Args:
            source: rows of images.
            config: resolved options of the data.

        Raises:
            DataError: if the rows cannot be divided so, or all training values come out equal.
        """
        if config.withhold:
            return cls._of_entries(source, config)
        division, name = divide(source, config), config.binarisation
        train, validation = division.train, division.validation
        drawn = Binarisation(name, source.white, missing=source.has_missing, stream=TRAIN_STREAM)
        # Static draws give a row the same values in train and in validation.
        held_out = drawn.held_out(stream=TRAIN_STREAM, start=len(train))
        train_part = read_part(train, source, drawn)
        require_variation(train_part, source)
        data = cls(
            identity=Identity(
                source=source.name,
                sha256=source.sha256,
                binarisation=name,
                split=config.split,
                test_images=len(division.test),
                drawn_rows=division.digest,
                columns=source.columns_digest,
            ),
            train=train_part,
            validation=None if validation is None else read_part(validation, source, held_out),
            test=read_part(division.test, source, drawn.held_out(stream=TEST_STREAM)),
            reading=Reading.of(source, division.chosen),
        )
        data = data._with_notes_on_units(division.own)
        if source.schema is not None:
            return replace(data, identity=replace(data.identity, values="real"))
        if name != "none":
            return data
        return replace(data, identity=replace(data.identity, values=data.kind))

    @classmethod
    def _of_entries(cls, source: Source, config: DataConfig) -> "Dataset":
        """Withhold entries of every row, in place of rows.

        Raises:
            UsageError: if the source is not one table in memory.
        """
        require_one_table(source, config)
        method = Binarisation(config.binarisation, source.white, missing=source.has_missing)
        whole = read_part(Rows.of(source.train), source, method)
        require_variation(whole, source)
        train, validation, test = withhold(whole, config.withhold)
        identity = Identity(
            source=source.name,
            sha256=source.sha256,
            binarisation=config.binarisation,
            split=config.split,
            test_images=len(test),
            drawn_rows=f"{config.withhold:g} of the entries withheld",
            columns=source.columns_digest,
        )
        half = f"{config.withhold / 2:.3g} of the entries, in every row"
        reading = Reading.of(source, {"validation": half, "test": half})
        data = cls(identity, train, validation, test, reading)
        return replace(data, identity=replace(identity, values=value_kind([whole])))

    def _with_notes_on_units(self, own: Sequence[PartName]) -> "Dataset":
        """Add a note on each of some parts that may be in other units than the training part."""
        if not own or self.reading is None:
            return self
        usual, schema = TypicalValues.of(self.train), self.reading.schema
        columns = () if schema is None else schema.modelled
        notes = [
            f"the {name} part may be in other units than the training part: {difference}"
            for name in own
            for difference in usual.differences(self.parts[name], columns)
        ]
        reading = replace(self.reading, notes=(*self.reading.notes, *notes))
        return replace(self, reading=reading)

    @classmethod
    def from_arrays(
        cls,
        x_train: ArrayLike | Tensor,
        x_test: ArrayLike | Tensor | None = None,
        y_train: ArrayLike | Tensor | None = None,
        y_test: ArrayLike | Tensor | None = None,
        *,
        x_validation: ArrayLike | Tensor | None = None,
        y_validation: ArrayLike | Tensor | None = None,
        mask: ArrayLike | Tensor | None = None,
        mask_test: ArrayLike | Tensor | None = None,
        mask_validation: ArrayLike | Tensor | None = None,
        groups: ArrayLike | Tensor | None = None,
        class_names: Sequence[str] | None = None,
        config: DataConfig | None = None,
        name: str = "arrays",
    ) -> "Dataset":
        """Make a dataset of arrays or tensors, by the checks and the rules of an `.npz`.

        Args:
            x_train: rows (N, D), grey images (N, H, W) or images (N, C, H, W), of any type of
                number; NaN, and what a `numpy.ma` array masks, is missing.
            x_test: rows for testing; without them a tenth of `x_train` is held out.
            y_train: labels of the training rows in any usual form, (N,).
            y_test: labels of the test rows.
            x_validation: rows to watch training by.
            y_validation: labels of these.
            mask: shaped like `x_train`, True where a value is known.
            mask_test: the same for `x_test`.
            mask_validation: the same for `x_validation`.
            groups: one value for each training row; rows of one value stay in one part.
            class_names: names of the classes that labels count from 0.
            config: binarisation and split; its source is ignored. By default the values stay as
                they are.
            name: the name that results give the data.

        Raises:
            DataError: if an array does not fit the others, or has values that are not those of
                data; the message names what was expected, what was found and the fix.
        """
        arrays = as_arrays(
            {
                "x_train": x_train,
                "x_validation": x_validation,
                "x_test": x_test,
                "y_train": y_train,
                "y_validation": y_validation,
                "y_test": y_test,
                "mask_train": mask,
                "mask_validation": mask_validation,
                "mask_test": mask_test,
                "groups": groups,
                "class_names": class_names,
            }
        )
        config = replace(_require_config(config), source=name)
        require_no_recipe("arrays", config)
        if groups is not None:
            config = replace(config, group_by="groups")
        source = source_of(name, arrays, config).with_origins()
        return cls.of(with_groups(source, config.group_by), config.resolved())

    @classmethod
    def from_rows(
        cls,
        train: "Iterable[Any] | torch.utils.data.Dataset[Any]",
        test: "Iterable[Any] | torch.utils.data.Dataset[Any] | None" = None,
        *,
        validation: "Iterable[Any] | torch.utils.data.Dataset[Any] | None" = None,
        class_names: Sequence[str] | None = None,
        config: DataConfig | None = None,
        name: str = "rows",
    ) -> "Dataset":
        """Make a dataset of what gives rows one by one; all of them are read into memory.

        A row is x, (x, y), or a mapping such as {"image": x, "label": y}. An x is a picture of
        Pillow or the bytes of its file, which is prepared as those of a folder are, or an array or
        a tensor, which is read by the rules of an `.npz`. A y is the label.

        Args:
            train: a `torch.utils.data.Dataset`, a `datasets.Dataset` or any other iterable.
            test: the same for testing; without it a tenth of `train` is held out.
            validation: the same to watch training by.
            class_names: names of the classes that labels count from 0; None takes those that a
                `datasets.Dataset` says.
            config: options of pictures, memory, binarisation and split. Its `unused` names fields
                to leave out, its `group_by` that of the groups; its source is ignored.
            name: the name that results give the data.

        Raises:
            DataError: if a row cannot be used, or rows do not fit each other or into memory; the
                message names what was expected, what was found and the fix.
        """
        from elboroom.data.given_rows import source_of_rows  # needs Pillow

        config = replace(_require_config(config), source=name)
        held_out = {"validation": validation, "test": test}
        given = {part: rows for part, rows in held_out.items() if rows is not None}
        source = source_of_rows({"train": train, **given}, class_names, config)
        return cls.of(with_groups(source, config.group_by), config.resolved())

    @classmethod
    def from_frame(
        cls,
        train: Any,
        test: Any = None,
        *,
        validation: Any = None,
        columns: Mapping[str, Any] | str | PathLike[str] | None = None,
        config: DataConfig | None = None,
        name: str = "frame",
    ) -> "Dataset":
        """Make a dataset of a table of columns, which needs the extra `tables`.

        Args:
            train: a DataFrame of pandas or polars, a dict of columns, or an array (N, D).
            test: the same columns for testing, in any order; without it a tenth of `train` is held
                out.
            validation: the same to watch training by.
            columns: the type or a table of options for columns by name, or the path of a TOML file
                of these; other types are found. `reading.schema` has the types.
            config: split and validation. Its `unused` names columns to leave out, its `group_by`
                that of the groups; its source is ignored.
            name: the name that results give the data.

        Raises:
            DataError: if a column cannot be used; the message names it, and the fix.
        """
        with library_of(Path(name), "pandas", "tables"):
            from elboroom.data.formats.columns import source_of_frames

        config = replace(_require_config(config), source=name)
        held_out = {"validation": validation, "test": test}
        given = {part: table for part, table in held_out.items() if table is not None}
        source = source_of_frames(name, {"train": train, **given}, config, columns).with_origins()
        return cls.of(with_groups(source, config.group_by), config.resolved())

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one image, such as (1, 28, 28)."""
        return tuple(self.train.images.shape[1:])

    @property
    def held_out(self) -> tuple[str, Part]:
        """The part that training is watched by, with its name: validation, or else test."""
        return ("test", self.test) if self.validation is None else ("validation", self.validation)

    @property
    def watched_by(self) -> str:
        """The score that training is watched by: validation ELBO, test ELBO or log p(withheld)."""
        name, part = self.held_out
        return f"{name} ELBO" if part.withheld is None else WATCHED_BY

    @property
    def parts(self) -> dict[PartName, Part]:
        """The parts that there are by name, in the order train, validation, test."""
        found = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in found.items() if part is not None}  # type: ignore[misc]

    @property
    def kind(self) -> ValueKind:
        """The kind of the values of all batches."""
        return self.identity.values or value_kind(self.parts.values())

    @property
    def noun(self) -> str:
        """The word for one row: image or row."""
        return noun(self.event_shape)

    @property
    def nouns(self) -> str:
        """The word for several rows."""
        return f"{self.noun}s"

    def _summary(self) -> Summary:
        reading, identity = self.reading, self.identity
        of_table = None if reading is None else reading.schema
        facts = {
            "each": f"{self.noun} of {' × '.join(map(str, self.event_shape))}",
            "values": identity.reading if reading is None else self._values(reading),
            "labels": self.train.label_summary,
            "split": identity.split,
        }
        chosen = {} if reading is None else reading.chosen
        rows = [(name, f"{len(part):,}", chosen.get(name, "")) for name, part in self.parts.items()]
        parts = Table(("part", self.nouns, "chosen"), rows, numbers=False)
        blocks = [parts] if of_table is None else [parts, of_table.table()]
        return Summary(identity.source, facts, blocks, () if reading is None else reading.notes)

    def _values(self, reading: Reading) -> str:
        """State the values, without a pass over data whose kind is not known yet."""
        known = self.identity.values or ("binary" if self.identity.is_binary else "real")
        return reading.values(self.identity.binarisation, known)

    def part(self, name: PartName) -> Part:
        """Return a part for a look at its rows: values that training draws again are drawn once.

        Args:
            name: of the part; all is every row of the parts, in the order of the source. Under the
                reference split these are the first 20,000.

        Raises:
            UsageError: if there is no such part.
        """
        if name not in get_args(PartName) or (name == "validation" and self.validation is None):
            names = ", ".join([*self.parts, "all"])
            raise UsageError(
                f"the data have no part {name}",
                why=f"found the parts {names}",
                fix="name one of these; --validation of `elboroom train` makes a validation part",
            )
        if name == "all" and self.test.withheld is not None:
            return replace(self.test, withheld=None)
        if name == "all":
            distinct = {id(part): part.drawn_once() for part in self.parts.values()}
            return join([*distinct.values()])
        return self.parts[name].drawn_once()

    def with_test(self, name: PartName) -> "Dataset":
        """Return the data with a part in place of the test part, for a look at its rows.

        Raises:
            UsageError: if there is no such part.
        """
        return self if name == "test" else replace(self, test=self.part(name))


def _require_config(config: DataConfig | None) -> DataConfig:
    """Return options, by default those of values that stay as they are."""
    if config is not None and not isinstance(config, DataConfig):
        raise UsageError(
            f"found a {type(config).__name__} for `config`; expected a DataConfig",
            why="it holds the options of binarisation, split and validation",
            fix="give config=DataConfig(validation=…)",
        )
    return config or DataConfig()


def require_dataset(data: object) -> None:
    """Check that `data` is a Dataset, and not what one is made of.

    Raises:
        UsageError: if it is anything else; it names the call that makes a Dataset of it.

    Example:
        >>> from elboroom import ElboroomError
        >>> from elboroom.data import require_dataset
        >>> try:
        ...     require_dataset(x)
        ... except ElboroomError as error:
        ...     print(error.what)
        found a Tensor of shape (3, 1, 28, 28); expected a Dataset
    """
    if not isinstance(data, Dataset):
        raise not_data(data, "Dataset")


def not_data(found: object, expected: str) -> UsageError:
    """Return the error for an argument that is no `expected`, with the call that makes one."""
    shaped = isinstance(found, np.ndarray | Tensor)
    kind = type(found).__name__ + (f" of shape {tuple(found.shape)}" if shaped else "")
    return UsageError(
        f"found a {kind}; expected a {expected}",
        why="a Dataset has the parts for training and testing, and the identity of the data",
        fix=_call_for(found),
    )


def _call_for(found: object) -> str:
    """Return the call that makes a Dataset of something."""
    if isinstance(found, str | Path):
        return f"load it: load_data(DataConfig(source={str(found)!r}))"
    if isinstance(found, DataConfig):
        return "load it: load_data(config)"
    if isinstance(found, Part):
        return "give the Dataset that the part is of"
    if isinstance(found, torch.utils.data.TensorDataset):
        return "give its tensors: Dataset.from_arrays(x_train) with x_train = dataset.tensors[0]"
    if isinstance(found, torch.utils.data.Dataset):
        return "make one of it: Dataset.from_rows(dataset)"
    return (
        "make one: Dataset.from_arrays(x), which holds out a tenth for testing, or "
        "Dataset.from_arrays(x_train, x_test)"
    )
