"""A picture of the user's, made into a row of the run's data."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from elboroom.data.binarisation import Binarisation
from elboroom.data.formats.picture_changes import changes
from elboroom.data.formats.picture_event import read_event
from elboroom.data.formats.pictures import Prepared, Recipe
from elboroom.data.formats.values import require_scale_of_pictures
from elboroom.errors import DataError
from elboroom.model.likelihoods import likelihood_class, require_values
from elboroom.runs.run import Run

_STREAM = 2  # of static draws: those of the data are 0 and 1


def load_picture(run: Run, path: Path) -> tuple[Tensor, list[str]]:
    """Load a picture as one row of the run's data, (1, *event), with notes on what was changed.

    The recipe is that of the run. Grey levels become values in [0, 1], and then 0 or 1 if the run's
    data were made so.

    Raises:
        DataError: if it is no such picture, its scale is in doubt, or its values are not such as
            the run's data have.
    """
    options = run.data.options_of_new
    picture = read_event(path, Recipe.of(options), run.event_shape)
    require_scale_of_pictures(str(path), {path.name: picture.values}, picture.highest, options)
    method = Binarisation(run.identity.binarisation).held_out(stream=_STREAM)  # type: ignore[arg-type]
    grey = torch.from_numpy(picture.values / np.float32(255))[None]
    x = method.scale(method.read(grey, np.zeros(1, int)))
    kind = likelihood_class(run.config.model)
    require_values(kind, x, str(path), DataError, lambda unfit: "give a picture in black and white")
    if not kind.bounded:
        _require_levels(run, path)
    return x, [f"note: {path}: {change}" for change in _changes(picture, options.background)]


def _changes(picture: Prepared, background: str) -> Iterator[str]:
    """Yield what reading a picture changed, in short phrases."""
    yield from changes(picture, background)
    if len(picture.values) == 3 and (picture.values == picture.values[:1]).all():
        yield "grey, with three channels that are made alike"
    if picture.highest is not None:
        yield "of its 16 bits the upper 8 are kept"


def _require_levels(run: Run, path: Path) -> None:
    """Check that the run's data lie in [0, 1], so that grey levels have a meaning there."""
    if (run.identity.values or run.load_data().kind) == "real":
        raise DataError(
            f"{path} has no values in the unit of the run's data",
            why="a picture holds grey levels; the run was trained on real numbers outside [0, 1]",
            fix="save the row as a .npy in the unit of the data, and name it with --data",
        )
