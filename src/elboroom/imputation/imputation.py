"""Imputation: the entries of a table that are not seen, filled in from those that are."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.config import MethodName
from elboroom.html_table import Shown, Summary
from elboroom.imputation.ensemble import Ensemble
from elboroom.infer.methods import infer
from elboroom.infer.posterior import Posterior
from elboroom.infer.sir import sir
from elboroom.model.decoding import chunks
from elboroom.model.likelihoods.columns import Table
from elboroom.model.vae import VAE
from elboroom.randomness import stream

LEAST_DRAWS = 256
"""Draws that standard deviations and intervals are taken of, at least."""
_ROWS = 500  # that are imputed together
_PARTICLES = 250  # of a row and a model, for draws that are weighted


@dataclass(frozen=True, repr=False)
class Imputation(Shown):
    """The entries of N rows and D columns: seen ones as they are, others by their posterior.

    Attributes:
        mean: (N, D), the mean of an unseen number, the most probable of unseen levels, the median
            of those with an order.
        spread: (N, D), the standard deviation of an unseen number; NaN elsewhere.
        probability: (N, D), that of an unseen level that `mean` names; NaN elsewhere.
        draws: (S, N, D), S draws from p(x_unseen | x_seen), those of a row together.
    """

    mean: Tensor
    spread: Tensor
    probability: Tensor
    draws: Tensor

    def _summary(self) -> Summary:
        rows, columns = self.mean.shape
        numbers, levels = ((~x.isnan()).sum() for x in (self.spread, self.probability))
        facts = {
            "filled in": f"{numbers:,} numbers, {levels:,} levels",
            "draws": f"{len(self.draws):,}",
        }
        return Summary(f"{rows:,} rows of {columns:,} columns", facts)

    @classmethod
    def joined(cls, parts: "list[Imputation]") -> "Imputation":
        """Join the rows of several parts."""
        fields = zip(*(vars(part).values() for part in parts), strict=True)
        return cls(*(torch.cat(values, values[0].ndim - 2) for values in fields))


def impute(
    ensemble: Ensemble,
    x: Tensor,
    seen: Tensor,
    *,
    draws: int,
    seed: int,
    method: MethodName | None = None,
) -> Imputation:
    """Impute the unseen entries of a table.

    Args:
        ensemble: models of the table.
        x: (N, D), encoded entries; those that are not seen may be NaN.
        seen: (N, D), True where an entry is seen.
        draws: number of draws to keep of each row.
        seed: seed of the inference and the draws.
        method: method of inference of z; None for draws of the models' own q(z | x), weighted
            towards the posterior.

    Raises:
        UsageError: if the data do not fit the models.
    """
    return Imputation.joined([*imputed_batches(ensemble, x, seen, draws, seed, method)])


def imputed_batches(
    ensemble: Ensemble, x: Tensor, seen: Tensor, draws: int, seed: int, method: MethodName | None
) -> Iterator[Imputation]:
    """Yield the imputation of some rows after another, as `impute` does of all."""
    for number, rows in enumerate(torch.arange(len(x)).split(_ROWS)):
        noise = stream(seed, "impute", number, device=x.device)
        yield _of_rows(ensemble, x[rows], seen[rows], draws, noise, method)


def _of_rows(
    ensemble: Ensemble,
    x: Tensor,
    seen: Tensor,
    kept: int,
    generator: torch.Generator,
    method: MethodName | None,
) -> Imputation:
    counts = ensemble.numbers_of_draws(max(kept, LEAST_DRAWS))
    parts = [
        _Predictive.of(model, ensemble, x, seen, count, generator, method)
        for model, count in zip(ensemble.models, counts, strict=True)
    ]
    weights = ensemble.weights.to(x)
    mean = torch.stack([w * p.mean for w, p in zip(weights, parts, strict=True)]).sum(0)
    draws = torch.cat([part.draws for part in parts])
    draws = draws[torch.randperm(len(draws), generator=generator, device=x.device)]
    probability = torch.full_like(x, torch.nan)
    for column in ensemble.levels:
        levels = [w * p.levels[column] for w, p in zip(weights, parts, strict=True)]
        chosen = _chosen(torch.stack(levels).sum(0), is_ordered=bool(ensemble.is_ordered[column]))
        probability[:, column], mean[:, column] = chosen
    spread = draws.std(0).masked_fill(ensemble.is_level.to(x.device), torch.nan)
    return Imputation(
        torch.where(seen, x, mean),
        spread.masked_fill(seen, torch.nan),
        probability.masked_fill(seen, torch.nan),
        torch.where(seen, x, draws[:kept]),
    )


def _chosen(levels: Tensor, *, is_ordered: bool) -> tuple[Tensor, Tensor]:
    """Return the probability and the code of the level that is filled in, of (B, C): each (B,).

    It is the median of ordered levels, and the most probable of others.
    """
    code = (levels.cumsum(-1) < 0.5).sum(-1) if is_ordered else levels.argmax(-1)
    code = code.clamp(max=levels.shape[-1] - 1)
    return levels.gather(-1, code[:, None])[:, 0], code.to(levels)


def _posterior(
    model: VAE,
    x: Tensor,
    seen: Tensor,
    count: int,
    generator: torch.Generator,
    method: MethodName | None,
) -> Posterior:
    if method is None:
        return sir(model, x, seen, generator=generator, particles=_PARTICLES)
    return infer(method, model, x, seen, generator=generator, draws=count)


@dataclass(frozen=True)
class _Predictive:
    """The predictions of one model for the unseen entries of some rows.

    Attributes:
        mean: (B, D), of numbers.
        levels: the probabilities of the levels of each column that has some, (B, C).
        draws: (S, B, D).
    """

    mean: Tensor
    levels: dict[int, Tensor]
    draws: Tensor

    @classmethod
    @torch.no_grad()
    def of(
        cls,
        model: VAE,
        ensemble: Ensemble,
        x: Tensor,
        seen: Tensor,
        count: int,
        generator: torch.Generator,
        method: MethodName | None,
    ) -> "_Predictive":
        posterior = _posterior(model, x, seen, count, generator, method)
        z, parts = posterior.sample(max(1, count)), list[_Predictive]()
        for rows in chunks(model, x, z):
            table = model.decode(z[:, rows])
            assert isinstance(table, Table)
            levels = {place: table.probabilities(place).mean(0) for place in ensemble.levels}
            parts.append(cls(table.mean_of_draws, levels, table.sample(generator)))
        return cls(
            torch.cat([part.mean for part in parts]),
            {n: torch.cat([part.levels[n] for part in parts]) for n in ensemble.levels},
            torch.cat([part.draws for part in parts], 1)[:count],
        )
