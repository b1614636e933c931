"""Training by several processes, for `test_data_parallel.py`: each rank reports what it found."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import count
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from elboroom.config import ModelConfig, ObjectiveConfig, TrainConfig
from elboroom.data import Dataset
from elboroom.data.part import Part
from elboroom.device import World, joined, world
from elboroom.errors import ElboroomError
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.training import trainer
from elboroom.training.augmentation import Augmentation
from elboroom.training.data_parallel import DataParallel
from elboroom.training.limits import time_budget
from elboroom.training.loop import train
from elboroom.training.share import Share
from elboroom.training.state import TrainState, new_state
from elboroom.training.step import Step
from tests.support.ranks import report

ROWS, PIXELS = 23, 12
CONFIG = TrainConfig(
    epochs=2, batch_size=8, evaluate_every=1, precision="fp32", threads=1, device="cpu"
)
OBJECTIVES = {
    "elbo": ObjectiveConfig(),
    "free bits": ObjectiveConfig(free_bits=0.16),  # between the means of some ranks and of all
    "iwae": ObjectiveConfig("iwae", k=3, gradient="dreg"),
    "consistent": ObjectiveConfig(free_bits=0.16, consistency=0.5),
}
BATCHES = {"even": 12, "uneven": 11, "one row": 1}


def images(rows: int = ROWS) -> Tensor:
    return (torch.rand(rows, PIXELS, generator=torch.Generator().manual_seed(0)) < 0.3).float()


def data(missing: bool = False) -> Dataset:
    x = images()
    if missing:
        x[::3, 2] = torch.nan
    return Dataset.from_arrays(x[:20], x[20:])


def model(**options: Any) -> VAE:
    config = ModelConfig(**{"latents": 3, "hidden": (8,)} | options)
    return VAE.from_config(config, (PIXELS,), generator=stream(0, "weights"))


@contextmanager
def one_noise(rows: slice) -> Iterator[None]:
    """Give each row of a batch the same noise in whatever process it is."""

    def normals(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
        whole = torch.Generator().manual_seed(0)
        table = torch.randn(shape[0], 64, shape[-1], generator=whole, dtype=like.dtype)
        return table[:, : shape[-2]] if rows.start == rows.stop else table[:, rows]

    with patch("elboroom.model.posteriors.density.normals", normals):
        yield


def gradients(objective: str, batch: str, missing: bool = False) -> dict[str, Any]:
    """The gradients of a step in float64, and its totals; noise follows the row."""
    net, rows = model().double(), torch.arange(BATCHES[batch])
    options = replace(CONFIG, clip=None, skip=1e9, flip=OBJECTIVES[objective].consistency > 0)
    state = new_state(net, options)
    part = data(missing).train
    step = Step(net.train(), part, state, options, OBJECTIVES[objective], torch.float32)
    double = Part(part.images.double(), None, part.binarisation)  # type: ignore[union-attr]
    step.part = double
    flipped = patch.object(
        Augmentation, "__call__", lambda self, x, generator: x.flip(1) if self.flip else x
    )
    noise = one_noise(world().part_of(len(rows)))
    with flipped, noise, patch.object(Tensor, "float", Tensor.double):
        _, totals = step.gradients(rows, 0.7)
    assert step.skipping is not None
    found = {
        "gradients": torch.cat([p.grad.flatten() for p in net.parameters()]).tolist(),  # type: ignore[union-attr]
        "totals": totals.tolist(),
        "norm": step.skipping.norm.item(),
    }
    if step.parallel is not None:
        step.parallel.close()
    return found


@contextmanager
def watched_rows(seen: list[int]) -> Iterator[None]:
    """Note the rows of the batches that this process computes for their bound."""
    original = Share.of.__func__  # type: ignore[attr-defined]

    def of(index: Tensor, here: World) -> Share:
        share = original(Share, index, here)
        seen.extend(share.rows[: share.counted].tolist())
        return share

    with patch.object(Share, "of", of):
        yield


def weights(net: nn.Module) -> list[float]:
    return torch.cat([p.detach().flatten() for p in net.parameters()]).tolist()


def trained(**options: Any) -> dict[str, Any]:
    """A whole training, the rows that this rank computed, and where it ended."""
    net, rows = model(), list[int]()
    config = replace(CONFIG, **options)
    with watched_rows(rows), warnings.catch_warnings(action="ignore"):
        state = train(net, data(), config, objective=OBJECTIVES["free bits"])
    history = [asdict(replace(m, images_per_second=0.0)) for m in state.history]
    return {"rows": rows, "step": state.step, "history": history, "weights": weights(net)}


def moved_for_a_while() -> list[float]:
    """A training with consistency until augmentation ends."""
    x = images().view(ROWS, 1, 3, 4)
    net = VAE.from_config(ModelConfig(3, (8,)), (1, 3, 4), generator=stream(0, "weights"))
    config = replace(CONFIG, shift=1, augment_until=0.5)
    dataset = Dataset.from_arrays(x[:20], x[20:])
    with warnings.catch_warnings(action="ignore"):
        train(net, dataset, config, objective=OBJECTIVES["consistent"])
    return weights(net)


def stopped_and_resumed() -> dict[str, Any]:
    """A training that the last rank alone stops, and that goes on."""
    net, asked = model(), iter(range(100))
    here = world()

    def stop() -> bool:
        return next(asked) > 2 and here.rank == here.size - 1

    with warnings.catch_warnings(action="ignore"):
        state = train(net, data(), CONFIG, stop=stop, objective=OBJECTIVES["free bits"])
        step = state.step
        train(net, data(), CONFIG, state=state, objective=OBJECTIVES["free bits"])
    return {"stopped": step, "step": state.step, "weights": weights(net)}


def by_time() -> dict[str, Any]:
    """A training by time, by clocks that go on by other seconds in each rank when they are read."""
    ticks = count(step=1 + world().rank)
    watch = SimpleNamespace(perf_counter=lambda: float(next(ticks)))
    clocks = patch.object(time_budget, "time", watch), patch.object(trainer, "time", watch)
    config = replace(CONFIG, epochs="auto", minutes=1.0, schedule="cosine")
    net = model()
    with clocks[0], clocks[1], warnings.catch_warnings(action="ignore"):
        state = train(net, data(), config)
    plan = None if state.plan is None else asdict(state.plan)
    return {"step": state.step, "plan": plan, "weights": weights(net)}


class Encoder(nn.Module):
    """An encoder of a layer, with another one after it."""

    def __init__(self, after: nn.Module) -> None:
        super().__init__()
        self.layer, self.after = nn.Linear(PIXELS, 6), after

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.after(self.layer(x)).chunk(2, -1)


class Overflow(Encoder):
    """An encoder whose output is not finite for a row of ones alone."""

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        mean, log_std = super().forward(x)
        return mean / (x.sum(1, keepdim=True) < PIXELS).to(x.dtype), log_std


def not_finite() -> dict[str, Any]:
    """A training in which one row, which one rank computes, has a bound that is not finite."""
    x = images()
    x[7] = 1
    dataset = Dataset.from_arrays(x[:20], x[20:])
    torch.manual_seed(0)
    net, noted = VAE(Overflow(nn.Identity()), nn.Linear(3, PIXELS), latents=3), list[str]()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            train(net, dataset, CONFIG)
        except ElboroomError as error:
            noted.append(str(error))
    told = [str(w.message) for w in caught if "rollback" in str(w.message)]
    return {"errors": noted, "rollbacks": told}


class Turns(Encoder):
    """An encoder with a layer that no step uses, and perhaps one that every other step uses."""

    def __init__(self, *, takes_turns: bool) -> None:
        super().__init__(nn.Identity())
        self.idle, self.other = nn.Linear(2, 2), nn.Linear(6, 6)
        self.takes_turns, self.calls = takes_turns, 0

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        self.calls += self.training
        h = self.layer(x)
        return (self.other(h) if self.takes_turns and self.calls % 2 else h).chunk(2, -1)


def in_turns(*, takes_turns: bool) -> dict[str, Any]:
    torch.manual_seed(0)
    net = VAE(Turns(takes_turns=takes_turns), nn.Linear(3, PIXELS), 3)
    idle = net.encoder.idle.weight.tolist()
    with warnings.catch_warnings(action="ignore"):
        try:
            train(net, data(), CONFIG)
        except ElboroomError as error:
            return {"error": str(error)}
    return {"weights": weights(net), "idle": net.encoder.idle.weight.tolist() == idle}


def refused() -> str:
    net = VAE(Encoder(nn.BatchNorm1d(6)), nn.Linear(3, PIXELS), 3)
    try:
        train(net, data(), CONFIG)
    except ElboroomError as error:
        return str(error)
    return ""


def drifted() -> dict[str, Any]:
    """A training in which the last rank rounds otherwise."""
    net, here = model(), world()

    def drift(state: TrainState) -> None:
        if here.rank == here.size - 1 and state.step == 2:
            with torch.no_grad():
                next(net.parameters()).mul_(1 + 1e-6)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(net, data(), CONFIG, on_step=drift)
    told = [str(w.message) for w in caught if "came out differently" in str(w.message)]
    return {"warnings": told, "weights": weights(net)}


def _own_mean(share: Share, values: Tensor) -> Tensor:
    return values.mean(0)


@contextmanager
def planted(bug: str) -> Iterator[None]:
    """Plant a bug: the rows of another rank, or free bits of the rank's own mean."""
    original = Share.of.__func__  # type: ignore[attr-defined]

    def of(index: Tensor, here: World) -> Share:
        other = original(Share, index, World(0, here.size))
        return replace(other, world=here)

    bugs = {
        "another's rows": patch.object(Share, "of", of),
        "free bits of the own rows": patch.object(Share, "mean", _own_mean),
    }
    with bugs[bug]:
        yield


def _deaf(parallel: DataParallel, asked: bool) -> bool:
    return asked


def all_found() -> dict[str, Any]:
    cases = {f"{o}, {b}": gradients(o, b) for o in OBJECTIVES for b in BATCHES}
    cases["missing values"] = gradients("elbo", "uneven", missing=True)
    found: dict[str, Any] = {"gradients": cases, "trained": trained(ema=0.9, keep_best=True)}
    found["moved"] = moved_for_a_while()
    found |= {"stopped": stopped_and_resumed(), "not finite": not_finite(), "refused": refused()}
    if world().size > 1:
        found["drifted"], found["by time"] = drifted(), by_time()
        found["turns"] = [in_turns(takes_turns=False), in_turns(takes_turns=True)]
        found["planted"] = {}
        for bug in ("another's rows", "free bits of the own rows"):
            with planted(bug):
                cases = {o: gradients(o, "even") for o in ("elbo", "free bits")}
                found["planted"][bug] = cases
    return found


if __name__ == "__main__":
    with joined():
        if sys.argv[2:] == ["deaf"]:
            with patch.object(DataParallel, "agrees_to_stop", _deaf):
                report(stopped_and_resumed())
        elif sys.argv[2:] == ["compiled"]:
            report([trained(), trained(compile="on")])
        else:
            report(all_found())
