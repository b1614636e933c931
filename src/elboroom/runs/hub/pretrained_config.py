"""config.json of a published model: everything besides the weights that makes the model again."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from elboroom import __version__
from elboroom.config import ModelConfig, ValueKind
from elboroom.config.checks import require_seed
from elboroom.config.kinds import Colour, Crop
from elboroom.config.typed_tables import read, require_complete, require_type
from elboroom.errors import RunError
from elboroom.runs.atomic import as_json
from elboroom.runs.config_file import CONFIG as RUN_CONFIG
from elboroom.runs.config_file import as_event_shape
from elboroom.runs.read_errors import read_errors
from elboroom.untrusted import parse_json, read_bytes

CONFIG = "config.json"
FETCH = "fetch it again, or ask whoever published it"
_LIBRARY, _FORMAT = "elboroom", 1
_LARGEST = 1 << 20  # bytes; a table has a likelihood for each column
_MOST_NAMED = 6
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


@dataclass(frozen=True)
class StoredWeights:
    """The file of the weights.

    Attributes:
        size: its size in bytes.
        sha256: its SHA-256, which detects a flipped bit.
        step: step of the training that it is of.
        weights_step: step after which the weights were as they are, an earlier one if training
            ended with its best weights; None if it is not known.
        seed: seed of the training.
    """

    size: int
    sha256: str
    step: int
    weights_step: int | None
    seed: int

    def __post_init__(self) -> None:
        require_seed(self.seed)


@dataclass(frozen=True)
class PreparedData:
    """The preparation of the data, which new data need too; where they are is left out.

    Attributes:
        sha256: digest of all values, before any binarisation.
        binarisation: how pixels became 0 or 1.
        values: kind of the values that the model saw, if they were not made binary.
        split: how the parts were made.
        test_rows: number of rows of the test part.
        size: width and height that pictures were brought to; None if they kept theirs.
        crop: the way there from another ratio of width and height.
        colour: channels of pictures.
        background: colour behind pixels that are not opaque.
    """

    sha256: str
    binarisation: str
    values: ValueKind | None
    split: str
    test_rows: int
    size: str | None
    crop: Crop
    colour: Colour
    background: str


@dataclass(frozen=True)
class PretrainedConfig:
    """The content of config.json.

    Attributes:
        model: options of the model.
        event_shape: shape of x.
        weights: the file of the weights.
        data: how the data were prepared.
    """

    model: ModelConfig
    event_shape: tuple[int, ...]
    weights: StoredWeights
    data: PreparedData

    def to_json(self) -> bytes:
        """Return the content of the file."""
        head = {"library_name": _LIBRARY, "format": _FORMAT, "elboroom_version": __version__}
        return as_json(head | _plain(asdict(self))).encode()

    @classmethod
    def read(cls, folder: Path) -> "PretrainedConfig":
        """Read the file of a folder.

        Raises:
            RunError: if there is none, it is of another library or a newer version, or it cannot be
                read.
        """
        path = folder / CONFIG
        if not path.is_file():
            raise _not_a_model(folder)
        with read_errors(path, FETCH):
            table = parse_json(read_bytes(path, _LARGEST))
            require_type(CONFIG, table, dict[str, Any])
            version = _require_readable(folder, table)
            require_complete(_Tables, table)
            tables = read(_Tables, table)
            if version == __version__:  # another version has other options
                require_complete(ModelConfig, tables.model)
            return cls(
                read(ModelConfig, tables.model),
                as_event_shape(tables.event_shape),
                read(StoredWeights, tables.weights),
                read(PreparedData, tables.data),
            )


@dataclass(frozen=True)
class _Tables:
    """The tables of the file, whose content is read by their own classes."""

    model: dict[str, Any]
    event_shape: tuple[int, ...]
    weights: dict[str, Any]
    data: dict[str, Any]


def is_own(folder: Path) -> bool:
    """Return whether a folder has a config.json that elboroom wrote, of any version."""
    try:
        found = parse_json(read_bytes(folder / CONFIG, _LARGEST))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("library_name") == _LIBRARY


def _require_readable(folder: Path, table: dict[str, Any]) -> str:
    """Take the head out of a table, and return the version of elboroom that wrote it.

    Raises:
        RunError: if another library wrote it, or a version whose format is not known here.
        KeyError: if it has no version or format.
        UsageError: if these have another type.
    """
    if table.pop("library_name", None) != _LIBRARY:
        raise _foreign(folder, table)
    found, version = table.pop("format"), table.pop("elboroom_version")
    require_type("format", found, int)
    require_type("elboroom_version", version, str)
    if not 1 <= found <= _FORMAT:
        raise RunError(
            f"{folder} has format {found}",
            why=f"elboroom {version} wrote it; this is elboroom {__version__}, which reads the "
            f"formats up to {_FORMAT}",
            fix="install a newer version: pip install --upgrade elboroom",
        )
    return version


def _foreign(folder: Path, table: dict[str, Any]) -> RunError:
    model_type = table.get("model_type")
    named = sorted(table)[:_MOST_NAMED]
    found = f"the model type {model_type}" if model_type else f"{', '.join(named) or 'nothing'}"
    return RunError(
        f"{folder} is not a model of elboroom",
        why=f'found {found} in its {CONFIG}; expected "library_name": "{_LIBRARY}"',
        fix="read it with the library that its model card names",
    )


def _not_a_model(folder: Path) -> RunError:
    if (folder / RUN_CONFIG).is_file():
        fix = "open it as a run: Run(path).load_model()"
    elif any(path for pattern in _PICKLES for path in folder.glob(pattern)):
        fix = "weights in a pickle are never read, since they may run code; train a model here"
    else:
        fix = "give a folder that save_pretrained wrote, or the id of a model, OWNER/NAME"
    return RunError(f"{folder} is not a model of elboroom", why=f"it has no {CONFIG}", fix=fix)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it, with lists for tuples."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return list(value) if isinstance(value, tuple) else value
