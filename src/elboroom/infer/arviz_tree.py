"""Posteriors for ArviZ: draws, their densities and the data, as an `xarray.DataTree`."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from elboroom import __version__
from elboroom.device import require_room
from elboroom.errors import UsageError, extra_needed
from elboroom.infer.target import Target
from elboroom.model.decoding import chunks, decoded_at_a_time
from elboroom.model.vae import VAE

_EVENT = {1: ["value"], 2: ["height", "width"], 3: ["channel", "height", "width"]}
_Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class ArvizDraws:
    """Draws that count the same, each of one chain.

    Attributes:
        z: (C, T, B, D), T draws of each of C chains.
        source: where they come from: "chains", "independent" or "resampled" by their weights.
        stats: named values of each draw, (C, T, B).
    """

    z: Tensor
    source: str
    stats: Mapping[str, Tensor]


@torch.no_grad()
def arviz_tree(
    target: Target,
    draws: ArvizDraws,
    of_rows: Mapping[str, Tensor],
    method: str,
    *,
    rows: Sequence[Any] | _Array | None,
    log_likelihood: bool,
) -> Any:
    """Return the DataTree that `Posterior.to_arviz` describes.

    Args:
        target: log p(x_seen, z), with the data.
        draws: the draws.
        of_rows: named values of each row, (B,).
        method: the posterior's class, by its name.
        rows: a label of each row; None for its number.
        log_likelihood: True to add log p(x_i | z) of each seen value.

    Raises:
        UsageError: ArviZ is not installed, the number of labels is another, or the
            log-likelihood is asked for of resampled draws, or of values of an event that are not
            independent given z.
    """
    with extra_needed("a posterior cannot be given to ArviZ", "arviz", "arviz_base", "xarray"):
        import arviz_base
        from xarray import DataTree
    target.source.require_unchanged()
    if log_likelihood:
        _require_distinct(draws)
    coords: dict[str, ArrayLike] = {"row": _labels(rows, len(target))}
    x, seen = target.given.data[0], target.given.seen
    stats = {"lp": _log_joint(target, draws.z), **draws.stats}
    axes = ["row", *_EVENT.get(x.ndim - 1, [])]
    tree = arviz_base.from_dict(
        {
            "posterior": _arrays({"z": draws.z}),
            "sample_stats": _arrays(stats),
            "observed_data": _arrays({"x": x.masked_fill(~seen, torch.nan)}),
            "constant_data": _arrays({"mask": seen}),
        },
        coords=coords,
        dims={"z": ["row", "latent"], "x": axes, "mask": axes} | _by_row(stats),
        check_conventions=False,
        attrs={"/": _attributes(method, draws.source)},
    )
    of_each = arviz_base.dict_to_dataset(
        _arrays(of_rows), sample_dims=[], coords=coords, dims=_by_row(of_rows)
    )
    tree["diagnostics"] = DataTree(of_each)
    if log_likelihood:
        tree["log_likelihood"] = DataTree(_values(target, draws.z, np.asarray(coords["row"])))
    return tree


def _values(target: Target, z: Tensor, labels: _Array) -> Any:
    """Return log p(x_i | z) of each seen value as a dataset, with its row and its place."""
    from arviz_base import dict_to_dataset

    found = _arrays({"x": _log_likelihood(target, z)})
    values = dict_to_dataset(found, dims={"x": ["seen"]}, check_conventions=False)
    row, value = target.given.seen.flatten(1).nonzero().cpu().numpy().T
    return values.assign_coords(row=("seen", labels[row]), value=("seen", value))


def _attributes(method: str, source: str) -> dict[str, str]:
    return {
        "inference_library": "elboroom",
        "inference_library_version": __version__,
        "inference_method": method,
        "draws": source,
    }


def _arrays(values: Mapping[str, Tensor]) -> dict[str, _Array]:
    return {name: value.detach().cpu().numpy() for name, value in values.items()}


def _by_row(values: Mapping[str, Tensor]) -> dict[Hashable, Sequence[Hashable]]:
    """Return the dimensions of values of each row, beside those of draws."""
    return {name: ["row"] for name in values}


def _labels(rows: Sequence[Any] | _Array | None, count: int) -> _Array:
    """Return the labels of the rows, (B,).

    Raises:
        UsageError: their number is another.
    """
    labels = np.arange(count) if rows is None else np.asarray(rows)
    if labels.shape != (count,):
        raise UsageError(
            "these labels do not fit the rows",
            why=f"their shape is {labels.shape}; expected ({count},)",
            fix="give one label for each row, or rows=None for their numbers",
        )
    return labels


def _log_joint(target: Target, z: Tensor) -> Tensor:
    """Compute log p(x_seen, z) in nats of draws, (C, T, B, D) → (C, T, B)."""
    parts = [target.log_joint(part) for part in _parts(target.model, target.x, z)]
    return torch.cat(parts).unflatten(0, z.shape[:2])


def _log_likelihood(target: Target, z: Tensor) -> Tensor:
    """Compute log p(x_i | z) in nats of each seen value of all rows, (C, T, B, D) → (C, T, V).

    Raises:
        UsageError: the values of an event are not independent given z, or the memory is not free.
    """
    model, x, seen = target.source.model.fixed(), target.given.data[0], target.given.seen
    _require_independent_values(model, seen)
    require_room((*z.shape[:2], int(seen.sum())), x, draws=z.shape[1])
    parts = [
        torch.cat(
            [
                model.decode(part[:, rows]).log_prob_per_value(x[rows], seen[rows])[:, seen[rows]]
                for rows in chunks(model, x, part)
            ],
            -1,
        )
        for part in _parts(model, x, z)
    ]
    return torch.cat(parts).unflatten(0, z.shape[:2])


def _parts(model: VAE, x: Tensor, z: Tensor) -> tuple[Tensor, ...]:
    """Split draws (C, T, B, D) into parts (S, B, D) that are decoded together."""
    return z.flatten(0, 1).split(max(1, decoded_at_a_time(model, x) // len(x)))


def _require_distinct(draws: ArvizDraws) -> None:
    """Check that draws are not copies of a few particles: `loo` fits a tail to what they say.

    Raises:
        UsageError: they are resampled.
    """
    if draws.source == "resampled":
        raise UsageError(
            "the log-likelihood of particles is not for ArviZ",
            why="they are drawn again by their weights, and `loo` fails on copies of a few",
            fix="leave log_likelihood at False, or take infer.hmc, infer.laplace or infer.grid",
        )


def _require_independent_values(model: VAE, seen: Tensor) -> None:
    """Check that a value tells nothing about others of its row, given z.

    Raises:
        UsageError: it does.
    """
    one = torch.zeros_like(seen[:1])
    one.view(-1)[0] = True
    if model.likelihood.density.sites(one).sum() > 1:
        name = model.likelihood.density.__name__
        raise UsageError(
            "the log-likelihood of single values is not known",
            why=f"under the likelihood {name} the channels of a pixel depend on each other",
            fix="leave log_likelihood at False, or train a model with another likelihood",
        )
