"""The fastest way to take a step: compiled, as a CUDA graph, or by an adapted number of threads."""

import warnings
from contextlib import suppress

import torch

from elboroom.config import TrainConfig
from elboroom.device.compiler import COMPILER_FAILURES
from elboroom.training.speed.compilation import CompiledStep, is_compiled, is_traceable
from elboroom.training.speed.cuda_graph import CudaGraphStep, uses_cuda_graph
from elboroom.training.speed.threads import AdaptiveThreadsStep, adapts_threads
from elboroom.training.state import TrainState
from elboroom.training.step import FastStep, Step


def fastest_step(step: Step, state: TrainState, config: TrainConfig, steps: float) -> FastStep:
    """Return the fastest way to take `step` on its device.

    Args:
        step: the step.
        state: the state of the training, which is left as it is.
        config: options of training.
        steps: the number of steps of the training.

    Raises:
        UsageError: if `config` asks for a compiler that this machine does not have.
    """
    device, batch_size = step.noise.device, min(config.resolved_batch_size, len(step.part))
    compiled = is_compiled(step.model, step.part, config, step.objective, device, steps)
    compiled = not step.world.any(not compiled)
    best: FastStep | None = None
    if compiled and is_traceable(step.model, config, device):
        best = _traced(step, state, batch_size)
    if best is None:
        plain = _compiled_or_plain(step, batch_size) if compiled else step
        best = CudaGraphStep(plain, batch_size) if uses_cuda_graph(step.part, device) else plain
    most = torch.get_num_threads()
    return AdaptiveThreadsStep(best, most) if adapts_threads(config, device) else best


def _traced(step: Step, state: TrainState, batch_size: int) -> FastStep | None:
    """Compile a whole step; return None if it cannot be."""
    from elboroom.training.speed.traced_step import TracedStep  # loads PyTorch's compiler

    with suppress(*COMPILER_FAILURES):
        return TracedStep(step, state, batch_size)
    return None


def _compiled_or_plain(step: Step, batch_size: int) -> Step | CompiledStep:
    """Compile the networks of a step; if the compiler fails, warn and return the step itself.

    If it fails in one of several processes, all of them take the step itself.
    """
    compiled, why = CompiledStep(step, batch_size), ""
    try:
        compiled.rehearse()
    except RuntimeError as error:
        why = str(error).strip().splitlines()[0]
    if why := step.world.first_text(why):
        warnings.warn(f"training continues uncompiled, since compiling failed: {why}", stacklevel=2)
        return step
    return compiled
