"""Functions that run compiled for arguments like those that they were first called with."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from elboroom.device.compiler import COMPILER_FAILURES, Function
from elboroom.randomness import DrawnBefore


class Kernel:
    """A function that runs as one graph for arguments of one form, and as it is for others.

    The first call compiles it for the form of its arguments: all of them but the values of tensors
    and the state of the generator, if there is one. If the compiler fails, the function runs as it
    is. Tensors that the function holds, such as weights, stay where they are.

    Args:
        function: the function, which changes nothing. Its arguments are tensors, generators and
            what does not change between calls, or dataclasses and tuples of these. Equal forms
            differ in their results by tensors and draws alone.
    """

    def __init__(self, function: Function) -> None:
        self._function, self._draws = function, DrawnBefore(torch.device("cpu"))
        self._form: Any = None
        self._run: Function | None = None

    def __call__(self, *arguments: Any) -> Sequence[Tensor]:
        """Compute the function; only rounding differs."""
        form = _form(arguments)
        if self._form is None:
            self._form = form
            with suppress(*COMPILER_FAILURES):
                self._run = self._compiled(arguments)
        if self._run is None or form != self._form:
            return self._function(*arguments)
        with torch.no_grad():
            return self._run(*self._inputs(arguments))

    def _inputs(self, arguments: Sequence[Any]) -> list[Tensor]:
        """Return the tensors of the arguments, and what the function draws."""
        tensors, generators = _leaves(arguments)
        return [*tensors, *(draw for one in generators for draw in self._draws.draw(one))]

    def _compiled(self, arguments: Sequence[Any]) -> Function:
        from elboroom.device.graph import as_one_graph  # loads PyTorch's compiler

        def compute(*inputs: Tensor) -> Sequence[Tensor]:
            values = iter(inputs)
            given = _replaced(arguments, values, self._draws)
            self._draws.give(list(values))
            return list(self._function(*given))

        tensors, _ = _leaves(arguments)
        self._function(*_replaced(arguments, iter(tensors), self._draws))  # notes the draws
        return as_one_graph(compute, [*tensors, *self._draws.draw(torch.Generator())])


def _leaves(value: Any) -> tuple[list[Tensor], list[torch.Generator]]:
    """Return the tensors and the generators that a value holds."""
    tensors = [value] if isinstance(value, Tensor) else []
    generators = [value] if isinstance(value, torch.Generator) else []
    for part in _parts(value).values():
        more, others = _leaves(part)
        tensors, generators = tensors + more, generators + others
    return tensors, generators


def _form(value: Any) -> Any:
    """Return all of a value but the numbers of its tensors and the states of its generators."""
    if isinstance(value, Tensor):
        return value.shape, value.stride(), value.dtype, value.device
    if isinstance(value, torch.Generator):
        return value.device
    parts = _parts(value)
    return (type(value), [_form(part) for part in parts.values()]) if parts else value


def _replaced(value: Any, tensors: Iterator[Tensor], generator: torch.Generator) -> Any:
    """Return a value with other tensors, in the order of `_leaves`, and another generator."""
    if isinstance(value, Tensor):
        return next(tensors)
    if isinstance(value, torch.Generator):
        return generator
    parts = {name: _replaced(part, tensors, generator) for name, part in _parts(value).items()}
    if type(value) is tuple:
        return tuple(parts.values())
    return replace(value, **parts) if parts else value


def _parts(value: Any) -> dict[str, Any]:
    """Return the parts of a dataclass or a tuple by their names."""
    if type(value) is tuple:
        return {str(number): part for number, part in enumerate(value)}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return {}
