"""Functions of tensors as one graph, which PyTorch's compiler merges into few passes."""

import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import torch
import torch._inductor
from torch import Tensor
from torch.fx import GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx

from elboroom.device.compiler import Function, compiler_options
from elboroom.device.products import is_onednn_faster, use_onednn


def as_one_graph(function: Function, inputs: Sequence[Tensor]) -> Function:
    """Trace a function of tensors, and compile it for inputs of the same shapes and strides.

    What the function does besides operations on tensors, it does once, here. Tensors that it holds
    may change between calls. It runs twice: its caller undoes what it changes.

    Args:
        function: the function; it draws nothing, but takes its draws.
        inputs: inputs that it is traced on.

    Raises:
        RuntimeError: if it cannot be traced, compiled or run, or draws random values itself.
    """
    # PyTorch warns of parts of its own when its compiler is loaded.
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning), torch.no_grad():
        graph = make_fx(function)(*inputs)
        _require_no_draws(graph)
        if is_onednn_faster():
            use_onednn(graph)
        held = _lift_tensors(graph)
        run = compiled(graph, [*held, *inputs])
        run(*held, *inputs)  # the compiler may have made a mistake that only this finds
    return partial(run, *held)


def compiled(graph: GraphModule, inputs: list[Any]) -> Function:
    """Compile a graph for inputs like these."""
    return cast(Function, torch._inductor.compile(graph, inputs, options=compiler_options()))


def _require_no_draws(graph: GraphModule) -> None:
    """Check that a graph draws nothing by itself: it would draw the same in each call.

    Raises:
        RuntimeError: if it does.
    """
    for node in graph.graph.nodes:
        tags = getattr(node.target, "tags", ())
        if torch.Tag.nondeterministic_seeded in tags:
            raise RuntimeError(f"{node.target} draws random values that are not made beforehand")


def _lift_tensors(graph: GraphModule) -> list[Tensor]:
    """Make the tensors that a graph holds its first inputs, and return them, each once.

    The graph holds them no longer. Otherwise the compiler would see two tensors with one storage,
    and would change a copy that it writes back after each call.
    """
    first = next(iter(graph.graph.nodes))
    lifted = dict[int, tuple[Tensor, Node]]()
    for node in list(graph.graph.find_nodes(op="get_attr")):
        tensor = getattr(graph, node.target)
        if id(tensor) not in lifted:
            with graph.graph.inserting_before(first):
                lifted[id(tensor)] = tensor, graph.graph.placeholder(f"held_{len(lifted)}")
        node.replace_all_uses_with(lifted[id(tensor)][1])
        graph.graph.erase_node(node)
    for name in list(graph.state_dict()):
        delattr(graph, name)
    graph.recompile()
    return [tensor.detach() for tensor, _ in lifted.values()]
