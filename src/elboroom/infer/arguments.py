"""The check of arguments: one for all public functions, by their annotations."""

import inspect
import math
from collections.abc import Callable
from functools import cache, wraps
from types import NoneType, UnionType
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
import torch
from torch import Tensor

from elboroom.config.typed_tables import require_type
from elboroom.data import Dataset, require_dataset
from elboroom.errors import UsageError
from elboroom.model.vae import VAE

_P = ParamSpec("_P")
_R = TypeVar("_R")

_FIXES: dict[type, str] = {
    float: "give a finite number",
    VAE: "give the model: that of a run is run.load_model()",
    torch.Generator: "give one on the model's device: torch.Generator(device).manual_seed(0)",
}


def checked(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Check the arguments of each call by the annotations of the function.

    Numbers, choices and objects of a class must be what the annotation says, numbers must be
    finite, and a generator must be on the device of the model. NumPy's scalars and tensors of one
    number count as numbers. Arrays and callables are left to the function.

    Raises:
        UsageError: in a call with an argument that is something else; it names the argument.
    """

    @wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        signature, hints = _contract(function)
        bound = signature.bind(*args, **kwargs)
        for name, hint in hints.items():
            if name in bound.arguments:
                bound.arguments[name] = _checked(name, bound.arguments[name], hint)
        _require_device(bound.arguments)
        return function(*bound.args, **bound.kwargs)

    return call


@cache
def _contract(function: Callable[..., Any]) -> tuple[inspect.Signature, dict[str, Any]]:
    """Return the signature of a function, and the annotations that are checked."""
    hints = get_type_hints(function).items()
    checked = {name: hint for name, hint in hints if all(map(_is_checked, _options(hint)))}
    return inspect.signature(function), checked


def _options(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _is_checked(option: Any) -> bool:
    return isinstance(option, type) or get_origin(option) in (Literal, tuple)


def _checked(name: str, value: Any, hint: Any) -> Any:
    """Return an argument that is what its annotation says."""
    if hint is Dataset:
        require_dataset(value)
        return value
    if isinstance(value, np.generic | Tensor) and value.ndim == 0:
        value = value.item()
    require_type(name, value, hint, fix=_fix(hint))
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{name} cannot be {value}", why="it must be finite", fix=_fix(hint))
    return value


def _fix(hint: Any) -> str:
    first = next(option for option in _options(hint) if option is not NoneType)
    if get_origin(first) is Literal:
        return f"give one of {', '.join(map(repr, get_args(first)))}"
    return _FIXES.get(first, "give a value of that type")


def _require_device(arguments: dict[str, Any]) -> None:
    """Check that a generator can draw for the model, where both are given."""
    model, generator = arguments.get("model"), arguments.get("generator")
    if not isinstance(model, VAE) or not isinstance(generator, torch.Generator):
        return
    weight = next(model.parameters(), torch.empty(0))
    if weight.device.type != generator.device.type:
        raise UsageError(
            f"the generator is on {generator.device.type}, the model on {weight.device.type}",
            why="a generator draws on its own device only",
            fix=f'give torch.Generator("{weight.device}")',
        )
