"""Steps on CUDA that are recorded as a CUDA graph and replayed."""

import torch
from torch import Tensor

from elboroom.data import Part
from elboroom.device import world
from elboroom.training.speed.compilation import CompiledStep
from elboroom.training.step import Step

_STEPS_BEFORE_RECORDING = 3  # libraries choose their kernels in the first steps


class CudaGraphStep:
    """A step whose hundred small kernels are launched at once, as launching takes most of the time.

    The launches of one step are recorded as a graph, which every later step replays. What differs
    between steps (rows, learning rate, KL warm-up, the state of `noise`) is read from device
    memory. Where augmentation ends, the steps after it are recorded anew.

    Args:
        step: the step that is recorded.
        batch_size: size of the batches that replay it; other batches are not recorded.
    """

    def __init__(self, step: Step | CompiledStep, batch_size: int) -> None:
        device = step.noise.device
        self.step, self.noise = step, step.noise
        self._index = torch.zeros(batch_size, dtype=torch.int64, device=device)
        self._rate, self._kl_warmup = torch.zeros(2, device=device).unbind()
        self._side_stream = torch.cuda.Stream(device)
        self._augments = True
        self._forget()

    def _forget(self) -> None:
        """Forget the recorded step."""
        self._steps_before_recording = _STEPS_BEFORE_RECORDING
        self._graph = torch.cuda.CUDAGraph()
        self._totals: Tensor | None = None  # result of the recorded step

    def __call__(self, index: Tensor, rate: float, kl_warmup: float, augments: bool) -> Tensor:
        """Take a step as `Step` does; the next call overwrites the returned tensor."""
        if augments != self._augments:
            self._augments = augments
            self._forget()
        self._rate.fill_(rate)
        self._kl_warmup.fill_(kl_warmup)
        if self._steps_before_recording or len(index) != len(self._index):
            return self._run_unrecorded(index)
        self._index.copy_(index)
        if self._totals is None:
            self._totals = self._record()
        self._graph.replay()
        return self._totals

    def _run_unrecorded(self, index: Tensor) -> Tensor:
        """Take a step on a side stream, as recording requires of the steps before it."""
        self._steps_before_recording = max(0, self._steps_before_recording - 1)
        self._side_stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._side_stream):
            totals = self.step(index, self._rate, self._kl_warmup, self._augments)
        torch.cuda.current_stream().wait_stream(self._side_stream)
        return totals

    def _record(self) -> Tensor:
        self.step.optimiser.zero_grad()
        self._graph.register_generator_state(self.noise)
        with torch.cuda.graph(self._graph):
            return self.step(self._index, self._rate, self._kl_warmup, self._augments)


def uses_cuda_graph(part: Part, device: torch.device) -> bool:
    """Return whether steps on `device` are recorded.

    A CUDA graph cannot read images from disk, and here does not reduce over several processes.
    """
    return device.type == "cuda" and not part.on_disk and world().size == 1
