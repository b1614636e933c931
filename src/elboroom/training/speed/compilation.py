"""Networks compiled by PyTorch, where a run is long enough to gain: fewer passes over memory."""

import math
import os
import shutil
import sys
from importlib.util import find_spec
from typing import Any, cast

import torch
from torch import Tensor, nn

from elboroom.config import ObjectiveConfig, TrainConfig
from elboroom.data import Part
from elboroom.errors import UsageError
from elboroom.model.vae import VAE

_PRICE = 30.0  # seconds to gain at the least; compiling takes 3 to 40
# seconds of a step that are saved for each pixel that it decodes, and whatever it decodes
_SAVED = {"cpu": (1.3e-9, -4e-4), "cuda": (2.4e-11, 5e-5)}
_VECTOR_BITS = {"AVX2": 256, "AVX512": 512}


class CompiledVAE(VAE):
    """The model of the same parameters, whose encoder and `log_likelihood` are compiled."""

    def __init__(self, model: VAE) -> None:
        encoder = cast(nn.Module, _compiled(model.encoder))
        parts = model.likelihood, model.prior, model.family
        super().__init__(encoder, model.decoder, model.latents, *parts)
        self._log_likelihood = _compiled(model.log_likelihood)

    def log_likelihood(self, x: Tensor, z: Tensor, mask: Tensor | None = None) -> Tensor:
        """As of the model itself, but for rounding."""
        return cast(Tensor, self._log_likelihood(x, z, mask))


def _compiled(function: Any) -> Any:
    options = {
        # Without dynamic threads, kernels keep the number of threads that they were compiled with.
        "cpp.dynamic_threads": True,
        # PyTorch's cache of compiled code does not distinguish instruction sets: code for 512 bits
        # would be found again under ATEN_CPU_CAPABILITY=avx2, and compute wrong numbers there.
        "cpp.simdlen": _VECTOR_BITS.get(torch.backends.cpu.get_cpu_capability()),
    }
    return torch.compile(function, dynamic=False, options=options)


def why_not_compilable(device: torch.device) -> str | None:
    """Why nothing can be compiled for `device` here; None where it can."""
    if device.type not in _SAVED:
        return f"compiling for {device.type} was never measured"
    if device.type == "cuda" and find_spec("triton") is None:
        return "Triton, which compiles for CUDA, is not installed"
    usual = "clang++" if sys.platform == "darwin" else "g++"
    compiler = os.environ.get("CXX", usual)
    return None if shutil.which(compiler) else f"no C++ compiler is found: {compiler}"


def seconds_saved(
    config: TrainConfig, objective: ObjectiveConfig, part: Part, device: torch.device
) -> float:
    """What a run would gain by compiled steps, about; negative where it would lose.

    Compiling merges the passes over what is decoded, and leaves matrix products as they are. It is
    an estimate, not a measurement, so that a run and its resumption decide alike.
    """
    batch = min(config.resolved_batch_size, len(part))
    decoded = objective.k * objective.m * batch * math.prod(part.images.shape[1:])
    per_pixel, per_step = _SAVED[device.type]
    return config.epochs * math.ceil(len(part) / batch) * (per_pixel * decoded + per_step)


def is_compiled(
    config: TrainConfig, objective: ObjectiveConfig, part: Part, device: torch.device
) -> bool:
    """Whether steps on `device` are compiled.

    Raises:
        UsageError: they were asked to be, and cannot.
    """
    found = why_not_compilable(device)
    if config.compile == "on" and found:
        raise UsageError(
            "--compile on is not possible here",
            why=found,
            fix="install what is missing, or use --compile auto",
        )
    if config.compile != "auto":
        return config.compile == "on"
    return found is None and seconds_saved(config, objective, part, device) > _PRICE
