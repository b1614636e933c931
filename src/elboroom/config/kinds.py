"""The kinds that options name: each name stands here once, with a line of help.

Where a kind is implemented, a registry maps its name to the code: `model.networks`,
`model.likelihoods`, `model.priors`, `model.posteriors`, `infer.methods` and `data.formats`.
"""

from collections.abc import Mapping
from typing import Any, Literal

NetworkName = Literal["mlp", "gated", "residual"]
NETWORKS: dict[NetworkName, str] = {
    "mlp": "h = act(W x + b)",
    "gated": "h = act(W x + b) σ(V x + c); with --activation identity the gated linear unit",
    "residual": "a linear layer, then one block x + W₂ act(W₁ act(x) + b₁) + b₂ for each width; "
    "all widths are the same",
}

LikelihoodName = Literal["bernoulli", "continuous-bernoulli", "gaussian", "discretized-logistic"]
LIKELIHOODS: dict[LikelihoodName, str] = {
    "bernoulli": "binary pixels",
    "continuous-bernoulli": "values in [0, 1]",
    "gaussian": "real values",
    "discretized-logistic": "the 256 grey levels",
}

PosteriorName = Literal["diagonal", "full", "flow"]
POSTERIORS: dict[PosteriorName, str] = {
    "diagonal": "a Gaussian of independent latents",
    "full": "a Gaussian with any covariance",
    "flow": "affine couplings of the latents, from a Gaussian",
}

PriorName = Literal["standard", "mixture", "vamp", "flow"]
PRIORS: dict[PriorName, str] = {
    "standard": "N(0, I)",
    "mixture": "a learned mixture of Gaussians",
    "vamp": "the mixture of the encoder's posteriors of learned images (Tomczak & Welling, 2018)",
    "flow": "a neural spline flow",
}

FitName = Literal["svi-full", "svi-low-rank", "svi-mixture", "svi-flow", "laplace"]
"""Methods that fit a density q of a richer family than the encoder's."""
MethodName = Literal[
    "encoder",
    "svi",
    FitName,
    "sir",
    "hmc",
    "pseudo-gibbs",
    "metropolis-within-gibbs",
    "grid",
]
METHODS: dict[MethodName, str] = {
    "encoder": "the encoder's q, without a fit",
    "svi": "a diagonal Gaussian fitted to each row",
    "svi-full": "a Gaussian with any covariance",
    "svi-low-rank": "a Gaussian with a low-rank covariance",
    "svi-mixture": "a mixture of Gaussians",
    "svi-flow": "a normalising flow",
    "laplace": "a Gaussian at the mode, refined",
    "sir": "importance resampling from Gaussians at the modes",
    "hmc": "Hamiltonian Monte Carlo",
    "pseudo-gibbs": "the encoder and the decoder in turn",
    "metropolis-within-gibbs": "the same, corrected by Metropolis and Hastings",
    "grid": "exact integration, for one or two latents",
}

FormatName = Literal["npy", "npz", "folder"]
FORMATS: dict[FormatName, str] = {
    "npy": "one array of images, a .npy written by numpy.save",
    "npz": "images, and labels, masks or a test part, a .npz written by numpy.savez",
    "folder": "a folder of PNG pictures, or of one folder for each class, or of `train` and `test`",
}


def listed(what: str, kinds: Mapping[Any, str]) -> str:
    """Write the help of an option: what it is, then each kind on a line of its own."""
    return "\n".join([what, *(f"{name}: {line}." for name, line in kinds.items())])
