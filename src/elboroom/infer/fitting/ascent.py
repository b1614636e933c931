"""The ascent of the ELBO that fits q: one rule for steps that fail and for rows that stop."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.infer.fitting.expectation_nodes import ExpectationNodes
from elboroom.infer.target import Target
from elboroom.model.posteriors import AffineGaussian, Gaussian

Parameters = tuple[Tensor, ...]
"""The parameters of q, each (B, ...)."""

SAMPLES = 32
"""The default number of samples of z per image and step."""
TOLERANCE = 0.01
"""The default tolerance of `ascend`, in nats."""


class AscentMethod(ABC):
    """A way to raise the ELBO in the parameters of one family.

    Attributes:
        check: the ε under which ELBOs are compared, the same in all rounds.
        size: the initial step size.
        shrink: factor on the step size after a change that noise could explain.
        steps: the number of steps in a round.
    """

    check: ExpectationNodes
    size: float
    shrink: float
    steps: int

    @abstractmethod
    def ascend_round(self, target: Target, parameters: Parameters, size: Tensor) -> Parameters:
        """Take one round of steps with each row's step size (B,)."""

    @abstractmethod
    def log_weights(
        self, target: Target, parameters: Parameters, nodes: ExpectationNodes
    ) -> Tensor:
        """Compute log p(x_seen, z_k) − log q(z_k) at the nodes, in nats, (K, B).

        Their mean is the ELBO.
        """


@dataclass(frozen=True)
class Ascent:
    """The end of an ascent: parameters (B, ...), ELBO in nats (B,), and converged (B,), bool.

    `family` makes the density of the parameters.
    """

    parameters: Parameters
    elbo: Tensor
    converged: Tensor
    family: Callable[..., AffineGaussian] = Gaussian

    @property
    def q(self) -> AffineGaussian:
        """The density, (B, ...)."""
        return self.family(*self.parameters)


@torch.no_grad()
def ascend_from_each(
    method: AscentMethod, target: Target, starts: Ascent, *, tolerance: float, max_steps: int
) -> Ascent:
    """Ascend from M starts of each row, all fields (M, B, ...); starts at −∞ are left unchanged."""
    start, rows = (starts.elbo > -torch.inf).nonzero(as_tuple=True)
    parameters = tuple(p[start, rows] for p in starts.parameters)
    found = ascend(method, target.rows(rows), parameters, tolerance=tolerance, max_steps=max_steps)
    elbo, converged = starts.elbo.clone(), torch.ones_like(starts.converged)
    elbo[start, rows], converged[start, rows] = found.elbo, found.converged
    ends = tuple(p.clone() for p in starts.parameters)
    for end, new in zip(ends, found.parameters, strict=True):
        end[start, rows] = new
    return Ascent(ends, elbo, converged, starts.family)


def best(found: Ascent) -> Ascent:
    """Return for each row the start that ended with the largest ELBO: (M, B, ...) → (B, ...)."""
    choice = found.elbo.argmax(0)
    rows = torch.arange(len(choice), device=choice.device)
    parameters = tuple(p[choice, rows] for p in found.parameters)
    chosen = found.elbo[choice, rows], found.converged[choice, rows]
    return Ascent(parameters, *chosen, found.family)


@torch.no_grad()
def ascend(
    method: AscentMethod,
    target: Target,
    parameters: Parameters,
    *,
    tolerance: float,
    max_steps: int,
) -> Ascent:
    """Raise the ELBO of each row.

    After each round the ELBO of a row is compared with its previous value, under the same ε. Let δ
    be the gain and s its standard error. A negative gain is undone. If noise could explain the
    gain, |δ| < 2s, the row's step size shrinks; a certain loss halves it. The row stops once |δ| +
    2s is below `tolerance`, in nats.

    This follows Welandawe et al. (2022): steps become smaller once noise dominates, and the ascent
    ends once the gain is not worth its cost. Paired differences replace their regressions.
    """
    highest = tuple(p.clone() for p in parameters)
    value = method.log_weights(target, highest, method.check)
    size = torch.full_like(value[0], method.size)
    rows = torch.arange(len(target), device=value.device)
    for _ in range(math.ceil(max_steps / method.steps)):
        active = target.rows(rows)
        moved = method.ascend_round(active.fast(), tuple(p[rows] for p in highest), size[rows])
        found = method.log_weights(active, moved, method.check)
        difference = found - value[:, rows]
        gain, noise = method.check.mean(difference), method.check.standard_error(difference)
        better = gain > 0
        for old, new in zip(highest, moved, strict=True):
            old[rows[better]] = new[better]
        value[:, rows[better]] = found[:, better]
        loss = torch.where(gain.abs() < 2 * noise, method.shrink, 0.5)
        size[rows] *= torch.where(gain >= 2 * noise, 1.0, loss)
        rows = rows[~(gain.abs() + 2 * noise < tolerance)]
        if not len(rows):
            break
    converged = torch.ones(len(target), dtype=torch.bool, device=value.device)
    converged[rows] = False
    return Ascent(highest, method.check.mean(value), converged)
