"""How usual rows and entries of a table are: log p(row), and the surprise of each entry."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elboroom.html_table import Shown, Summary, Table
from elboroom.imputation.ensemble import Ensemble
from elboroom.infer.diagnostics import RELIABLE_K_HAT, importance_ess, pareto_k
from elboroom.infer.sir import sir
from elboroom.model.vae import VAE
from elboroom.randomness import stream

_ROWS = 500  # that are scored together
_DRAWS_OF_AN_ENTRY = 200
_NEARLY_EQUAL = 0.8  # of the draws, as their effective number


@dataclass(frozen=True, repr=False)
class RowScores(Shown):
    """log p of the seen entries of N rows.

    Attributes:
        log_prob: (N,), in nats; a density where a column is of real numbers.
        standard_error: (N,), of the estimate.
        k_hat: (N,), the shape of the weights' tail, the largest of those of the models that count;
            −∞ where the weights are nearly equal.
    """

    log_prob: Tensor
    standard_error: Tensor
    k_hat: Tensor

    @property
    def reliable(self) -> Tensor:
        """True where the standard error holds, (N,)."""
        return self.k_hat < RELIABLE_K_HAT

    def _summary(self) -> Summary:
        values = torch.stack((self.log_prob, self.standard_error, self.k_hat), 1).tolist()
        rows = [(row, f"{x:z.2f} ± {e:.2f}", f"{k:.2f}") for row, (x, e, k) in enumerate(values)]
        reliable = f"{int(self.reliable.sum()):,} of {len(rows):,} rows"
        table = Table.of_first(("row", "log p(row), nats", "k̂"), rows)
        return Summary("", {"reliable": reliable}, [table])

    def without_units(self, log_units: Tensor, seen: Tensor) -> "RowScores":
        """Return the scores of the same rows in units of each column's spread.

        Those of rows with other gaps are comparable then: without a column of billions, the density
        of a row is 1e9 times as large.

        Args:
            log_units: (D,), as `Ensemble.log_units` has them.
            seen: (N, D), True where an entry is seen.
        """
        return replace(self, log_prob=self.log_prob + seen.to(log_units) @ log_units)


@torch.no_grad()
def score_rows(
    ensemble: Ensemble, x: Tensor, seen: Tensor, *, seed: int, draws: int = 1_000
) -> RowScores:
    """Estimate log p(x_seen) = log Σ_m w_m p_m(x_seen) of each row by importance sampling.

    Args:
        ensemble: models of the table.
        x: (N, D), encoded entries.
        seen: (N, D), True where an entry is seen.
        seed: seed of the draws.
        draws: number of draws of z for each row and model.
    """
    parts = list[tuple[Tensor, Tensor, Tensor]]()
    for number, rows in enumerate(torch.arange(len(x)).split(_ROWS)):
        noise = stream(seed, "score", number, device=x.device)
        found = [_evidence(model, x[rows], seen[rows], draws, noise) for model in ensemble.models]
        log_prob, error, k_hat = (torch.stack(values) for values in zip(*found, strict=True))
        joint = ensemble.weights.to(log_prob).log()[:, None] + log_prob
        # SE(log Σ_m w_m p_m) ≈ √ Σ_m r_m² SE(log p_m)²,  r_m = w_m p_m / Σ_k w_k p_k
        shares = joint.softmax(0)
        counts = shares > 0.01
        k_hat = k_hat.masked_fill(~counts, -torch.inf).amax(0)
        parts.append((joint.logsumexp(0), (shares * error).square().sum(0).sqrt(), k_hat))
    return RowScores(*(torch.cat(values) for values in zip(*parts, strict=True)))


def _evidence(
    model: VAE, x: Tensor, seen: Tensor, draws: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Return log p(x_seen), its standard error and k̂ of each row, each (B,)."""
    found = sir(model, x, seen, generator=generator, particles=draws)
    k_hat = pareto_k(found.log_weights)
    # Where weights are nearly equal, no tail of them decides.
    equal = importance_ess(found.log_weights) > _NEARLY_EQUAL * draws
    return (
        found.log_evidence,
        found.log_evidence_standard_error.nan_to_num(0.0),
        torch.where(equal, -torch.inf, k_hat),
    )


@torch.no_grad()
def surprises(ensemble: Ensemble, x: Tensor, seen: Tensor, *, seed: int) -> Tensor:
    """Estimate −log p(x_i | the other seen entries of its row) in nats, (N, D); NaN where unseen.

    Args:
        ensemble: models of the table.
        x: (N, D), encoded entries.
        seen: (N, D), True where an entry is seen.
        seed: seed of the draws.
    """
    found = torch.full_like(x, torch.nan)
    for column in range(x.shape[1]):
        one = torch.zeros_like(seen)
        one[:, column] = True
        rows = seen[:, column].nonzero()[:, 0]
        for number, some in enumerate(rows.split(_ROWS) if len(rows) else ()):
            noise = stream(seed, "surprise", f"{column}/{number}", device=x.device)
            found[some, column] = -_log_predictive(
                ensemble, x[some], (seen & ~one)[some], one[some], noise
            )
    return found


def _log_predictive(
    ensemble: Ensemble, x: Tensor, seen: Tensor, scored: Tensor, generator: torch.Generator
) -> Tensor:
    """Estimate log Σ_m w_m p_m(x_scored | x_seen), (B,)."""
    draws = _DRAWS_OF_AN_ENTRY
    log_probs = [
        model.log_predictive(x, seen, scored, draws, generator=generator).sum(-1)
        for model in ensemble.models
    ]
    return torch.logsumexp(torch.stack(log_probs) + ensemble.weights.to(x).log()[:, None], 0)
