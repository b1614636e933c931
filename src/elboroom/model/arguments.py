"""The checks of arguments: of public functions by their annotations, and of a model's tensors."""

import inspect
import math
from collections.abc import Callable
from functools import cache, wraps
from types import NoneType, UnionType
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
import torch
from torch import Tensor, nn
from torch.jit._trace import is_tracing

from elboroom.config.typed_tables import require_type
from elboroom.data import Dataset, require_dataset
from elboroom.errors import UsageError, named

_P = ParamSpec("_P")
_R = TypeVar("_R")

_FIXES = {
    "float": "give a finite number",
    "VAE": "give the model: that of a run is run.load_model()",
    "Tensor": "give a tensor, as by torch.as_tensor",
    "Generator": "give one on the model's device: torch.Generator(device).manual_seed(0)",
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
    return _FIXES.get(first.__name__, "give a value of that type")


def _require_device(arguments: dict[str, Any]) -> None:
    """Check that a generator can draw for the model, where both are given."""
    model = arguments.get("model", arguments.get("self"))
    generator = arguments.get("generator")
    if not isinstance(model, nn.Module) or not isinstance(generator, torch.Generator):
        return
    weight = next(model.parameters(), torch.empty(0))
    if weight.device.type != generator.device.type:
        raise UsageError(
            f"the generator is on {generator.device.type}, the model on {weight.device.type}",
            why="a generator draws on its own device only",
            fix=f'give torch.Generator("{weight.device}")',
        )


def require_latents(z: Tensor, latents: int) -> None:
    """Check that z is (..., D).

    Raises:
        UsageError: it is not.
    """
    if not isinstance(z, Tensor) or not _are(z.shape[-1:], (latents,)):
        raise _unfit("z", z, f"a tensor (..., {latents})")


def require_latents_of(z: Tensor, x: Tensor) -> None:
    """Check that z (..., B, D) has a row for each row of x, or one for all.

    Raises:
        UsageError: it has not.
    """
    if is_tracing() or z.ndim < 2 or 1 in (z.shape[-2], len(x)):
        return
    if z.shape[-2] != len(x):
        raise _unfit("z", z, f"a tensor (..., {len(x)}, {z.shape[-1]}), for the {len(x)} rows of x")


def require_rows(x: Tensor, event: tuple[int, ...], mask: Tensor | None) -> None:
    """Check that x is (B, *event), and that its mask is boolean and broadcasts to it.

    Raises:
        UsageError: one is not.
    """
    if not isinstance(x, Tensor) or not _are(x.shape[1:], event):
        raise _unfit("x", x, f"a tensor (B, {', '.join(map(str, event))})")
    if mask is None:
        return
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool or not _broadcasts(mask, x):
        raise _unfit("mask", mask, f"a tensor of booleans that broadcasts to {tuple(x.shape)}")


def _are(found: torch.Size, expected: tuple[int, ...]) -> bool:
    """Return whether sizes are as expected; in a trace they are symbols, and may be any."""
    return is_tracing() or tuple(found) == expected


def _broadcasts(mask: Tensor, x: Tensor) -> bool:
    if is_tracing():
        return True
    sizes = zip(reversed(mask.shape), reversed(x.shape), strict=False)
    return mask.ndim <= x.ndim and all(one == 1 or one == size for one, size in sizes)


def _unfit(name: str, found: object, expected: str) -> UsageError:
    is_tensor = isinstance(found, Tensor)
    words = f"a tensor {tuple(found.shape)} of {found.dtype}" if is_tensor else named(found)
    return UsageError(
        f"this {name} does not fit the model",
        why=f"found {words}; expected {expected}",
        fix="give such a tensor" + ", as by torch.as_tensor" * (not is_tensor),
    )
