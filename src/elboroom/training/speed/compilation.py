"""Compilation by PyTorch, where a run is long enough to gain: of the networks, or whole steps."""

from collections.abc import Callable
from copy import copy
from typing import Any

import torch
from torch import Tensor, nn

from elboroom.config import ObjectiveConfig, TrainConfig
from elboroom.data import Part
from elboroom.device import ALONE, world
from elboroom.device.compiler import compiler_options, why_no_compiler
from elboroom.errors import UsageError
from elboroom.model.decoding import values_in_passes
from elboroom.model.networks import decoder_network
from elboroom.model.networks.layers import as_input_of
from elboroom.model.vae import VAE
from elboroom.training.share import Share
from elboroom.training.state import restored
from elboroom.training.step import Step

_LEAST_GAIN = 30.0  # seconds; compiling networks takes 3 to 40
# Seconds that compiling a whole step takes: at most so many, and so many for each parameter tensor.
_COMPILING_A_STEP = 5.0, 1.0
# Seconds that compiling saves for each value that a step decodes outside of matrix products, and
# for each step. They were measured on one processor and one GPU; other machines save more or less.
_SAVED = {"cpu": (1.3e-9, -4e-4), "cuda": (2.4e-11, 5e-5)}
_SAVED_BY_STEPS = 7e-10, 8e-4  # by whole steps, on that processor
MEASURED_ON = {"cpu": "two cores with AVX-512", "cuda": "an NVIDIA H200"}


class CompiledVAE(VAE):
    """The same model, sharing its parameters, with `encoder` and `log_likelihood` compiled.

    Networks that compiling slows down stay as they are: `DecoderNetwork.around_last_product`.
    """

    def __init__(self, model: VAE) -> None:
        split = decoder_network(model.decoder).around_last_product()
        encoder = _compiled(model.encoder) if split is None else model.encoder
        parts = model.decoder, model.latents, model.likelihood, model.prior, model.family
        self._assemble(model.event_shape, encoder, *parts)
        self._log_likelihood = (
            _compiled(model.log_likelihood) if split is None else _compiled_after(model, *split)
        )

    def log_likelihood(self, x: Tensor, z: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute `VAE.log_likelihood`; only rounding differs."""
        return self._log_likelihood(x, z, mask)


def _compiled_after(
    model: VAE, products: nn.Module, rest: nn.Module
) -> Callable[[Tensor, Tensor, Tensor | None], Tensor]:
    """Return `log_likelihood` with all compiled that follows the products of the decoder."""

    def log_prob(h: Tensor, x: Tensor, mask: Tensor | None, leading: tuple[int, ...]) -> Tensor:
        parameter = rest(h).unflatten(0, leading)
        return model.likelihood(parameter).log_prob(x, mask)

    compiled = _compiled(log_prob)

    def log_likelihood(x: Tensor, z: Tensor, mask: Tensor | None) -> Tensor:
        h = products(as_input_of(model.decoder, z).flatten(0, -2))
        return compiled(h, x, mask, tuple(z.shape[:-1]))

    return log_likelihood


def _compiled(function: Any) -> Any:
    return torch.compile(function, dynamic=False, options=compiler_options())


class CompiledStep:
    """A step by compiled networks.

    Args:
        step: the step whose networks are compiled.
        batch_size: size of the batches that run compiled; other batches run uncompiled.
    """

    def __init__(self, step: Step, batch_size: int) -> None:
        self.step, self.noise, self.optimiser = step, step.noise, step.optimiser
        self._compiled = copy(step)
        self._compiled.model = CompiledVAE(step.model)
        self._compiled_for = batch_size, torch.get_num_threads()

    def __call__(
        self, index: Tensor, rate: float | Tensor, kl_warmup: float | Tensor, augments: bool
    ) -> Tensor:
        """Take a step as `Step` does."""
        # Another batch size or number of threads would compile everything again.
        fits = (len(index), torch.get_num_threads()) == self._compiled_for
        return (self._compiled if fits else self.step)(index, rate, kl_warmup, augments)

    def rehearse(self) -> None:
        """Compile by a trial step, and leave model and optimiser as they were.

        Raises:
            RuntimeError: if the compiler fails.
        """
        buffers = self.step.model.buffers()  # a step changes those of batch normalisation
        rows = torch.arange(self._compiled_for[0], device=self.step.part.device)
        alone = copy(self._compiled)  # the compiler may fail in one of several processes
        alone.world, alone.parallel = ALONE, None
        try:
            with restored(buffers):
                alone.gradients(Share.of(rows, self.step.world).rows, 1.0)
        finally:
            self.optimiser.zero_grad()


def why_not_compilable(device: torch.device) -> str | None:
    """Return the reason why nothing can be compiled for `device`, or None if it can."""
    if device.type not in _SAVED:
        return f"the gain of compiling for {device.type} has not been measured"
    return why_no_compiler(device)


def is_traceable(model: VAE, config: TrainConfig, device: torch.device) -> bool:
    """Return whether a step does the same in each call but for its rows, rates and draws.

    It is then compiled as a whole. Reductions over processes and images that are moved are not; nor
    are models that are not `VAE.is_traceable`.
    """
    alone = world().size == 1 and device.type == "cpu"
    return model.is_traceable and alone and not config.augments


def seconds_saved(
    model: VAE,
    part: Part,
    config: TrainConfig,
    objective: ObjectiveConfig,
    device: torch.device,
    steps: float,
) -> float:
    """Estimate the seconds that compiling saves in some steps; negative if it costs time.

    Compiling merges the passes over decoded values, and leaves matrix products as they are. A whole
    step also no longer waits for the interpreter. This is an estimate, not a measurement here, so
    that a resumed run decides as the original one did.
    """
    batch = min(config.resolved_batch_size, len(part)) / world().size
    whole = is_traceable(model, config, device)
    decoded = objective.k * objective.m * batch * values_in_passes(model, of_layers=whole)
    per_value, per_step = _SAVED_BY_STEPS if whole else _SAVED[device.type]
    return steps * (per_value * decoded + per_step)


def _least_gain(model: VAE, config: TrainConfig, device: torch.device) -> float:
    """Return the seconds that compiling must save, since it takes as many."""
    if not is_traceable(model, config, device):
        return _LEAST_GAIN
    of_step, of_tensor = _COMPILING_A_STEP
    return of_step + of_tensor * len(list(model.parameters()))


def is_compiled(
    model: VAE,
    part: Part,
    config: TrainConfig,
    objective: ObjectiveConfig,
    device: torch.device,
    steps: float,
) -> bool:
    """Return whether steps on `device` are compiled in a training of some `steps`.

    Raises:
        UsageError: if `config` asks for it and it is not possible.
    """
    obstacle = why_not_compilable(device)
    if config.compile == "on" and obstacle:
        raise UsageError(
            "--compile on is not possible here",
            why=obstacle,
            fix="install what is missing, or use --compile auto",
        )
    if config.compile != "auto":
        return config.compile == "on"
    if obstacle is not None:
        return False
    saved = seconds_saved(model, part, config, objective, device, steps)
    return saved > _least_gain(model, config, device)
