"""The fastest way to take a step: compiled, as a CUDA graph, or by an adapted number of threads."""

import warnings

import torch

from elboroom.config import TrainConfig
from elboroom.training.speed.compilation import CompiledStep, is_compiled
from elboroom.training.speed.cuda_graph import CudaGraphStep, uses_cuda_graph
from elboroom.training.speed.threads import AdaptiveThreadsStep, adapts_threads
from elboroom.training.step import Step

FastStep = Step | CompiledStep | CudaGraphStep | AdaptiveThreadsStep


def fastest_step(step: Step, config: TrainConfig, steps: float) -> FastStep:
    """Return the fastest way to take `step` on its device.

    Args:
        step: the step.
        config: options of training.
        steps: the number of steps of the training.

    Raises:
        UsageError: if `config` asks for a compiler that this machine does not have.
    """
    device, batch_size = step.noise.device, min(config.resolved_batch_size, len(step.part))
    best = step
    compiled = is_compiled(step.model, step.part, config, step.objective, device, steps)
    if not step.world.any(not compiled):
        best = _compiled_or_plain(step, batch_size)
    if uses_cuda_graph(step.part, device):
        return CudaGraphStep(best, batch_size)
    if adapts_threads(config, device):
        return AdaptiveThreadsStep(best, torch.get_num_threads())
    return best


def _compiled_or_plain(step: Step, batch_size: int) -> Step | CompiledStep:
    """Compile the step; if the compiler fails, warn and return the step itself.

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
