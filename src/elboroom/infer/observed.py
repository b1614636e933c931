"""The observed pixels: one check of data and mask for every inference method."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from elboroom.data import Dataset, Part, noun
from elboroom.errors import UsageError
from elboroom.model.likelihoods import require_values
from elboroom.model.networks import decoder_network
from elboroom.model.networks.layers import require_eval_mode
from elboroom.model.vae import VAE

Array = Tensor | np.ndarray[Any, Any]
"""Data or a mask as a caller gives them."""

_AS_TRAINED = (
    "give x as the model was trained on it: rows of a Dataset's part, or values that are scaled "
    "or made binary in the same way"
)
_NUMBERS = "buif"  # the kinds of NumPy's booleans, integers and floats


@dataclass(frozen=True)
class Observed:
    """The data and the mask that a posterior is inferred from.

    Attributes:
        x: (N, *event), with 0 where a pixel is not seen.
        mask: (N, *event), True where a pixel is seen; None if all are.
        index: (B,), which of the N rows these are; a row may be repeated.
    """

    x: Tensor
    mask: Tensor | None
    index: Tensor

    @classmethod
    def of(cls, x: Tensor, mask: Tensor | None) -> "Observed":
        """Copy data and mask, which the caller may change later."""
        index = torch.arange(len(x), device=x.device)
        if mask is None:
            return cls(x.clone(), None, index)
        return cls(x.masked_fill(~mask, 0.0), mask.clone(), index)

    @property
    def data(self) -> tuple[Tensor, Tensor | None]:
        """The seen values and the mask of the B rows."""
        return self.x[self.index], None if self.mask is None else self.mask[self.index]

    @property
    def noun(self) -> str:
        """The word for one row: image or row."""
        return noun(tuple(self.x.shape[1:]))

    @property
    def seen(self) -> Tensor:
        """True where a pixel of the B rows is seen, (B, *event)."""
        x, mask = self.data
        return torch.ones_like(x, dtype=torch.bool) if mask is None else mask

    def rows(self, index: Tensor) -> "Observed":
        """Return some of the rows."""
        return replace(self, index=self.index[index])

    def require_same(self, other: "Observed") -> None:
        """Check that another posterior or score is of the same seen values.

        Raises:
            UsageError: another number of rows, another mask, or another seen value.
        """
        x, other_x = self.data[0], other.data[0]
        if x.shape != other_x.shape:
            raise _other_data(f"found {len(x)} rows in the posterior; expected {len(other_x)}")
        if not torch.equal(self.seen, other.seen):
            raise _other_data("the posterior was inferred under another mask")
        if not torch.equal(x, other_x):
            raise _other_data("the posterior was inferred from other seen values")


def check_data_and_mask(model: VAE, x: Array, mask: Array | None) -> tuple[Tensor, Tensor | None]:
    """Check data (B, *event) and its mask, and bring both to the model's device.

    Arrays and tensors of booleans, integers and floats are converted to the model's type. The mask
    is broadcast to the data's shape.

    Raises:
        UsageError: if the model is in training mode, `x` is no array of events, `mask` is not
            boolean or does not broadcast to `x`, or the likelihood does not accept a seen value.
    """
    require_eval_mode(model)
    x = _as_numbers(x, model)
    _require_events(x, model.event_shape)
    mask = None if mask is None else _as_mask(mask, x)
    require_seen_values(model, x, mask)
    return x, mask


def require_mask(mask: Array | None) -> Array:
    """Check that there is a mask, without which nothing is left to complete.

    Raises:
        UsageError: `mask` is None.
    """
    if mask is None:
        raise UsageError(
            "there is nothing to complete",
            why="mask is None, which means that every pixel is seen",
            fix="give a boolean mask that is False where a pixel is to be completed",
        )
    return mask


def require_seen_values(model: VAE, x: Tensor, seen: Tensor | None, name: str = "seen") -> None:
    """Check that seen values of x are finite, and that the model's likelihood accepts them.

    Raises:
        UsageError: a value is not finite, or outside the support; `name` tells which values.
    """
    if not torch.isfinite(x if seen is None else x[seen]).all():
        raise UsageError(
            f"a {name} value is NaN or infinite",
            why=f"densities are defined for finite values of {_name(x.dtype)}",
            fix="set the mask to False where a value is missing, as in mask = ~x.isnan()",
        )
    values = x if seen is None else x.masked_fill(~seen, torch.nan)
    require_values(
        model.likelihood.density, values, f"a {name} value", UsageError, lambda unfit: _AS_TRAINED
    )


def restrict_to_observed(
    model: VAE, x: Tensor, mask: Tensor | None
) -> tuple[VAE, Tensor, Tensor | None]:
    """Restrict model, data and mask to the pixels that some row sees, in most cases (B, P).

    A pixel that no row sees adds nothing to any density, so it need not be decoded. If nothing is
    seen at all, one unseen pixel is kept, because empty tensors would need special cases later.
    """
    if mask is None:
        return model.fixed(), x, mask
    needed = mask.any(0)
    needed.view(-1)[0] |= ~needed.any()
    values, entries = model.likelihood.density.restriction(needed)
    decoder = decoder_network(model.decoder).restricted_to(entries)
    likelihood = model.likelihood.restricted_to(values, tuple(x.shape[1:]))
    if decoder is None or likelihood is None:
        return model.fixed(), x, mask
    small = model.fixed(decoder, likelihood, tuple(values.shape))
    seen = mask.flatten(1)[:, values]
    return small, x.flatten(1)[:, values], None if seen.all() else seen


def _as_numbers(x: Array, model: VAE) -> Tensor:
    like = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
    dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
    if isinstance(x, np.ndarray):
        return torch.from_numpy(_numbers(x, _name(dtype))).to(like.device)
    if isinstance(x, Dataset | Part):
        rows = "data.test.x" if isinstance(x, Dataset) else "part.x"
        raise _bad_data(f"it is a {type(x).__name__}", f"give its rows, as {rows}")
    if not isinstance(x, Tensor):
        raise _bad_data(f"it is a {type(x).__name__}", "convert it by numpy.asarray")
    if x.is_complex() or x.layout != torch.strided:
        raise _bad_data(f"it is a tensor of {x.dtype}, {x.layout}", "give dense real numbers")
    return x.detach().to(like.device, dtype)


def _numbers(x: np.ndarray[Any, Any], dtype: str) -> np.ndarray[Any, Any]:
    if isinstance(x, np.ma.MaskedArray):
        raise _bad_data(
            "it is a masked array, whose mask would be lost",
            "give x.filled(numpy.nan), and mask=~numpy.ma.getmaskarray(x)",
        )
    if x.dtype.kind not in _NUMBERS:
        raise _bad_data(f"its type is {x.dtype}", 'give numbers, as by x.astype("float32")')
    with np.errstate(over="ignore"):  # an infinite value is refused below, in words
        return np.array(x, dtype=dtype, order="C")


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _require_events(x: Tensor, event: tuple[int, ...]) -> None:
    expected = f"(B, {', '.join(map(str, event))})"
    if x.shape == event:
        raise UsageError(
            "x has no batch axis",
            why=f"its shape {tuple(x.shape)} is that of one event; expected {expected}",
            fix="give x[None], a batch of one",
        )
    if x.shape[1:] != event:
        raise UsageError(
            "this x does not fit the model",
            why=f"its shape is {tuple(x.shape)}; expected {expected}",
            fix="reshape it, or use the model that was trained on such data",
        )
    if not len(x):
        raise UsageError(
            "there are no rows to infer",
            why=f"x has shape {tuple(x.shape)}; expected {expected} with B ≥ 1",
            fix="give at least one row, (1, *event)",
        )


def _as_mask(mask: Array, x: Tensor) -> Tensor:
    if isinstance(mask, str):
        raise _bad_mask(
            f"it is the word {mask!r}; only commands know masks by name",
            f'give elboroom.half_mask("{mask}", event_shape), or a boolean array shaped like x',
        )
    if isinstance(mask, np.ndarray) and mask.dtype == bool:
        mask = torch.from_numpy(np.array(mask, order="C"))
    if not isinstance(mask, Tensor):
        found = mask.dtype if isinstance(mask, np.ndarray) else type(mask).__name__
        raise _bad_mask(f"its type is {found}; expected booleans")
    if mask.dtype != torch.bool:
        raise _bad_mask(f"its type is {mask.dtype}; expected torch.bool")
    try:
        return mask.to(x.device).expand(x.shape)
    except RuntimeError as error:
        shapes = f"its shape {tuple(mask.shape)} does not broadcast to {tuple(x.shape)}"
        raise _bad_mask(shapes) from error


def _bad_data(why: str, fix: str) -> UsageError:
    return UsageError("x is no array of numbers", why=why, fix=fix)


def _bad_mask(
    why: str, fix: str = "give a boolean mask shaped like x, True where a pixel is seen"
) -> UsageError:
    return UsageError("this mask does not fit the data", why=why, fix=fix)


def _other_data(why: str) -> UsageError:
    return UsageError(
        "this posterior does not fit the data",
        why=why,
        fix="infer the posterior of the same x, given the same mask",
    )
