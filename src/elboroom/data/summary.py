"""The block "what was read", which is printed before training."""

from collections import Counter

from elboroom.config import LikelihoodName, ModelConfig
from elboroom.config.kinds import COLUMN_LIKELIHOODS, VALUE_KINDS
from elboroom.data.dataset import Dataset
from elboroom.data.reading import Reading

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
        lines.append(f"values: {reading.values(data.identity.binarisation, data.kind)}")
        lines += _columns(reading)
    lines += [f"labels: {data.train.label_summary}", f"split: {_split(data, reading)}"]
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


def _columns(reading: Reading) -> list[str]:
    """Return the type of each column of a table and the reason for it, of the first ones."""
    lines = [] if reading.schema is None else reading.schema.lines()
    more = [f"column … and {len(lines) - _MOST_COLUMNS:,} more"] * (len(lines) > _MOST_COLUMNS)
    return [*(f"column {line}" for line in lines[:_MOST_COLUMNS]), *more]


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
