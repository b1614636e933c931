"""PyTorch's compiler: whether it works here, and its options."""

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

Function = Callable[..., Sequence[Tensor]]
"""A function that returns tensors."""

COMPILER_FAILURES = RuntimeError, AssertionError, NotImplementedError
"""The errors of functions that cannot be traced, compiled or run."""

_VECTOR_BITS = {"AVX2": 256, "AVX512": 512}


def why_no_compiler(device: torch.device) -> str | None:
    """Return what PyTorch's compiler lacks to compile for `device`, or None if it lacks nothing."""
    if device.type == "cuda" and find_spec("triton") is None:
        return "Triton, which compiles for CUDA, is not installed"
    usual = "clang++" if sys.platform == "darwin" else "g++"
    compiler = os.environ.get("CXX", usual)
    return None if shutil.which(compiler) else f"there is no C++ compiler {compiler}"


def compiler_options() -> dict[str, Any]:
    """Return the options of PyTorch's compiler for this processor."""
    return {
        # Without dynamic threads, kernels keep the number of threads that they were compiled with.
        "cpp.dynamic_threads": True,
        # PyTorch's cache of compiled code does not distinguish instruction sets: code for 512 bits
        # would be found again under ATEN_CPU_CAPABILITY=avx2, and compute wrong numbers there.
        "cpp.simdlen": _VECTOR_BITS.get(torch.backends.cpu.get_cpu_capability()),
    }
