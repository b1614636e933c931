"""The number of epochs within a time budget, from timing a copy of the model."""

import time
import warnings
from copy import deepcopy
from dataclasses import replace

from elboroom.config import WIDTHS, ObjectiveConfig, TrainConfig
from elboroom.data import Dataset, require_dataset
from elboroom.device import resolve_device, world
from elboroom.errors import UsageError
from elboroom.model.vae import VAE
from elboroom.training.loop import ELBO, train
from elboroom.training.schedule import steps_per_epoch
from elboroom.training.state import new_state

_TIMED_SHARE = 0.04  # the share of the budget that timing takes
_LEAST_STEPS = 6  # the first half of the timed steps warms up and is not counted


def epochs_within(
    minutes: float,
    model: VAE,
    data: Dataset,
    config: TrainConfig,
    *,
    objective: ObjectiveConfig = ELBO,
) -> int:
    """Return the number of epochs that fit into some minutes, including the time spent here.

    Args:
        minutes: the time budget.
        model: left unchanged; a copy is trained for a moment.
        data: the data to train on.
        config: options of training; `epochs` is the most that is returned.
        objective: the bound that training will maximise.

    Raises:
        UsageError: if `data` is not a Dataset, or not even one epoch fits.
    """
    require_dataset(data)
    budget, clock = 60 * minutes, time.perf_counter()
    compiled = "on" if config.compile == "on" else "off"
    trial = replace(config, patience=None, compile=compiled)
    per_step = _seconds_per_step(_TIMED_SHARE * budget, model, data, trial, objective)
    per_epoch = per_step * steps_per_epoch(config, data.train)
    left = budget - (time.perf_counter() - clock)
    if left < per_epoch:
        raise UsageError(
            f"--minutes {minutes:g} is less than one epoch takes",
            why=f"an epoch of {len(data.train):,} {data.nouns} takes {per_epoch:.3g} s here",
            fix=f"allow more minutes, or use a smaller {WIDTHS}, or a larger --batch-size",
        )
    return world().least(min(config.resolved_epochs, int(left / per_epoch)))


def _seconds_per_step(
    seconds: float, model: VAE, data: Dataset, config: TrainConfig, objective: ObjectiveConfig
) -> float:
    """Train a copy of the model for some seconds, and return the mean time of its later steps."""
    trial = deepcopy(model).to(resolve_device(config.device))
    state, times = new_state(trial, config), dict[int, float]()

    def stop() -> bool:
        times.setdefault(state.step, time.perf_counter())
        return len(times) > _LEAST_STEPS and times[state.step] - times[0] > seconds

    with warnings.catch_warnings(action="ignore"):  # the run itself will warn
        train(trial, data, config, objective=objective, state=state, stop=stop)
    ends = list(times.values())
    counted = ends[(len(ends) - 1) // 2 :]
    return (counted[-1] - counted[0]) / (len(counted) - 1)
