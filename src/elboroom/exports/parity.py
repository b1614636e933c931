"""The check of an export: it computes what the model computes, at other sizes than the example's.

Code that fits the example alone, such as `x.reshape(3, -1)`, is exported without an error.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from elboroom.errors import UsageError
from elboroom.exports.coder import Coder, Inputs
from elboroom.model.likelihoods import TableModel
from elboroom.model.vae import VAE

TOLERANCE = 1e-5
"""The largest difference, relative to `_ruler`."""
SIZES = (1, 1), (2, 9), (7, 1)
"""Numbers of samples and rows."""


@torch.no_grad()
def parity(coder: Coder, exported: Callable[..., Inputs], by: str) -> float:
    """Return the largest relative difference between an export and its model.

    Args:
        coder: the network.
        exported: computes the same from inputs by name.
        by: the name of what computes.

    Raises:
        UsageError: if it is above 1e-5, the outputs have other names or shapes, or the export does
            not take these sizes.
    """
    return max(_largest(coder, exported, by, sizes) for sizes in SIZES)


def _largest(
    coder: Coder, exported: Callable[..., Inputs], by: str, sizes: tuple[int, int]
) -> float:
    inputs = coder.draw(*sizes)
    try:
        expected, outputs = coder.module(**inputs), exported(**inputs)
    except Exception as error:
        raise _differs(coder, by, sizes, f"{type(error).__name__}: {error}") from error
    units = _units(coder.model) if coder.name == "decoder" else {}
    pairs = ((name, outputs.get(name), exact) for name, exact in expected.items())
    found = {name: _apart(output, exact, units.get(name)) for name, output, exact in pairs}
    for name, apart in found.items():
        if not apart <= TOLERANCE:
            why = f"its output {name} differs by {apart:.1e}, of {TOLERANCE:g} at most"
            raise _differs(coder, by, sizes, why)
    return max(found.values())


def _apart(found: Tensor | None, exact: Tensor, unit: Tensor | None) -> float:
    """Return the largest difference relative to the ruler; infinity for another shape."""
    if found is None or found.shape != exact.shape:
        return math.inf
    apart = torch.where(found == exact, 0.0, (found - exact).abs())
    return (apart / _ruler(exact, unit)).max().item()


def _ruler(exact: Tensor, unit: Tensor | None) -> Tensor:
    """Return the size that differences are relative to.

    It is 1 or the largest absolute value of an output. Of an output in the units of the data it is
    the unit of each value, or the largest absolute value there.
    """
    if unit is None:
        return exact.abs().max().clamp(min=1.0)
    return torch.maximum(exact.abs().amax((0, 1)), unit)


def _units(model: VAE) -> dict[str, Tensor]:
    """Return the unit of each value of the decoder's outputs that are in units of the data."""
    likelihood = model.likelihood
    if isinstance(likelihood, TableModel):
        spreads = likelihood.spread.split(likelihood.layout.sizes)
        blocks = dict(zip(likelihood.layout.block_names, spreads, strict=True))
        ends = ("location", "scale")
        named = {f"{block}_{end}": spread for block, spread in blocks.items() for end in ends}
        return named | {"mean": _units_of_columns(likelihood)}
    if likelihood.units is None:
        return {}
    return dict.fromkeys(("mean", "location", "scale"), likelihood.units.scale)


def _units_of_columns(likelihood: TableModel) -> Tensor:
    """Return the unit of each column; infinity for levels, of which two may be equally probable."""
    units = likelihood(likelihood.start[None]).log_units.exp()
    has_levels = likelihood.layout.on(units.device).levels > 1
    return units.masked_fill(has_levels, math.inf)


def _differs(coder: Coder, by: str, sizes: tuple[int, int], why: str) -> UsageError:
    return UsageError(
        f"the exported {coder.name} does not compute what the model does",
        why=f"by {by}, for {sizes[0]} samples of {sizes[1]} rows: {why}",
        fix="let its forward keep the number of samples and of rows, as by unflatten(0, "
        "z.shape[:-1]), and compute every row alone; nothing was written",
    )
