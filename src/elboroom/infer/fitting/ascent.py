"""The ascent of the ELBO that fits q: one rule for steps that fail, and for when a row is done."""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from elboroom.infer.fitting.expectation_nodes import ExpectationNodes
from elboroom.infer.target import Target

Parameters = tuple[Tensor, ...]
"""What q is made of, each (B, ...)."""


class AscentMethod(Protocol):
    """How the parameters of one family climb.

    Attributes:
        check: the ε under which ELBOs are compared; the same throughout.
        size: the first step size.
        shrink: what noise leaves of it.
        steps: how many make a round.
    """

    check: ExpectationNodes
    size: float
    shrink: float
    steps: int

    def climb(self, target: Target, parameters: Parameters, size: Tensor) -> Parameters:
        """A round of steps, of the size (B,) of each row."""
        ...

    def log_weights(
        self, target: Target, parameters: Parameters, nodes: ExpectationNodes
    ) -> Tensor:
        """log p(x_seen, z_k) − log q(z_k) at the nodes, in nats, (K, B); their mean is the ELBO."""
        ...


@dataclass(frozen=True)
class Ascent:
    """Where an ascent ended: parameters (B, ...), ELBO in nats (B,), and converged (B,), bool."""

    parameters: Parameters
    elbo: Tensor
    converged: Tensor


@torch.no_grad()
def ascend_from_each(
    climber: AscentMethod, target: Target, starts: Ascent, *, tolerance: float, max_steps: int
) -> Ascent:
    """Ascend from M starts of each row, all fields (M, B, ...); those at −∞ stay where they are."""
    start, rows = (starts.elbo > -torch.inf).nonzero(as_tuple=True)
    parameters = tuple(p[start, rows] for p in starts.parameters)
    found = ascend(climber, target.rows(rows), parameters, tolerance=tolerance, max_steps=max_steps)
    elbo, converged = starts.elbo.clone(), torch.ones_like(starts.converged)
    elbo[start, rows], converged[start, rows] = found.elbo, found.converged
    ends = tuple(p.clone() for p in starts.parameters)
    for end, new in zip(ends, found.parameters, strict=True):
        end[start, rows] = new
    return Ascent(ends, elbo, converged)


def best(found: Ascent) -> Ascent:
    """Of the starts of each row, the one that ended highest: (M, B, ...) → (B, ...)."""
    choice = found.elbo.argmax(0)
    rows = torch.arange(len(choice), device=choice.device)
    parameters = tuple(p[choice, rows] for p in found.parameters)
    return Ascent(parameters, found.elbo[choice, rows], found.converged[choice, rows])


@torch.no_grad()
def ascend(
    climber: AscentMethod,
    target: Target,
    parameters: Parameters,
    *,
    tolerance: float,
    max_steps: int,
) -> Ascent:
    """Raise the ELBO of each row.

    After each round the ELBO of a row is compared with what it was, under the same ε. A gain δ with
    standard error s that is negative is undone. One that the noise could explain, |δ| < 2s, shrinks
    the row's step size, and a certain loss halves it. The row stops once |δ| + 2s is below
    `tolerance`, in nats. This is the idea of Welandawe et al. (2022), smaller steps once noise
    rules and an end once the gain is not worth its cost, with paired differences in the place of
    their regressions.
    """
    highest = tuple(p.clone() for p in parameters)
    value = climber.log_weights(target, highest, climber.check)
    size = torch.full_like(value[0], climber.size)
    rows = torch.arange(len(target), device=value.device)
    for _ in range(math.ceil(max_steps / climber.steps)):
        active = target.rows(rows)
        moved = climber.climb(active.fast(), tuple(p[rows] for p in highest), size[rows])
        found = climber.log_weights(active, moved, climber.check)
        difference = found - value[:, rows]
        gain, noise = climber.check.mean(difference), climber.check.standard_error(difference)
        better = gain > 0
        for old, new in zip(highest, moved, strict=True):
            old[rows[better]] = new[better]
        value[:, rows[better]] = found[:, better]
        loss = torch.where(gain.abs() < 2 * noise, climber.shrink, 0.5)
        size[rows] *= torch.where(gain >= 2 * noise, 1.0, loss)
        rows = rows[~(gain.abs() + 2 * noise < tolerance)]
        if not len(rows):
            break
    converged = torch.ones(len(target), dtype=torch.bool, device=value.device)
    converged[rows] = False
    return Ascent(highest, climber.check.mean(value), converged)
