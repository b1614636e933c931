"""The VAETransformer: rows of X as means of latents."""

from typing import Any

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from elboroom.estimators.table_estimator import TableEstimator
from elboroom.model.vae import VAE

_ROWS = 1_000  # that are encoded together


class VAETransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, TableEstimator):
    """Turn rows with gaps into E[z | x_seen], without a gap.

    The latents of different models have nothing in common, so they are those of the model with the
    largest weight: `model_`. Where its decoder is linear and all columns are Gaussian the mean is
    exact; otherwise it is that of the model's own q(z | x_seen). The number of latents follows from
    the recipe: at most 12, and fewer for few columns.

    Example:
        >>> import numpy as np
        >>> from elboroom.estimators import VAETransformer
        >>> table = np.random.default_rng(0).normal(size=(100, 3))
        >>> table[::5, 1] = np.nan
        >>> latents = VAETransformer(effort=0.01, random_state=0).fit_transform(table)  # default: 1
        >>> latents.shape, bool(np.isnan(latents).any())
        ((100, 3), False)
    """

    @property
    def model_(self) -> VAE:
        """The model whose latents are returned."""
        return self.ensemble_.models[int(self.ensemble_.weights.argmax())]

    @torch.no_grad()
    def transform(self, X: Any) -> np.ndarray:
        """Return E[z | x_seen] of each row, (N, latents).

        Raises:
            ValueError: if X does not fit the columns of `fit`.
        """
        x, seen = self._encoded(self._frame(X, reset=False))
        parts = zip(x.split(_ROWS), seen.split(_ROWS), strict=True)
        means = [self.model_.posterior(rows, mask).mean for rows, mask in parts]
        return torch.cat(means).numpy()

    @property
    def _n_features_out(self) -> int:
        return self.model_.latents
