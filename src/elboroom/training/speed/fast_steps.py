"""Faster ways to take the same step: compiled, recorded as a CUDA graph, by adaptive threads."""

import time
import warnings
from copy import copy

import torch
from torch import Tensor

from elboroom.config import TrainConfig
from elboroom.data import Part
from elboroom.training.speed.compilation import CompiledVAE, is_compiled
from elboroom.training.speed.threads import thread_choices
from elboroom.training.step import Step

_BEFORE_RECORDING = 3  # steps, after which libraries have chosen their kernels


class CompiledStep:
    """The same by compiled networks.

    Args:
        step: what is compiled.
        batch_size: of the batches that are worth it; a batch of another size runs as it stands.
    """

    def __init__(self, step: Step, batch_size: int) -> None:
        self.step, self.noise, self.optimiser = step, step.noise, step.optimiser
        self._compiled = copy(step)
        self._compiled.model = CompiledVAE(step.model)
        self._fit = batch_size, torch.get_num_threads()

    def __call__(self, index: Tensor, rate: float | Tensor, kl_warmup: float | Tensor) -> Tensor:
        """As `Step`."""
        # another size or number of threads would be compiled anew
        fits = (len(index), torch.get_num_threads()) == self._fit
        return (self._compiled if fits else self.step)(index, rate, kl_warmup)

    def rehearse(self) -> None:
        """Compile, and leave all as it was.

        Raises:
            RuntimeError: from the compiler.
        """
        buffers = list(self.step.model.buffers())  # batch normalisation's, which a step moves
        kept = [buffer.clone() for buffer in buffers]
        rows = torch.arange(self._fit[0], device=self.step.part.device)
        try:
            self._compiled.gradients(rows, 1.0)
        finally:
            self.optimiser.zero_grad()
            for buffer, value in zip(buffers, kept, strict=True):
                buffer.copy_(value)


class RecordedStep:
    """The same step on CUDA, where a hundred small kernels take longer to launch than to run.

    The launches of one step are recorded as a graph, which every later step replays. What differs
    from step to step (rows, rate, warmth, the state of `noise`) is read from device memory.

    Args:
        step: what is recorded.
        batch_size: of the batches that replay it; a batch of another size runs unrecorded.
    """

    def __init__(self, step: Step | CompiledStep, batch_size: int) -> None:
        device = step.noise.device
        self.step, self.noise = step, step.noise
        self._index = torch.zeros(batch_size, dtype=torch.int64, device=device)
        self._rate, self._warmth = torch.zeros(2, device=device).unbind()
        self._aside, self._unrecorded = torch.cuda.Stream(device), _BEFORE_RECORDING
        self._graph = torch.cuda.CUDAGraph()
        self._totals: Tensor | None = None  # of the steps that the graph replays, once there is one

    def __call__(self, index: Tensor, rate: float, kl_warmup: float) -> Tensor:
        """As `Step`; the next call overwrites what it returns."""
        self._rate.fill_(rate)
        self._warmth.fill_(kl_warmup)
        if self._unrecorded or len(index) != len(self._index):
            return self._run_aside(index)
        self._index.copy_(index)
        if self._totals is None:
            self._totals = self._record()
        self._graph.replay()
        return self._totals

    def _run_aside(self, index: Tensor) -> Tensor:
        """Unrecorded, on a stream of its own, as recording asks of the steps before it."""
        self._unrecorded = max(0, self._unrecorded - 1)
        self._aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._aside):
            totals = self.step(index, self._rate, self._warmth)
        torch.cuda.current_stream().wait_stream(self._aside)
        return totals

    def _record(self) -> Tensor:
        self.step.optimiser.zero_grad()
        self._graph.register_generator_state(self.noise)
        with torch.cuda.graph(self._graph):
            return self.step(self._index, self._rate, self._warmth)


class AdaptiveStep:
    """The same on a processor, by as many threads as are fast just now.

    Args:
        step: what is timed.
        most: the most threads.
    """

    def __init__(self, step: Step | CompiledStep, most: int) -> None:
        self.step, self.noise = step, step.noise
        self._choices = thread_choices(most)
        self._threads = next(self._choices)

    def __call__(self, index: Tensor, rate: float, kl_warmup: float) -> Tensor:
        """As `Step`."""
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        clock = time.perf_counter()
        totals = self.step(index, rate, kl_warmup)
        self._threads = self._choices.send(time.perf_counter() - clock)
        return totals


def is_recorded(part: Part, device: torch.device) -> bool:
    """Whether steps on `device` are recorded: a CUDA graph cannot read images from disk."""
    return device.type == "cuda" and not part.on_disk


def is_adaptive(config: TrainConfig, device: torch.device) -> bool:
    """Whether steps on `device` choose their threads."""
    return device.type == "cpu" and config.threads == "auto" and torch.get_num_threads() > 1


def new_step(step: Step, config: TrainConfig) -> Step | CompiledStep | RecordedStep | AdaptiveStep:
    """The fastest way to take `step` on its device.

    Raises:
        UsageError: a compiler was asked for that this machine does not have.
    """
    device, batch_size = step.noise.device, min(config.resolved_batch_size, len(step.part))
    best = step
    if is_compiled(config, step.objective, step.part, device):
        best = _compiled(step, batch_size)
    if is_recorded(step.part, device):
        return RecordedStep(best, batch_size)
    return AdaptiveStep(best, torch.get_num_threads()) if is_adaptive(config, device) else best


def _compiled(step: Step, batch_size: int) -> Step | CompiledStep:
    """Compiled, or as it stands where the compiler fails."""
    compiled = CompiledStep(step, batch_size)
    try:
        compiled.rehearse()
    except RuntimeError as error:
        why = str(error).strip().splitlines()[0]
        warnings.warn(f"steps run as they stand, since compiling failed: {why}", stacklevel=2)
        return step
    return compiled
