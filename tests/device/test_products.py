"""Products by oneDNN: the same numbers, in float32 alone."""

from itertools import cycle

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from elboroom.device import products
from elboroom.device.products import is_onednn_faster, product, use_onednn
from elboroom.randomness import stream

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="PyTorch was built without oneDNN"
)


def matrices(*, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    """A matrix (3, 50), one (50, 7), and a vector of 7."""
    g = stream(0, "matrices")
    return tuple(torch.randn(s, generator=g).to(dtype) for s in ((3, 50), (50, 7), (7,)))  # type: ignore[return-value]


@pytest.mark.parametrize("order", ["rows", "columns"])
@pytest.mark.parametrize("biased", [False, True])
def test_a_product_in_float32(order: str, biased: bool):
    a, b, bias = matrices()
    if order == "columns":
        a, b = a.t().contiguous().t(), b.t().contiguous().t()
    exact = a.double() @ b.double() + bias.double() * biased
    found = product(a, b, bias if biased else None)
    torch.testing.assert_close(found.double(), exact, rtol=1e-6, atol=1e-5)


def targets(function: object, *inputs: Tensor) -> list[str]:
    """The operations of a function after the change, which leaves its result as it was."""
    graph = make_fx(function)(*inputs)
    expected = graph(*inputs)
    use_onednn(graph)
    graph.recompile()
    torch.testing.assert_close(graph(*inputs), expected)
    return [str(node.target) for node in graph.graph.nodes if node.op == "call_function"]


def test_products_of_a_graph_are_replaced():
    a, b, bias = matrices()
    assert targets(torch.mm, a, b) == ["elboroom.product.default"]
    assert targets(torch.addmm, bias, a, b) == ["elboroom.product.default"]


@pytest.mark.parametrize("why", ["its type", "its factor", "its matrix"])
def test_a_product_stays_by(why: str):
    a, b, bias = matrices(dtype=torch.bfloat16 if why == "its type" else torch.float32)
    if why == "its matrix":
        bias = bias.expand(3, 7).clone()
    factor = {"beta": 0.5} if why == "its factor" else {}
    found = targets(lambda c, x, y: torch.addmm(c, x, y, **factor), bias, a, b)
    assert found == ["aten.addmm.default"]


@pytest.mark.parametrize(
    ("seconds", "faster"), [((1.0, 1.0), False), ((1.25, 1.0), False), ((2.0, 1.0), True)]
)
def test_the_faster_library_is_measured(
    monkeypatch: pytest.MonkeyPatch, seconds: tuple[float, float], faster: bool
):
    """A clock at the beginning and end of both, in each trial."""
    of_pytorch, of_onednn = seconds
    times = cycle([0.0, of_pytorch, of_pytorch + of_onednn])
    monkeypatch.setattr(products.time, "perf_counter", lambda: next(times))
    assert is_onednn_faster.__wrapped__() is faster


def test_without_onednn_nothing_is_faster(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not is_onednn_faster.__wrapped__()
