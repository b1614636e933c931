"""How long training takes here: timed on a copy of the model, before it begins."""

import time
import warnings
from copy import deepcopy
from dataclasses import replace

from elboroom.config import ObjectiveConfig, TrainConfig
from elboroom.data import Dataset
from elboroom.device import resolve_device
from elboroom.errors import UsageError
from elboroom.model.vae import VAE
from elboroom.training.loop import ELBO, train
from elboroom.training.schedule import steps_per_epoch
from elboroom.training.state import new_state

_SHARE = 0.04  # of the time, spent on finding out
_AT_LEAST = 6  # steps, of which the first half warms up


def epochs_within(
    minutes: float,
    model: VAE,
    data: Dataset,
    config: TrainConfig,
    *,
    objective: ObjectiveConfig = ELBO,
) -> int:
    """How many epochs fit into so many minutes, those spent here among them.

    Args:
        minutes: to spend.
        model: left as it is; a copy is trained for a moment.
        data: what it will be trained on.
        config: the options, with the most epochs that are wanted.
        objective: what will be maximised.

    Raises:
        UsageError: not one epoch fits.
    """
    budget, clock = 60 * minutes, time.perf_counter()
    compiled = "on" if config.compile == "on" else "off"
    rehearsed = replace(config, patience=None, compile=compiled)
    pace = _seconds_per_step(_SHARE * budget, model, data, rehearsed, objective)
    per_epoch = pace * steps_per_epoch(config, data.train)
    left = budget - (time.perf_counter() - clock)
    if left < per_epoch:
        raise UsageError(
            f"--minutes {minutes:g} is less than one epoch takes",
            why=f"an epoch of {len(data.train):,} images takes {per_epoch:.3g} s here",
            fix="give it more time, a smaller --hidden or a larger --batch-size",
        )
    return min(config.epochs, int(left / per_epoch))


def _seconds_per_step(
    seconds: float, model: VAE, data: Dataset, config: TrainConfig, objective: ObjectiveConfig
) -> float:
    rehearsal = deepcopy(model).to(resolve_device(config.device))
    state, ticks = new_state(rehearsal), dict[int, float]()

    def stop() -> bool:
        ticks.setdefault(state.step, time.perf_counter())
        return len(ticks) > _AT_LEAST and ticks[state.step] - ticks[0] > seconds

    with warnings.catch_warnings(action="ignore"):  # the run itself will give them
        train(rehearsal, data, config, objective=objective, state=state, stop=stop)
    times = list(ticks.values())
    warm = times[(len(times) - 1) // 2 :]
    return (warm[-1] - warm[0]) / (len(warm) - 1)
