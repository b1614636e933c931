"""The refinement of a lattice, row by row, until each log p(x_seen) stands still."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from elboroom.errors import ElboroomError
from elboroom.infer.lattice.cells import Cells
from elboroom.infer.lattice.scored import DEPTH, ScoredLattice
from elboroom.infer.lattice.tiles import SIDE, Tiles, cube
from elboroom.infer.target import Target

_COARSEST, _FINEST = 1 / 4, 1 / 1024  # spacings: powers of two, so that points are exact
_NEAR, _FAR = 2, 16  # tiles from the origin, at the coarsest: searched first, at least and at most
_RISE = 4.0  # nats: where a mode may rise further between points, these do not show it
# Where there is mass, two spacings may agree by chance though both are too wide for it. Of a
# Gaussian of standard deviation σ the trapezoidal rule is off by 2 exp(−2π² σ²/h²), and the rise is
# D/4 h²/σ².
_RISE_OF_MASS = 0.62  # nats a latent: h ≤ 1.6 σ
_MASS = 7.0  # nats below the largest: what lies deeper is less than a thousandth
_SMOOTH = 0.02  # nats: where no mode rises further, what error is left is of kinks or of rounding
_FALLS = 0.5  # to this at the most comes an error of kinks, O(h²), within three halvings
_PAIRS = 1 << 15  # of a row and a tile, whose points are picked at a time


class GridError(ElboroomError):
    """A posterior that the finest grid does not resolve."""


@torch.no_grad()
def refine(target: Target, tolerance: float) -> Cells:
    """Halve the spacing of each row until its log p(x_seen) moves by no more than `tolerance`.

    Raises:
        GridError: a prior or a posterior lies too far from the origin, or is too narrow.
    """
    level = _scan(target, tolerance)
    top = spacing = log_evidence = error = torch.zeros_like(level.error)
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    past: list[Tensor] = []
    while True:
        done = _resolved(level, tolerance)
        top = torch.where(done, level.top, top)
        spacing = torch.where(done, level.tiles.spacing, spacing)
        log_evidence = torch.where(done, level.log_evidence, log_evidence)
        error = torch.where(done, level.error, error)
        row, tile = level.tiles.row, level.tiles.tile
        pairs = done[row].nonzero()[:, 0]
        found.append((row[pairs], tile[pairs], level.scores.log_joint.index_select(1, pairs)))
        if (spacing > 0).all():
            break
        _require_resolvable(level, tolerance, past)
        past.append(level.error)
        left = level.kept & (spacing == 0)[row]
        level = ScoredLattice.of(target, level.tiles.split(left))
    rows, tiles, tables = zip(*found, strict=True)
    row, tile, table = torch.cat(rows), torch.cat(tiles), torch.cat(tables, -1)
    picked = _pick(row, tile, table, top - DEPTH, spacing)
    return Cells(*picked, spacing, log_evidence, error)


def _scan(target: Target, tolerance: float) -> ScoredLattice:
    """The coarsest lattice, out to where no row has mass."""
    rows = torch.arange(len(target), device=target.x.device)
    reach = _first_reach(target)
    square = _square(reach, target)
    level = ScoredLattice.of(target, Tiles.every(_COARSEST, rows, square))
    _require_resolvable(level, tolerance, [])
    while len(rows := level.beyond(reach)):
        if reach == _FAR:
            raise _too_far(rows, reach * SIDE * _COARSEST)
        reach += 1
        square = _square(reach, target)
        ring = square[((square == -reach) | (square == reach - 1)).any(-1)]
        level = level.joined(ScoredLattice.of(target, Tiles.every(_COARSEST, rows, ring)))
    return level


def _first_reach(target: Target) -> int:
    """Tiles from the origin that hold the prior: a mode beyond would not be met from within."""
    wanted = target.model.prior.reach
    tiles = max(_NEAR, math.ceil(wanted / (SIDE * _COARSEST)))
    if tiles > _FAR:
        raise GridError(
            "the prior reaches beyond the grid",
            why=f"it has mass at ± {wanted:.3g}, the grid ends at ± {_FAR * SIDE * _COARSEST:g}",
            fix="use infer.svi, or train with a prior that stays near the origin",
        )
    return tiles


def _square(reach: int, target: Target) -> Tensor:
    """All tiles within `reach` tiles of the origin, (T, D)."""
    return cube(torch.arange(-reach, reach, device=target.x.device), target.latents)


def _pick(
    row: Tensor, tile: Tensor, table: Tensor, floor: Tensor, spacing: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The points of N pairs that lie above the floor of their rows, in the order of the rows."""
    within = cube(torch.arange(SIDE, device=row.device), tile.shape[-1]).to(table)
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


def _resolved(level: ScoredLattice, tolerance: float) -> Tensor:
    """Which rows the lattice is fine enough for, (B,)."""
    rise_of_mass = level.rise_near_top(_MASS) / level.latents
    seen = (level.rise <= _RISE) & (rise_of_mass <= _RISE_OF_MASS)
    return (level.error <= tolerance) & seen


def _require_resolvable(level: ScoredLattice, tolerance: float, past: list[Tensor]) -> None:
    """Refuse rows that no finer lattice would resolve; `past` has the errors of coarser ones."""
    spacing, top = level.tiles.spacing, level.top
    narrow = level.rise_near_top(0.0) * (_FINEST / spacing) ** 2 > _RISE
    # a density with kinks, as of splines, gains by each halving; rounding stays
    stalled = level.error > _FALLS * past[-3] if len(past) > 2 else torch.zeros_like(narrow)
    rounded = (level.rise <= _SMOOTH) & stalled
    hopeless = narrow | ~top.isfinite() | rounded | (spacing == _FINEST)
    lost = (level.at_work & hopeless & ~_resolved(level, tolerance)).nonzero()[:, 0]
    if not len(lost):
        return
    row = int(lost[0])
    raise GridError(
        f"the grid does not resolve {len(lost)} of these posteriors",
        why=f"log p(x_seen) of row {row} moves by {level.error[row]:.2g} nats at a spacing of "
        f"{spacing:g}, more than the tolerance of {tolerance:g}, and the finest is {_FINEST:g}",
        fix="raise the tolerance, give the model in float64, or use infer.svi",
    )


def _too_far(rows: Tensor, reach: float) -> GridError:
    return GridError(
        "a posterior reaches beyond the grid",
        why=f"row {int(rows[0])} has mass at ± {reach:g}",
        fix="check that the data are what the model was trained on",
    )
