"""Kernels: the same numbers and draws as by the function itself."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from elboroom.device.compiler import why_no_compiler
from elboroom.device.kernel import Kernel
from elboroom.randomness import normals, stream

COMPILER = pytest.mark.skipif(
    why_no_compiler(torch.device("cpu")) is not None, reason="needs a C++ compiler"
)


@dataclass(frozen=True)
class Scaled:
    """A density of one's own."""

    scale: Tensor
    name: str = "a"


Seen = tuple[Tensor, ...]


class Noted:
    """A function that counts how often its Python runs."""

    def __init__(self) -> None:
        self.runs, self.weight = 0, torch.tensor(2.0)

    def __call__(
        self, q: Scaled, seen: Seen | None, k: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        self.runs += 1
        eps = normals((k, *q.scale.shape), q.scale, generator)
        z = self.weight * q.scale * eps + (0 if seen is None else seen[0])
        return z, z.square().sum(-1)


def q(value: float = 1.0, rows: int = 3, name: str = "a") -> Scaled:
    return Scaled(torch.full((rows,), value), name)


def assert_same(found: Any, expected: Any) -> None:
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_tensors_and_draws_are_those_of_each_call(graphs: list[Any]):
    function = Noted()
    kernel, seen = Kernel(function), (torch.arange(3.0),)
    mine, theirs = stream(0, "a"), stream(0, "a")
    for value in (1.0, 3.0):
        found = kernel(q(value), seen, 2, mine)
        assert_same(found, Noted()(q(value), seen, 2, theirs))
        seen = (-seen[0],)
    assert function.runs == 2  # to note its draws, and to be traced
    assert len(graphs) == 1


def test_tensors_that_the_function_holds_may_change(graphs: list[Any]):
    function = Noted()
    kernel = Kernel(function)
    before = kernel(q(), None, 2, stream(0, "a"))
    function.weight.mul_(5)
    after = kernel(q(), None, 2, stream(0, "a"))
    torch.testing.assert_close(after[0], 5 * before[0])
    assert function.runs == 2


@pytest.mark.parametrize("other", ["rows", "a name", "a number", "strides", "type", "no tensor"])
def test_arguments_of_another_form_run_as_they_are(graphs: list[Any], other: str):
    function = Noted()
    kernel, seen = Kernel(function), (torch.zeros(2, 3),)
    kernel(q(), seen, 2, stream(0, "a"))
    density, count = q(), 2
    if other == "rows":
        density, seen = q(rows=4), None
    if other == "a name":
        density = q(name="b")
    if other == "a number":
        count, seen = 4, (torch.zeros(4, 3),)
    if other == "strides":
        seen = (torch.arange(6.0).view(3, 2).t(),)
    if other == "type":
        seen = (torch.ones(2, 3, dtype=torch.float64),)
    if other == "no tensor":
        seen = None
    found = kernel(density, seen, count, stream(0, "a"))
    assert function.runs == 3
    assert_same(found, Noted()(density, seen, count, stream(0, "a")))
    kernel(q(), (torch.zeros(2, 3),), 2, stream(0, "a"))
    assert function.runs == 3


def test_a_function_that_draws_by_itself_is_not_compiled(graphs: list[Any]):
    def draw(x: Tensor) -> tuple[Tensor]:
        return (torch.rand_like(x),)

    kernel, x = Kernel(draw), torch.zeros(100)
    first, second = kernel(x), kernel(x)
    assert not torch.equal(first[0], second[0])
    assert not graphs


def test_a_function_that_reads_values_is_not_compiled(graphs: list[Any]):
    def positive(x: Tensor) -> tuple[Tensor]:
        return (x if x.sum() > 0 else -x,)

    kernel = Kernel(positive)
    for x in (torch.ones(2), -torch.ones(2)):
        assert torch.equal(kernel(x)[0], torch.ones(2))
    assert not graphs


def test_a_failure_of_the_compiler_leaves_the_function(monkeypatch: pytest.MonkeyPatch):
    def failing(graph: Any, inputs: list[Tensor]) -> Any:
        raise RuntimeError("no")

    monkeypatch.setattr("elboroom.device.graph.compiled", failing)
    function = Noted()
    kernel = Kernel(function)
    assert_same(kernel(q(), None, 2, stream(0, "a")), Noted()(q(), None, 2, stream(0, "a")))
    before = function.runs
    kernel(q(), None, 2, stream(0, "a"))
    assert function.runs == before + 1  # it does not try again


@COMPILER
@pytest.mark.full
def test_a_compiled_kernel():
    function = Noted()
    kernel = Kernel(function)
    for value in (1.0, 3.0):
        found = kernel(q(value), None, 2, stream(0, "a"))
        assert_same(found, Noted()(q(value), None, 2, stream(0, "a")))
    assert function.runs == 2
