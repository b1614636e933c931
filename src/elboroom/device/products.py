"""Float32 products of matrices by oneDNN, where it is faster than what PyTorch calls.

On x86 PyTorch calls MKL, which reaches half of oneDNN's rate on AMD's processors with AVX-512.
"""

import statistics
import time
from functools import cache

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

_SIDE, _TRIALS = 512, 9
_FASTER = 1.3  # less might be noise, and another library rounds otherwise
_MM, _ADDMM = torch.ops.aten.mm.default, torch.ops.aten.addmm.default


def product(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
    """Compute a b + bias by oneDNN.

    Args:
        a: (M, K), float32.
        b: (K, N), float32, in any order in memory.
        bias: (N,), float32; None for none.
    """
    return torch.ops.mkldnn._linear_pointwise(a, b.t(), bias, "none", [], "")


def _shaped(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
    return a.new_empty(a.shape[0], b.shape[1])


_NAME = "elboroom::product"
torch.library.define(_NAME, "(Tensor a, Tensor b, Tensor? bias) -> Tensor")
torch.library.impl(_NAME, "cpu", product)
torch.library.register_fake(_NAME, _shaped)


@cache
def is_onednn_faster() -> bool:
    """Time both libraries by all threads, once in a process; False where there is no oneDNN."""
    if not (
        torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    ):
        return False
    factor, ratios = torch.ones(_SIDE, _SIDE), list[float]()
    for _ in range(_TRIALS):
        clocks = [time.perf_counter()]
        for compute in (torch.mm, lambda a, b: product(a, b, None)):
            compute(factor, factor)
            clocks.append(time.perf_counter())
        ratios.append((clocks[1] - clocks[0]) / (clocks[2] - clocks[1]))
    return statistics.median(ratios) > _FASTER


def use_onednn(graph: GraphModule) -> None:
    """Let oneDNN compute the float32 products of a graph that PyTorch traced."""
    for node in graph.graph.nodes:
        if node.target in (_MM, _ADDMM) and _is_plain(node):
            bias, a, b = (None, *node.args)[-3:]
            node.target, node.args = torch.ops.elboroom.product.default, (a, b, bias)


def _is_plain(node: Node) -> bool:
    """Return whether a product is in float32, without factors, and adds a vector at most."""
    values = [argument.meta["val"] for argument in node.args if isinstance(argument, Node)]
    adds_vector_at_most = len(values) == 2 or values[0].ndim == 1
    return adds_vector_at_most and not node.kwargs and values[-1].dtype == torch.float32
