"""The time of one training step on a processor by kind of operation, from PyTorch's profiler.

The profiler slows small operations more than large ones. Without it, a step spends a smaller share
than is reported here on anything but matrix products.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import torch
from torch.profiler import profile

from benchmarks.results import Row
from benchmarks.runners.elboroom_training import EVENT, config_of, model_of, objective_of
from benchmarks.side_by_side import Setting, problem_of
from elboroom import Dataset
from elboroom.data import Part
from elboroom.device import prepare
from elboroom.randomness import restart
from elboroom.training.state import new_state
from elboroom.training.step import Step

_STEPS, _WARM_UP = 60, 20
_KINDS = {
    "matrix products": ("mm", "addmm"),
    "Adam": ("_fused_adam_",),
    "casts and copies": ("copy_",),
    "activations, densities and their gradients": (
        *("softplus", "softplus_backward", "tanh", "tanh_backward", "exp", "mul", "add_"),
        *("sub", "neg", "logsumexp"),
    ),
    "sums": ("sum", "mean"),
    "random numbers": ("normal_", "bernoulli_", "uniform_"),
}


def rows(what: str, setting: Setting, data: Dataset) -> list[Row]:
    """Measure the milliseconds of a step, and the share of each kind of operation."""
    advance = _stepper(replace(setting, images=_STEPS * setting.batch), data)
    advance(_WARM_UP)
    clock = time.perf_counter()
    advance(_STEPS)
    milliseconds = 1e3 * (time.perf_counter() - clock) / _STEPS
    with profile() as found:
        advance(_STEPS)
    averages = found.key_averages()
    spent = Counter({e.key.removeprefix("aten::"): e.self_cpu_time_total for e in averages})
    total = sum(spent.values())
    shares = {kind: 100 * sum(spent[n] for n in names) / total for kind, names in _KINDS.items()}
    shares["all other operations: dispatch, gathers, small operations"] = 100 - sum(shares.values())
    step = f"{what}: a step of elboroom"
    return [
        Row(f"{step}, {torch.get_num_threads()} threads", [milliseconds], "ms"),
        *(Row(f"{step}, share of {kind}", [share], "%") for kind, share in shares.items()),
    ]


def _stepper(setting: Setting, data: Dataset) -> Callable[[int], None]:
    problem = problem_of(setting, data, 0)
    model = model_of(problem.encoder, problem.decoder, problem.activation).train()
    part = Part(torch.from_numpy(problem.x).unflatten(1, EVENT), None)
    config, objective = config_of(problem), objective_of(problem.particles)
    step = Step(model, part, new_state(model), config, objective, prepare(config)[1])

    def advance(steps: int) -> None:
        for i, index in enumerate(torch.arange(len(part)).split(setting.batch)[:steps]):
            restart(step.noise, problem.seed, "step", i)
            step(index, 1e-3, 1.0)

    return advance
