"""The data of a run: its own, wherever they are now, and new data."""

from dataclasses import replace
from pathlib import Path

from elboroom.config import DataConfig, ModelConfig, PartName
from elboroom.config.data import MNIST
from elboroom.data import Dataset, Identity, load_data, load_new, require_dataset
from elboroom.data.formats.packed import as_packed
from elboroom.data.identity import WHOLE
from elboroom.data.load import read_new, read_source
from elboroom.data.stored_rows import StoredRows
from elboroom.data.tables.schema import Schema
from elboroom.errors import DataMovedError, UsageError
from elboroom.model.likelihoods import likelihood_class, require_support
from elboroom.runs import columns_file, training_values
from elboroom.runs.chosen_part import ChosenPart
from elboroom.runs.config_file import CONFIG


class RunData:
    """The data of a run, as `Run.data` holds them.

    Attributes:
        identity: identity of the data that the run was made from.
        event_shape: shape of one row.

    Args:
        run: folder of the run.
        config: options of its data.
        model: options of its model, whose likelihood new data must suit.
        identity: as above.
        event_shape: as above.
    """

    def __init__(
        self,
        run: Path,
        config: DataConfig,
        model: ModelConfig,
        identity: Identity,
        event_shape: tuple[int, ...],
    ) -> None:
        self._run, self._config, self._model = run, config, model
        self.identity, self.event_shape = identity, event_shape

    @property
    def options_of_new(self) -> DataConfig:
        """Options of other data, whose pictures are prepared as those of the run were.

        Raises:
            DataError: if the run's data were packed, and the file of their rows is damaged.
        """
        return as_packed(self._by_columns)

    @property
    def schema(self) -> Schema | None:
        """The columns of the run's data; None if they are no table of columns.

        Raises:
            RunError: if the file of them cannot be read.
        """
        return columns_file.read(self._run)

    @property
    def _by_columns(self) -> DataConfig:
        """Options by which a table is read with the columns of the run, whatever is found in it."""
        if self.schema is None:
            return self._config
        return replace(self._config, columns=str(self._run / columns_file.FILE))

    def load(self, source: str | None = None) -> Dataset:
        """Load the data that the run was made from.

        Args:
            source: where the data are now, if they were moved or renamed.

        Raises:
            DataMovedError: if there are no data where the run found them.
            IncomparableError: if they are not the data of the run, by their SHA-256.
        """
        if source is not None:
            data = load_new(source, self.options_of_new, self.identity, self.event_shape)
        elif self._config.source == MNIST != self.identity.source:
            raise self._in_memory()
        elif self._config.source == MNIST or self._config.path.exists():
            data = load_data(self._by_columns)
        else:
            raise self._moved()
        return self.require(data)

    def require(self, data: Dataset) -> Dataset:
        """Check that data are those that the run was made from, and return them.

        Raises:
            UsageError: if `data` is not a Dataset.
            IncomparableError: if they are other data, by their SHA-256.
        """
        require_dataset(data)
        self.identity.require_same(
            data.identity,
            what=f"the data of {self._run} has changed since it was trained",
            fix=f"put back the data that it was trained on at {self._config.source}, or name "
            "where it is now with --data",
        )
        return data

    def choose_part(self, name: PartName | None = None, source: str | None = None) -> ChosenPart:
        """Load a part of the run's own data, or all rows of new data.

        Args:
            name: name of the part; None for the test part, or for all rows of new data.
            source: new data, or the run's own if it was moved or renamed; None for the run's own.

        Raises:
            DataError: if the data cannot be read, or do not have the shape and the kind of values
                of the run's data.
            UsageError: if the data have no such part.
        """
        if source is None:
            return ChosenPart.of(self.load(), name or "test")
        data = load_new(source, self.options_of_new, self.identity, self.event_shape)
        columns_file.warn_of_other_columns(data)
        if data.identity.split != WHOLE:
            return ChosenPart.of(data, name or "test")
        _require_whole(name, source)
        require_support(likelihood_class(self._model), data.test, data.identity.source)
        training_values.warn_of_other_units(self._run, data)
        return ChosenPart.of(data, "all")

    def stored_rows(self, chosen: ChosenPart, source: str | None = None) -> StoredRows:
        """Read the rows of a part as their file has them.

        Args:
            chosen: the part, which `choose_part` returned.
            source: as it was given there.
        """
        if source is None:
            return StoredRows.of(read_source(self._by_columns), chosen.rows)
        config = replace(self.options_of_new, source=source)
        return StoredRows.of(read_new(config, self.event_shape), chosen.rows)

    def _in_memory(self) -> DataMovedError:
        return DataMovedError(
            f"the data of {self._run} were arrays in memory, which a run does not keep",
            why=f"its config names no file; their SHA-256 begins {self.identity.sha256[:16]}",
            fix="pass them: train_run(run, data), evaluate(model, data); or save them with "
            "numpy.save and name the file with --data",
        )

    def _moved(self) -> DataMovedError:
        return DataMovedError(
            f"the data of {self._run} is no longer at {self._config.source}",
            why=f"it was moved, renamed or deleted; its SHA-256 begins {self.identity.sha256[:16]}",
            fix="name it with --data, which recognises it by its SHA-256; to resume training, "
            f"correct the line `source` in {self._run / CONFIG}",
        )


def _require_whole(name: PartName | None, source: str) -> None:
    if name not in (None, "all"):
        raise UsageError(
            f"--part {name} is not defined for {source}",
            why="it is not the data of the run, which alone was split into parts",
            fix="omit --part: all rows of new data are used",
        )
