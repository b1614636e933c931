"""Densities of pictures that are fitted in closed form: the least that a trained model must beat.

All are fitted to the training part. What they leave open is chosen on the validation part.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
_WEIGHTS = tuple(10 ** (power / 2) for power in range(-4, 9))  # pictures, 0.01 to 10,000
_COMPONENTS = (1, 2, 4, 8, 12, 16, 20, 24, 32, 40, 48, 56, 64, 96, 128, 192, 256)


@dataclass(frozen=True)
class Pictures:
    """Pictures of whole numbers below `levels`, each part (N, D)."""

    train: Array
    validation: Array
    test: Array
    levels: int


def marginal_bits(pictures: Pictures) -> Array:
    """Compute the bits per dimension of each test picture under independent pixels, (N,).

    A pixel's probabilities are its counts over the training part, smoothed by the counts of all
    pixels, which weigh as many pictures as suits the validation part.
    """
    counts = np.stack([(pictures.train == level).sum(0) for level in range(pictures.levels)])
    all_pixels = counts.sum(1) + 1  # no level is impossible
    prior = (all_pixels / all_pixels.sum())[:, None]

    def bits(rows: Array, weight: float) -> Array:
        p = (counts + weight * prior) / (len(pictures.train) + weight)
        return -np.log2(p[rows, np.arange(rows.shape[1])]).mean(1)

    best = min(_WEIGHTS, key=lambda weight: bits(pictures.validation, weight).mean())
    return bits(pictures.test, best)


@dataclass(frozen=True)
class Ppca:
    """Probabilistic PCA: N(mean, Σ_i (λ_i − σ²) v_i v_iᵀ + σ² I) over the first q eigenvectors.

    Attributes:
        mean: (D,).
        eigenvalues: λ (q,), those of the covariance of the training part.
        eigenvectors: v (q, D).
        noise: σ², the mean of the other eigenvalues.
    """

    mean: Array
    eigenvalues: Array
    eigenvectors: Array
    noise: float

    @classmethod
    def largest(cls, rows: Array) -> "Ppca":
        """Fit it with all eigenvectors of (N, D) rows whose eigenvalue is not 0."""
        mean = rows.mean(0)
        _, singular, vectors = np.linalg.svd(rows - mean, full_matrices=False)
        rank = min(len(rows) - 1, rows.shape[1])
        return cls(mean, singular[:rank] ** 2 / len(rows), vectors[:rank], 0.0)

    def cut(self, components: int) -> "Ppca":
        """Return the maximum of the likelihood with fewer components.

        Tipping & Bishop, *Probabilistic principal component analysis* (1999), equations 7 and 8.
        """
        kept, rest = np.split(self.eigenvalues, [components])
        noise = rest.sum() / (len(self.mean) - components)
        return Ppca(self.mean, kept, self.eigenvectors[:components], noise)

    def log_prob(self, rows: Array) -> Array:
        """Compute the log-density of rows (N, D) in nats, (N,)."""
        off = rows - self.mean
        along = off @ self.eigenvectors.T
        across = (off**2).sum(1) - (along**2).sum(1)
        left = len(self.mean) - len(self.eigenvalues)
        log_det = np.log(self.eigenvalues).sum() + left * math.log(self.noise)
        squares = (along**2 / self.eigenvalues).sum(1) + across / self.noise
        return -0.5 * (len(self.mean) * math.log(2 * math.pi) + log_det + squares)


def ppca_bits(pictures: Pictures) -> Array:
    """Compute the bits per dimension of each test picture under probabilistic PCA, (N,).

    Uniform noise in [0, 1) is added to the levels. The density of the sums bounds the probability
    of the levels from below, in nats: Theis, van den Oord & Bethge (2016), section 3.1.
    """
    noise = np.random.default_rng(0)
    train, validation, test = (
        rows + noise.random(rows.shape)
        for rows in (pictures.train, pictures.validation, pictures.test)
    )
    whole = Ppca.largest(train)
    fits = [whole.cut(q) for q in _COMPONENTS if q < len(whole.eigenvalues)]
    best = max(fits, key=lambda fit: fit.log_prob(validation).mean())
    return -best.log_prob(test) / (test.shape[1] * math.log(2))
