"""The VAEDensity: log p of the rows of X, and new rows."""

import math
from typing import Any

import numpy as np
import torch
from numpy.random import RandomState
from sklearn.base import DensityMixin
from sklearn.utils import check_random_state
from torch import Tensor

from elboroom.errors import require_positive
from elboroom.estimators.input_error import input_errors
from elboroom.estimators.table_estimator import TableEstimator
from elboroom.model.posteriors import Density, GaussianMixture
from elboroom.model.vae import VAE
from elboroom.randomness import stream

_ROWS = 200  # that are scored together
_DRAWS = 500  # of z for each row and model


class VAEDensity(DensityMixin, TableEstimator):
    """log p(x_seen) of rows with gaps, with the interface of `KernelDensity`.

    The density is the mixture of those of the models. It is of the columns that are modelled: a
    constant column, or one that is left out, adds nothing to it.

    Example:
        >>> import numpy as np
        >>> from elboroom.estimators import VAEDensity
        >>> table = np.random.default_rng(0).normal(size=(100, 3))
        >>> density = VAEDensity(effort=0.01, random_state=0).fit(table)  # a hundredth of the steps
        >>> odd, usual = density.score_samples([[9.0, 9.0, np.nan], [0.0, 0.0, np.nan]])
        >>> bool(odd < usual), density.sample(5).shape
        (True, (5, 3))
    """

    @torch.no_grad()
    def score_samples(self, X: Any) -> np.ndarray:
        """Compute log p(x_seen) = log Σ_m w_m p_m(x_seen) of each row in nats, (N,).

        A model with a linear decoder gives it exactly if all columns are Gaussian, another one by
        importance sampling, whose noise is the same for every row: a row has the same score among
        any others. Numbers have densities in the units of X, levels have probabilities.

        Raises:
            ValueError: if X does not fit the columns of `fit`.
        """
        x, seen = self._encoded(self._frame(X, reset=False))
        parts = zip(x.split(_ROWS), seen.split(_ROWS), strict=True)
        return torch.cat([self._log_density(*part) for part in parts]).numpy()

    def score(self, X: Any, y: Any = None) -> float:  # type: ignore[override]
        """Return the sum of log p(x_seen) over the rows in nats; y is not used."""
        return float(self.score_samples(X).sum())

    @torch.no_grad()
    def sample(self, n_samples: int = 1, random_state: int | RandomState | None = None) -> Any:
        """Draw new rows.

        Args:
            n_samples: their number.
            random_state: seed of the draw.

        Returns:
            (n_samples, all columns): an array, or a DataFrame with the types of that of `fit`. A
            constant column has its constant, and one that is left out is empty.

        Raises:
            ValueError: if the number is not positive.
        """
        self._require_fitted()
        with input_errors():
            require_positive(n_samples=n_samples)
        random = check_random_state(random_state)
        x = self._draws(n_samples, random)
        table = self.columns_.decoded(self.columns_.without_entries(n_samples), x.numpy())
        table = self.columns_.in_types(table)
        return table if self.columns_.of_frame else table.to_numpy()

    def _draws(self, count: int, random: RandomState) -> Tensor:
        """Return encoded rows, each of a model that is drawn by its weight, (count, D)."""
        counts = random.multinomial(count, self.ensemble_.weights.numpy())
        noise = torch.Generator().manual_seed(int(random.randint(2**31 - 1)))
        parts = [
            model.generate(int(some), generator=noise)[1]
            for model, some in zip(self.ensemble_.models, counts, strict=True)
            if some
        ]
        return torch.cat(parts)[torch.randperm(count, generator=noise)]

    def _log_density(self, x: Tensor, seen: Tensor) -> Tensor:
        ensemble = self.ensemble_
        found = [_log_evidence(model, x, seen, self.seed_) for model in ensemble.models]
        return torch.logsumexp(torch.stack(found) + ensemble.weights.log()[:, None], 0)


def _log_evidence(model: VAE, x: Tensor, seen: Tensor, seed: int) -> Tensor:
    """Estimate log p(x_seen) in nats, (B,), by importance sampling: the IWAE bound.

    Burda, Grosse & Salakhutdinov, *Importance Weighted Autoencoders* (2016), equation 8.
    """
    q = model.posterior(x, seen)
    z = _shared_draws(q, stream(seed, "density"))
    # log 1/K Σ_k p(x_seen, z_k) / q(z_k)
    log_weights = model.log_joint(x, z, seen) - q.log_prob(z)
    return torch.logsumexp(log_weights, 0) - math.log(_DRAWS)


def _shared_draws(q: Density, generator: torch.Generator) -> Tensor:
    """Draw z of each row from the same noise, (K, B, latents)."""
    like = q.mean
    eps = torch.randn((_DRAWS, 1, like.shape[-1]), generator=generator, dtype=like.dtype)
    if not isinstance(q, GaussianMixture):
        return q.at(eps.expand(-1, len(like), -1))
    # The component m of a draw has π_1 + … + π_{m − 1} ≤ u < π_1 + … + π_m
    below = q.log_mass.exp().cumsum(0)[:-1, None]  # (M − 1, 1, B)
    u = torch.rand((_DRAWS, 1), generator=generator, dtype=like.dtype)
    which = (u >= below).sum(0)  # (K, B)
    every = q.components.at(eps[:, None].expand(-1, len(q.logits), len(like), -1))
    return every.gather(1, which[:, None, :, None].expand(-1, 1, -1, every.shape[-1]))[:, 0]
