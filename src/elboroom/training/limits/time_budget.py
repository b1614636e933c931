"""The seconds of a training step, from timing a copy of the model, and the plan that they allow."""

import time
import warnings
from contextlib import closing
from copy import deepcopy
from dataclasses import replace

from elboroom.config import ObjectiveConfig, TrainConfig
from elboroom.data import Dataset
from elboroom.model.vae import VAE
from elboroom.training.schedule import time_limits
from elboroom.training.state import new_state
from elboroom.training.time_plan import TimePlan, plan_of_first
from elboroom.training.trainer import Trainer

_TIMED_SHARE, _MOST_TIMED = 0.01, 5.0  # the share of the time that timing takes, seconds at most
_ENDLESS = 10**9  # epochs
_LEAST_STEPS = 6  # the first half of the timed steps warms up and is not counted


def start_plan(
    plan: TimePlan, model: VAE, data: Dataset, config: TrainConfig, objective: ObjectiveConfig
) -> tuple[TimePlan, float]:
    """Time some steps, and plan a training that begins.

    Args:
        plan: the plan without any step.
        model: the model in training mode, on the device of `config`; left unchanged.
        data: the data to train on.
        config: options of training.
        objective: the bound that training will maximise.

    Returns:
        The plan, the same in all processes, and the seconds that this took.
    """
    began = time.perf_counter()
    timed = min(_MOST_TIMED, _TIMED_SHARE * 60 * plan.minutes)
    pace = _seconds_per_step(timed, model, data, config, objective)
    seconds = time.perf_counter() - began
    limits = time_limits(config, data)
    return plan_of_first(plan.started(pace, plan.seconds + seconds, **limits)), seconds


def _seconds_per_step(
    seconds: float, model: VAE, data: Dataset, config: TrainConfig, objective: ObjectiveConfig
) -> float:
    """Train a copy of the model for some seconds, and return the mean time of its later steps."""
    compiled = "on" if config.compile == "on" else "off"
    endless = replace(config, minutes=None, epochs=_ENDLESS, warmup=0.0, compile=compiled)
    trial, ended = deepcopy(model), False
    trainer = Trainer(trial, data, endless, objective, new_state(trial, endless))
    times = [time.perf_counter()]

    def stop() -> bool:
        times.append(time.perf_counter())
        return len(times) > _LEAST_STEPS and times[-1] - times[0] > seconds

    with closing(trainer), warnings.catch_warnings(action="ignore"):  # the run itself will warn
        while not ended:
            ended = trainer.take_steps(lambda state: None, stop)
    counted = times[(len(times) - 1) // 2 :]
    return (counted[-1] - counted[0]) / (len(counted) - 1)
