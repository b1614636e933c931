"""The block "what was read", which is printed before training."""

from collections import Counter
from collections.abc import Sequence

from elboroom.config import LikelihoodName, ModelConfig
from elboroom.config.kinds import COLUMN_LIKELIHOODS, VALUE_KINDS
from elboroom.data.dataset import Dataset
from elboroom.data.reading import Reading

_MOST_CLASSES = 6  # named in a line
_MOST_COLUMNS = 100


def summary(data: Dataset, model: ModelConfig, *, asked: LikelihoodName) -> list[str]:
    """Describe the data of a run in lines: what was read, what was made of it, and notes.

    Args:
        data: the data; those made by hand are described by their parts alone.
        model: resolved options of the model.
        asked: the likelihood as the options named it, perhaps "auto".
    """
    reading = data.reading
    lines = [f"read: {_rows(data, reading)}"]
    if reading is not None:
        lines.append(f"values: {_values(data, reading)}")
        lines += _columns(reading)
    lines += [f"labels: {_labels(data)}", f"split: {_split(data, reading)}"]
    lines.append(f"likelihood: {_likelihood(data, model, asked)}")
    if reading is not None and reading.uses:
        lines.append(f"arrays: {reading.uses}")
    return lines + notes(data)


def notes(data: Dataset) -> list[str]:
    """Return the facts of the data that a user should check, in a line each."""
    return [] if data.reading is None else [f"note: {note}" for note in data.reading.notes]


def _rows(data: Dataset, reading: Reading | None) -> str:
    """Count the rows that the source has, and name its arrays if they have names."""
    arrays = () if reading is None else reading.arrays
    count = sum(rows for _, rows in arrays) or sum(map(len, data.parts.values()))
    named = [f"{name} {rows:,}" for name, rows in arrays if name]
    inside = f" ({', '.join(named)})" if named else ""
    shape = " × ".join(map(str, data.event_shape))
    each = f"of {counted(data.event_shape[0], 'value')}" if data.noun == "row" else f"of {shape}"
    return f"{data.identity.source}{inside}: {counted(count, data.noun)} {each}"


def _values(data: Dataset, reading: Reading) -> str:
    """State type, range and missing share of the values, and what was made of them."""
    scan = reading.scan
    missing = f"{reading.missing_share:.2g}" if reading.missing_share < 1e-3 else ""
    missing = f"{missing or format(100 * reading.missing_share, '.3g') + ' %'} missing"
    missing = missing if scan.missing else "none missing"
    if reading.schema is not None:
        return f"{missing}; each column is encoded by its type"
    range_ = f"{scan.low:g} to {scan.high:g} as {reading.dtype}"
    return f"{range_}, {missing}; {_made(data, reading)}"


def _columns(reading: Reading) -> list[str]:
    """Return the type of each column of a table and the reason for it, of the first ones."""
    lines = [] if reading.schema is None else reading.schema.lines()
    more = [f"column … and {len(lines) - _MOST_COLUMNS:,} more"] * (len(lines) > _MOST_COLUMNS)
    return [*(f"column {line}" for line in lines[:_MOST_COLUMNS]), *more]


def _made(data: Dataset, reading: Reading) -> str:
    """State what the stored values become in a batch."""
    white = reading.white
    kept = "kept as" if white == 1.0 else f"divided by {white:g}, which gives"
    ways = {
        "threshold": f"made 1 above {white / 2:g}, else 0",
        "dynamic": f"made 0 or 1 at random at each visit, 1 with probability x{_over(white)}",
        "static": f"made 0 or 1 at random once, 1 with probability x{_over(white)}",
        "none": f"{kept} {VALUE_KINDS[data.kind]}",
    }
    return ways[data.identity.binarisation]


def _over(white: float) -> str:
    return "" if white == 1.0 else f" / {white:g}"


def _labels(data: Dataset) -> str:
    """Name the classes, or say that there are none."""
    if data.train.labels is None:
        return "none"
    present = data.train.labels.unique().tolist()
    classes = data.train.classes or [str(label) for label in present]
    shown = _shortened(classes)
    return f"{len(classes):,} {'class' if len(classes) == 1 else 'classes'}: {shown}"


def _shortened(names: Sequence[str]) -> str:
    if len(names) <= 2 * _MOST_CLASSES:
        return ", ".join(names)
    return ", ".join([*names[:_MOST_CLASSES], "…", names[-1]])


def _split(data: Dataset, reading: Reading | None) -> str:
    """Count the rows of each part, and state how they were chosen."""
    chosen = {} if reading is None else reading.chosen
    parts = [
        f"{len(part):,} for {_USES[name]}" + (f" ({chosen[name]})" if name in chosen else "")
        for name, part in data.parts.items()
    ]
    return ", ".join(parts)


def _likelihood(data: Dataset, model: ModelConfig, asked: LikelihoodName) -> str:
    """Name the likelihood, why it was taken, and the scale on which the networks see the data."""
    if model.likelihood == "columns":
        return _families(model, asked)
    values = f"the values are {VALUE_KINDS[data.kind]}"
    why = f"because {values}" if asked == "auto" else f"as asked; {values}"
    return f"{model.likelihood}, {why}{_standardised(data, model)}"


def _families(model: ModelConfig, asked: LikelihoodName) -> str:
    """Count the columns of each family, and state why they are told apart."""
    found = Counter(column.partition(":")[0] for column in model.columns)
    counts = ", ".join(f"{found[name]} {name}" for name in COLUMN_LIKELIHOODS if found[name])
    why = "because the data are a table of named columns" if asked == "auto" else "as asked"
    return f"columns, {why}: {counts}; each column is standardised inside the model"


def _standardised(data: Dataset, model: ModelConfig) -> str:
    """State which values share the scale that the model takes from the training part."""
    if model.likelihood != "gaussian" or model.standardise == "none":
        return ""
    by_default = "channel" if len(data.event_shape) > 1 else "value"
    shared = by_default if model.standardise == "auto" else model.standardise
    each = (
        "all values are standardised alike" if shared == "all" else f"each {shared} is standardised"
    )
    return f"; {each} inside the model"


_USES = {"train": "training", "validation": "validation", "test": "testing"}


def counted(count: int, noun: str, nouns: str = "") -> str:
    """Return a number with its noun; `nouns` is the plural if it is not the noun with an s."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"
