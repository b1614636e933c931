"""The figures of a training that has ended, which take a moment."""

from collections.abc import Iterator
from copy import deepcopy

from matplotlib.figure import Figure

from elboroom.config import FigureName, FiguresConfig
from elboroom.data import Dataset
from elboroom.data.withheld import WATCHED_BY
from elboroom.errors import NotDrawableError
from elboroom.figures import gallery
from elboroom.model.vae import VAE
from elboroom.runs.run import Run
from elboroom.training.state import TrainState

_NAMES: tuple[FigureName, ...] = ("curves", "samples")


def final_figures(
    run: Run, model: VAE, state: TrainState, data: Dataset
) -> Iterator[tuple[str, Figure]]:
    """Draw the curves, and samples of a model of images; yield each with its name.

    Args:
        run: the run.
        model: its trained model, which is left where it is.
        state: its history.
        data: its data.
    """
    subject = gallery.Subject(
        deepcopy(model).cpu(),
        lambda: data,
        data.event_shape,
        state.history,
        FiguresConfig(),
        held_out=WATCHED_BY if run.config.data.withhold else "held-out",
        likelihood=run.config.model.likelihood,
        in_unit_interval=run.identity.in_unit_interval,
    )
    for name in _NAMES:
        try:
            yield name, gallery.draw(name, subject)
        except NotDrawableError:
            continue  # rows that are no images have no samples to look at
