"""The description of a run: its model, its data, and the questions that suit it."""

from collections import Counter
from dataclasses import asdict
from typing import Any

import msgspec

from elboroom.config import MethodName
from elboroom.config.kinds import METHODS
from elboroom.explorer.api.requests import LIMITS, Nothing
from elboroom.explorer.explored_run import ExploredRun, Kind
from elboroom.explorer.tones import Tones
from elboroom.runs.lock import is_held


class RowClass(msgspec.Struct, frozen=True):
    """A class of the rows that are shown."""

    label: int
    name: str
    rows: int


class MethodOption(msgspec.Struct, frozen=True):
    """A method of inference that the model has; slow ones take seconds."""

    name: str
    title: str
    slow: bool


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """A run, and what can be asked of it.

    Attributes:
        id: its name in the interface.
        name: the name that people know it by: that of its folder, or the end of its path.
        step: step of the checkpoint that is shown.
        likelihood: name of p(x | z).
        latents: D.
        levels: the shape of the latents of each level, the top first.
        event_shape: shape of one row.
        kind: the kind of a row.
        tones: the values that are drawn black and white.
        binary: true if all values are 0 or 1.
        classes: the classes of the rows; empty without labels.
        part: name of the part of the data.
        rows: how many rows are shown.
        of: how many rows the part has.
        noun: the word for one row.
        axes: the usual planes, the first by default.
        methods: methods of inference, the first by default.
        views: the views that suit the model.
        figures: names of the figures that the run holds.
        config: every option of the run.
        live: true while the run is being trained.
        limits: the most of each that one request may ask for.
    """

    id: str
    name: str
    step: int
    likelihood: str
    latents: int
    levels: list[list[int]]
    event_shape: list[int]
    kind: Kind
    tones: Tones
    binary: bool
    classes: list[RowClass]
    part: str
    rows: int
    of: int
    noun: str
    axes: list[str]
    methods: list[MethodOption]
    views: list[str]
    figures: list[str]
    config: dict[str, Any]
    live: bool
    limits: dict[str, int]


def describe(explored: ExploredRun, request: Nothing) -> Description:
    """Describe a run."""
    run, model = explored.run, explored.model
    return Description(
        id=explored.key,
        name=explored.name,
        step=explored.step,
        likelihood=run.config.model.likelihood,
        latents=model.latents,
        levels=[list(shape) for shape in model.level_shapes],
        event_shape=list(model.event_shape),
        kind=explored.kind,
        tones=explored.tones,
        binary=run.identity.is_binary,
        classes=_classes(explored),
        part="test",
        rows=len(explored.part),
        of=explored.total,
        noun=explored.part.noun,
        axes=explored.axes,
        methods=[_option(explored, name) for name in explored.methods],
        views=_views(explored),
        figures=list(run.results.figures()),
        config=msgspec.to_builtins(asdict(run.config), enc_hook=str),
        live=is_held(run.path),
        limits=LIMITS,
    )


def _option(explored: ExploredRun, name: MethodName) -> MethodOption:
    title = METHODS[name].replace("`", "")
    return MethodOption(name, f"{name}: {title}", explored.is_slow(name))


def _classes(explored: ExploredRun) -> list[RowClass]:
    part = explored.part
    if part.labels is None:
        return []
    counts = Counter(part.labels.tolist())
    return [RowClass(k, _name(part.classes, k), counts[k]) for k in sorted(counts)]


def _name(classes: tuple[str, ...] | None, label: int) -> str:
    return str(label) if classes is None else classes[label]


def _views(explored: ExploredRun) -> list[str]:
    """Return the views that suit the model: a plane needs two latents, a table has columns."""
    in_pictures = ["complete", "interpolate", "samples"] if explored.kind == "pictures" else []
    in_columns = ["table"] if explored.has_columns else []
    return [*(["map"] if explored.axes else []), *in_pictures, *in_columns, "run"]
