"""A trained model on the test images: means with their standard errors, in nats per image."""

import math
import time
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from elboroom.data import Dataset, Identity
from elboroom.model import VAE
from elboroom.objectives import iwae
from elboroom.randomness import stream

_DECODED_AT_A_TIME = 4_000
_LABELS = {
    "elbo": "ELBO",
    "reconstruction": "reconstruction E_q[log p(x|z)]",
    "kl": "KL(q(z|x) ‖ p(z))",
    "iwae": "IWAE bound, K = {k}",
}


def label(quantity: str, k: int) -> str:
    """What tables call a quantity estimated with k samples an image."""
    return _LABELS[quantity].format(k=k)


@dataclass(frozen=True)
class Estimate:
    """A mean over images and its standard error, in nats per image."""

    mean: float
    standard_error: float

    @classmethod
    def of(cls, values: Tensor) -> "Estimate":
        """From one value an image, (N,)."""
        values = values.double()
        error = values.std().item() / math.sqrt(len(values)) if len(values) > 1 else math.nan
        return cls(values.mean().item(), error)

    def __str__(self) -> str:
        return f"{self.mean:.2f} ± {self.standard_error:.2f}"


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found, with all that is needed to compare it with another.

    Attributes:
        identity: the data, its binarisation and its split.
        part: the part of the data.
        k: samples of z an image.
        seed: of those samples.
        seconds: elapsed.
        per_image: `elbo`, `reconstruction`, `kl` and `iwae` in nats, each (N,).
    """

    identity: Identity
    part: str
    k: int
    seed: int
    seconds: float
    per_image: dict[str, Tensor]

    @property
    def estimates(self) -> dict[str, Estimate]:
        """The mean of each quantity over images."""
        return {name: Estimate.of(values) for name, values in self.per_image.items()}

    @property
    def title(self) -> str:
        """The data behind the figures, in a line."""
        data = self.identity
        return (
            f"{data.source}, {data.binarisation} binarisation, {data.split} split, "
            f"{data.test_images:,} {self.part} images, K = {self.k}"
        )

    def minus(self, other: "Evaluation") -> dict[str, Estimate]:
        """The mean difference of each quantity, image by image.

        Raises:
            IncomparableError: the two speak of different data, binarisations or splits.
        """
        self.identity.require_same(other.identity)
        pairs = ((name, self.per_image[name] - other.per_image[name]) for name in self.per_image)
        return {name: Estimate.of(difference) for name, difference in pairs}

    def to_dict(self) -> dict[str, Any]:
        """What goes into evaluation.json."""
        return {
            "identity": asdict(self.identity),
            "part": self.part,
            "images": len(self.per_image["elbo"]),
            "k": self.k,
            "seed": self.seed,
            "seconds": round(self.seconds, 3),
            "unit": "nats per image",
            "estimates": {name: asdict(e) for name, e in self.estimates.items()},
        }


@torch.no_grad()
def evaluate(model: VAE, data: Dataset, *, k: int, seed: int) -> Evaluation:
    """The ELBO with closed-form KL, its two terms, and the IWAE bound, on the test images.

    Everything is computed in float32 from the same k samples an image, on the model's device.
    """
    clock = time.perf_counter()
    device = next(model.parameters()).device
    generator = stream(seed, "evaluate", device=device)
    batches = data.test.x.split(max(1, _DECODED_AT_A_TIME // k))
    terms = [_terms(model, x.to(device), k, generator) for x in batches]
    per_image = {name: torch.cat([t[name] for t in terms]).cpu() for name in terms[0]}
    seconds = time.perf_counter() - clock
    return Evaluation(data.identity, "test", k, seed, seconds, per_image)


def _terms(model: VAE, x: Tensor, k: int, generator: torch.Generator) -> dict[str, Tensor]:
    q = model.posterior(x)
    z = q.sample(k, generator)
    log_likelihood = model.decode(z).log_prob(x)
    # log w_k = log p(x | z_k) + log p(z_k) − log q(z_k | x)
    log_weights = log_likelihood + model.prior(len(x)).log_prob(z) - q.log_prob(z)
    reconstruction, kl = log_likelihood.mean(0), q.kl_to_prior()
    return {
        "elbo": reconstruction - kl,
        "reconstruction": reconstruction,
        "kl": kl,
        "iwae": iwae(log_weights),
    }
