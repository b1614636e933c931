"""Training by several processes: the first has the run folder, the others follow it."""

import json
from collections.abc import Callable
from dataclasses import asdict

from elboroom.config import Config
from elboroom.config.typed_tables import read
from elboroom.data import Dataset, Identity
from elboroom.device import resolve_device, world
from elboroom.errors import UsageError
from elboroom.model.vae import VAE
from elboroom.runs.checkpoints import Checkpoint, capture, restore
from elboroom.training.limits.out_of_memory import memory_errors
from elboroom.training.loop import train
from elboroom.training.metrics import EpochMetrics
from elboroom.training.state import TrainState, new_state


def share_training(model: VAE, state: TrainState) -> None:
    """Give all processes the model and the state of the first one, as a checkpoint has them.

    Args:
        model: changed in place in the other processes.
        state: likewise.

    Raises:
        WorldError: if another process has ended.
    """
    here = world()
    if here.size == 1:
        return
    files = capture(model, state).files
    known = {"step": state.step, "history": [asdict(metrics) for metrics in state.history]}
    told = json.loads(here.bytes_of(json.dumps(known).encode()))
    files = {name: here.bytes_of(files[name]) for name in sorted(files)}
    if not here.is_first:
        restore(Checkpoint(told["step"], None, files, told["step"]), model, state)
        state.history = [read(EpochMetrics, metrics) for metrics in told["history"]]


def require_same_task(config: Config, identity: Identity) -> None:
    """Check that all processes were given the options and the data of the first one.

    Raises:
        UsageError: if they were not; all processes raise it.
    """
    here, mine = world(), {"config": asdict(config), "data": identity.to_dict()}
    first = json.loads(here.bytes_of(json.dumps(mine).encode()))
    same = first == json.loads(json.dumps(mine))
    rank = here.first_text("" if same else str(here.rank))
    if rank:
        raise UsageError(
            f"process {rank} was given another task than process 0",
            why="their options or the SHA-256 of their data differ",
            fix="start all processes with the same command, and the same data at the same path",
        )


def new_follower(model: VAE, config: Config) -> tuple[VAE, TrainState]:
    """Move an initial model to its device, and make a state; both wait for those of the first."""
    model.to(resolve_device(config.train.device))
    return model, new_state(model, config.train)


def follow_training(
    config: Config, model: VAE, state: TrainState, data: Dataset, stop: Callable[[], bool]
) -> None:
    """Train along with the first process, which saves the run.

    Args:
        config: options of the run.
        model: takes the weights of the first process, and is trained in place.
        state: takes the state of the first process.
        data: the data of the run.
        stop: called after each step; True ends training in all processes.

    Raises:
        TrainingError: if training fails.
        WorldError: if another process has ended.
    """
    share_training(model, state)
    with memory_errors(config.train, data.nouns):
        train(model, data, config.train, objective=config.objective, state=state, stop=stop)
