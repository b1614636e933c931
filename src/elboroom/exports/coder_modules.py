"""Encoder and decoder as modules that compute what a user without elboroom needs, by name."""

from torch import Tensor, nn

from elboroom.model.likelihoods import TableModel
from elboroom.model.posteriors import (
    AmortisedFlow,
    CholeskyGaussian,
    Density,
    DiagonalGaussian,
    LadderPosterior,
)
from elboroom.model.vae import VAE

Outputs = dict[str, Tensor]


class EncoderModule(nn.Module):
    """x (B, *event), in the units of the data → q(z | x), each (B, …) or (S, B, …).

    Args:
        model: the model, whose standardisation is inside.
    """

    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, mask: Tensor | None = None, eps: Tensor | None = None) -> Outputs:
        """Compute the parameters of q, or draws of q from standard normal noise (S, B, D)."""
        return _outputs_of(self.model.posterior(x, mask), eps)


class DecoderModule(nn.Module):
    """z (S, B, D) → the mean of p(x | z) and its parameters in the units of the data, (S, B, …).

    Args:
        model: the model, whose units and noise are inside.
    """

    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, z: Tensor) -> Outputs:
        """Compute them."""
        density = self.model.decode(z)
        return {"mean": density.mean, **density.parameters}


def takes_mask(model: VAE) -> bool:
    """Return whether the encoder is to be given which values are seen, as that of a table is."""
    return isinstance(model.likelihood, TableModel)


def _outputs_of(q: Density, eps: Tensor | None) -> Outputs:
    if isinstance(q, DiagonalGaussian):
        return {"mean": q.location, "log_std": q.log_std}
    if isinstance(q, CholeskyGaussian):
        return {"mean": q.location, "scale_tril": q.scale}
    assert isinstance(q, AmortisedFlow | LadderPosterior)
    assert eps is not None
    z, log_q = q.from_noise(eps)
    return {"z": z, "log_q": log_q}
