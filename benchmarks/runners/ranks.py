"""One process, or one of several that torchrun started: measurements of `benchmarks.machines`.

`python -m benchmarks.runners.ranks NAME OUT [ARGUMENTS]`; the first process writes OUT, as JSON.
"""

import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from elboroom.config import PRESETS, ModelConfig, ObjectiveConfig, TrainConfig
from elboroom.data import Dataset, load_mnist
from elboroom.device import World, joined, prepare, world
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.training.initial_model import measure, new_model
from elboroom.training.state import new_state
from elboroom.training.step import Step

_MLP = ModelConfig(latents=20, hidden=(400,), activation="softplus")
_IMAGES, _SIDE = 1_024, 64  # colour pictures
_WARM_UP, _STEPS = 10, 30
_GRADIENT_BATCH = 64


def _model_and_data(name: str) -> tuple[VAE, Dataset, TrainConfig, ObjectiveConfig]:
    """Return the network of the benchmark, colour pictures and their recipe, or another preset."""
    if name == "mlp":
        data, train = load_mnist(binarisation="dynamic"), TrainConfig(batch_size=1_024)
        model = VAE.from_config(_MLP, data.event_shape, generator=stream(0, "weights"))
        return model, data, train, ObjectiveConfig()
    if name != "pictures":
        preset = PRESETS[name]
        data = load_mnist(binarisation="dynamic")
        return new_model(preset, data), data, preset.train, preset.objective
    levels = np.random.default_rng(0).integers(0, 256, (_IMAGES, 3, _SIDE, _SIDE), dtype=np.uint8)
    data, recipe = Dataset.from_arrays(levels), PRESETS["pictures"]
    model = new_model(recipe, data)
    measure(model, data.train)
    return model, data, recipe.train, recipe.objective


def _step(name: str) -> tuple[Step, Tensor]:
    """Return an uncompiled step in the precision of this machine, and the rows of a batch."""
    model, data, config, objective = _model_and_data(name)
    _, dtype = prepare(config)
    state = new_state(model.train(), config)
    world().take_first(model.state_dict().values())
    step = Step(model, data.train, state, config, objective, dtype)
    return step, torch.arange(config.resolved_batch_size)


def _seconds(function: Callable[[], Any], steps: int) -> float:
    """Time a function by its median, after a warm-up; the slowest process counts."""
    for _ in range(_WARM_UP):
        function()
    times = list[float]()
    for _ in range(steps):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    found = world().spread([{"seconds": torch.tensor(statistics.median(times))}])
    return max(part["seconds"].item() for part in found)


def steps(name: str, batch: str = "", count: str = str(_STEPS)) -> dict[str, float]:
    """Time a step of a model, on its batch or on another one."""
    step, rows = _step(name)
    rows = rows[: int(batch)] if batch else rows
    parameters = sum(p.numel() for p in step.model.parameters())
    seconds = _seconds(lambda: step(rows, 1e-4, 1.0), int(count))
    return {"seconds": seconds, "images": len(rows), "bytes": 4 * parameters}


def reduction(size: str) -> dict[str, float]:
    """Time the sum of some bytes over the processes."""
    values = torch.zeros(max(1, int(size) // 4))
    return {"seconds": _seconds(lambda: world().sum(values), 200)}


def gradients(name: str) -> dict[str, Any]:
    """Compute the gradients of a step in float64; each image has the same noise in any process."""
    torch.manual_seed(0)
    model, data, config, _ = _model_and_data(name)
    state = new_state(model.double().train(), config)
    part = data.train.rows(list(range(_GRADIENT_BATCH)))
    step = Step(model, part, state, config, ObjectiveConfig(free_bits=0.1), torch.float32)
    own = world().part_of(_GRADIENT_BATCH)

    def normals(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.Generator().manual_seed(0)
        return torch.randn(shape[0], _GRADIENT_BATCH, shape[-1], generator=noise).to(like)[:, own]

    def uniforms(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.Generator().manual_seed(1)
        return torch.rand(_GRADIENT_BATCH, *shape[1:], generator=noise).to(like)[own]

    with (
        patch("elboroom.model.posteriors.density.normals", normals),
        patch("elboroom.data.binarisation.uniforms", uniforms),
        patch.object(Step, "_bound", _in_double(Step._bound)),
    ):
        step.gradients(torch.arange(_GRADIENT_BATCH), 1.0)
    found = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    return {"gradients": found.tolist()}


def _in_double(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let batches of a step be in float64."""

    def in_double(step: Step, *arguments: Any) -> Any:
        batch = type(step.part).batch
        with patch.object(type(step.part), "batch", lambda *a, **k: batch(*a, **k).double()):
            return function(step, *arguments)

    return in_double


MEASURES: dict[str, Callable[..., dict[str, Any]]] = {
    "gradients": gradients,
    "reduction": reduction,
    "steps": steps,
}


def _write(out: Path, here: World, found: dict[str, Any]) -> None:
    if here.is_first:
        out.write_text(json.dumps(found))


if __name__ == "__main__":
    what, to, *arguments = sys.argv[1:]
    warnings.simplefilter("ignore")
    with joined() as joined_world:
        _write(Path(to), joined_world, MEASURES[what](*arguments))
