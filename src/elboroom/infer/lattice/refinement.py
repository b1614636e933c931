"""The refinement of a lattice, row by row, until each log p(x_seen) is stable."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from elboroom.errors import ElboroomError
from elboroom.infer.lattice.cells import Cells
from elboroom.infer.lattice.decoded_tiles import SIDE, Decode
from elboroom.infer.lattice.scored import DEPTH, ScoredLattice
from elboroom.infer.lattice.tiles import Tiles
from elboroom.infer.target import Target
from elboroom.model.linear_algebra import product_grid

_COARSEST, _FINEST = 1 / 4, 1 / 1024  # spacings: powers of two, so that points are exact
# Tiles from the origin at the coarsest spacing: the least and the largest extent of the search.
_NEAR, _FAR = 2, 16
_RISE = 4.0  # nats: a mode that may rise further between points could be invisible at them
# Where there is mass, two spacings may agree by chance although both are too coarse. For a Gaussian
# of standard deviation σ the error of the trapezoidal rule is 2 exp(−2π² σ²/h²), and the possible
# rise is D/4 h²/σ².
_RISE_OF_MASS = 0.62  # nats per latent: h ≤ 1.6 σ
_MASS = 7.0  # nats below the maximum: less than a thousandth of the mass lies deeper
_SMOOTH = 0.02  # nats: if no mode can rise further, the remaining error is of kinks or of rounding
_FALLS = 0.5  # an error of kinks, O(h²), falls to this share or less in three halvings
_PAIRS = 1 << 15  # pairs of a row and a tile whose points are picked at a time


class GridError(ElboroomError):
    """A posterior that the finest grid does not resolve."""


@torch.no_grad()
def refine(target: Target, tolerance: float, decode: Decode) -> Cells:
    """Halve the spacing of each row until its log p(x_seen) changes by at most `tolerance`.

    Args:
        target: log p(x_seen, z).
        tolerance: in nats.
        decode: decodes tiles for the target.

    Raises:
        GridError: if a prior or a posterior lies too far from the origin, or is too narrow.
    """
    lattice = _scan(target, tolerance, decode)
    top = spacing = log_evidence = error = torch.zeros_like(lattice.error)
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    past: list[Tensor] = []
    while True:
        done = _resolved(lattice, tolerance)
        top = torch.where(done, lattice.top, top)
        spacing = torch.where(done, lattice.tiles.spacing, spacing)
        log_evidence = torch.where(done, lattice.log_evidence, log_evidence)
        error = torch.where(done, lattice.error, error)
        row, tile = lattice.tiles.row, lattice.tiles.tile
        pairs = done[row].nonzero()[:, 0]
        found.append((row[pairs], tile[pairs], lattice.scores.log_joint.index_select(1, pairs)))
        if (spacing > 0).all():
            break
        _require_resolvable(lattice, tolerance, past)
        past.append(lattice.error)
        left = lattice.kept & (spacing == 0)[row]
        lattice = ScoredLattice.of(target, lattice.tiles.split(left), decode)
    rows, tiles, tables = zip(*found, strict=True)
    row, tile, table = torch.cat(rows), torch.cat(tiles), torch.cat(tables, -1)
    picked = _pick(row, tile, table, top - DEPTH, spacing)
    return Cells(*picked, spacing, log_evidence, error)


def _scan(target: Target, tolerance: float, decode: Decode) -> ScoredLattice:
    """Score the coarsest lattice, extended until no row has mass at its border."""
    rows = torch.arange(len(target), device=target.x.device)
    reach = _first_reach(target)
    square = _square(reach, target)
    lattice = ScoredLattice.of(target, Tiles.every(_COARSEST, rows, square), decode)
    _require_resolvable(lattice, tolerance, [])
    while len(rows := lattice.rows_at_border(reach)):
        if reach == _FAR:
            raise _too_far(rows, reach * SIDE * _COARSEST)
        reach += 1
        square = _square(reach, target)
        ring = square[((square == -reach) | (square == reach - 1)).any(-1)]
        more = Tiles.every(_COARSEST, rows, ring)
        lattice = lattice.joined(ScoredLattice.of(target, more, decode))
    return lattice


def _first_reach(target: Target) -> int:
    """Return how many tiles from the origin hold the prior.

    A mode further out would not show at the border.
    """
    wanted = target.model.prior.reach
    tiles = max(_NEAR, math.ceil(wanted / (SIDE * _COARSEST)))
    if tiles > _FAR:
        raise GridError(
            "the prior reaches beyond the grid",
            why=f"it has mass at ± {wanted:.3g}; the grid ends at ± {_FAR * SIDE * _COARSEST:g}",
            fix="use infer.svi, or train with a prior that stays near the origin",
        )
    return tiles


def _square(reach: int, target: Target) -> Tensor:
    """Return all tiles within `reach` tiles of the origin, (T, D)."""
    return product_grid(torch.arange(-reach, reach, device=target.x.device), target.latents)


def _pick(
    row: Tensor, tile: Tensor, table: Tensor, floor: Tensor, spacing: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the points of N pairs that lie above the floor of their rows, in the order of rows."""
    within = product_grid(torch.arange(SIDE, device=row.device), tile.shape[-1]).to(table)
    spacing = spacing.to(table)[row, None]
    corner = spacing * (SIDE * tile)
    rows, points, log_joint = [], [], []
    for pairs in row.argsort(stable=True).split(_PAIRS):
        values = table.index_select(1, pairs).T.contiguous()
        pair, point = (values >= floor[row[pairs], None]).nonzero(as_tuple=True)
        log_joint.append(values[pair, point])
        pair = pairs[pair]
        rows.append(row[pair])
        points.append(torch.addcmul(corner[pair], spacing[pair], within[point]))
    ends = torch.bincount(torch.cat(rows), minlength=len(floor)).cumsum(0)
    return F.pad(ends, (1, 0)), torch.cat(points), torch.cat(log_joint)


def _resolved(lattice: ScoredLattice, tolerance: float) -> Tensor:
    """Find the rows for which the lattice is fine enough, (B,)."""
    rise_of_mass = lattice.possible_rise_near_top(_MASS) / lattice.latents
    visible = (lattice.possible_rise <= _RISE) & (rise_of_mass <= _RISE_OF_MASS)
    return (lattice.error <= tolerance) & visible


def _require_resolvable(lattice: ScoredLattice, tolerance: float, past: list[Tensor]) -> None:
    """Raise if no finer lattice would resolve a row; `past` has the errors of coarser lattices."""
    spacing, top = lattice.tiles.spacing, lattice.top
    narrow = lattice.possible_rise_near_top(0.0) * (_FINEST / spacing) ** 2 > _RISE
    # Halving reduces the error of a density with kinks, such as a spline, but not rounding errors.
    stalled = lattice.error > _FALLS * past[-3] if len(past) > 2 else torch.zeros_like(narrow)
    rounded = (lattice.possible_rise <= _SMOOTH) & stalled
    unresolvable = narrow | ~top.isfinite() | rounded | (spacing == _FINEST)
    rows = (lattice.active & unresolvable & ~_resolved(lattice, tolerance)).nonzero()[:, 0]
    if not len(rows):
        return
    row = int(rows[0])
    raise GridError(
        f"the grid does not resolve {len(rows)} of these posteriors",
        why=f"log p(x_seen) of row {row} changes by {lattice.error[row]:.2g} nats at a spacing of "
        f"{spacing:g}, expected {tolerance:g} at most; the finest spacing is {_FINEST:g}",
        fix="raise the tolerance, convert the model to float64, or use infer.svi",
    )


def _too_far(rows: Tensor, reach: float) -> GridError:
    return GridError(
        "a posterior reaches beyond the grid",
        why=f"row {int(rows[0])} has mass at ± {reach:g}, where the grid ends",
        fix="check that the model was trained on such data",
    )
