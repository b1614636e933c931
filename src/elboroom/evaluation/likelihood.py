"""A trained model on the test images: means with their standard errors, in nats per image."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from elboroom.config import Precision
from elboroom.data import Dataset, Identity, Part
from elboroom.device import autocast, resolve_precision
from elboroom.errors import IncomparableError
from elboroom.evaluation.estimate import Estimate
from elboroom.evaluation.latent_usage import Information
from elboroom.infer.diagnostics import RELIABLE_K_HAT, importance_ess, pareto_k
from elboroom.model.bounds import iwae
from elboroom.model.decoding import decoded_at_a_time
from elboroom.model.likelihoods import class_of, require_support
from elboroom.model.networks.layers import require_eval_mode
from elboroom.model.vae import VAE
from elboroom.randomness import stream

_IMAGES = 100  # whose weights are held at a time
_TAIL = 100  # samples, below which the tail of their weights has no shape
_BOUNDS = ("elbo", "reconstruction", "kl", "iwae")
_LABELS = {
    "elbo": "ELBO",
    "reconstruction": "reconstruction E_q[log p(x|z)]",
    "kl": "KL(q(z|x) ‖ p(z))",
    "iwae": "IWAE bound, K = {k}",
}


def label(quantity: str, k: int, kl_sampled: bool = False) -> str:
    """What tables call a quantity estimated with k samples an image."""
    how = ", sampled" if kl_sampled and quantity == "kl" else ""
    return _LABELS[quantity].format(k=k) + how


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found, with all that is needed to compare it with another.

    Attributes:
        identity: the data, its binarisation and its split.
        part: the part of the data.
        k: samples of z an image.
        seed: of those samples.
        seconds: elapsed.
        per_image: `elbo`, `reconstruction`, `kl` and `iwae` in nats, each (N,); the `ess` of the
            importance weights, and their `k_hat` where there are a hundred or more.
            Of grey levels, `bits` per dimension, −iwae / (D log 2), D the pixels that are known.
        information: what the latents hold of the images.
        kl_sampled: whether `kl` is estimated by the samples, where it has no closed form.
        measure: "probability", or "density" of real values, whose nats depend on their unit.
        rounding: what bfloat16 products moved the IWAE bound by, on the first images; None where
            all was in float32.
    """

    identity: Identity
    part: str
    k: int
    seed: int
    seconds: float
    per_image: dict[str, Tensor]
    information: Information
    kl_sampled: bool = False
    measure: str = "probability"
    rounding: Estimate | None = None

    @property
    def unit(self) -> str:
        """Of what is estimated."""
        return "nats per image" if self.measure == "probability" else "nats of density per image"

    @property
    def bits(self) -> Estimate | None:
        """Bits per dimension by the IWAE bound, where the data are grey levels."""
        return Estimate.of(self.per_image["bits"]) if "bits" in self.per_image else None

    @property
    def estimates(self) -> dict[str, Estimate]:
        """The mean over images of each quantity that is in nats."""
        return {name: Estimate.of(self.per_image[name]) for name in _BOUNDS}

    @property
    def quality(self) -> dict[str, Estimate]:
        """The mean `ess` of the K weights, and the share of images with a `reliable` k̂ < 0.7."""
        found = {"ess": self.per_image["ess"]}
        if "k_hat" in self.per_image:
            found["reliable"] = (self.per_image["k_hat"] < RELIABLE_K_HAT).double()
        return {name: Estimate.of(values) for name, values in found.items()}

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
            IncomparableError: the two speak of different data, binarisations or splits, or one of
                a density and the other of a probability.
        """
        self.identity.require_same(other.identity)
        if self.measure != other.measure:
            raise IncomparableError(
                "these results cannot be compared",
                why=f"one is the {self.measure} of the images, the other their {other.measure}",
                fix="evaluate runs whose likelihoods are of one kind",
            )
        pairs = ((name, self.per_image[name] - other.per_image[name]) for name in _BOUNDS)
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
            "unit": self.unit,
            "kl_sampled": self.kl_sampled,
            "estimates": {name: asdict(e) for name, e in self.estimates.items()},
            "rounding": None if self.rounding is None else asdict(self.rounding),
            "bits_per_dimension": None if self.bits is None else asdict(self.bits),
            "quality": {name: asdict(e) for name, e in self.quality.items()},
            "latents": {
                "kl": None if self.information.kl is None else self.information.kl.tolist(),
                "active": int(self.information.active.sum()),
                "mutual_information": asdict(Estimate.of(self.information.mutual)),
            },
        }


@torch.no_grad()
def evaluate(
    model: VAE,
    data: Dataset,
    *,
    k: int,
    seed: int,
    precision: Precision = "fp32",
    on_images: Callable[[int], None] = lambda images: None,
) -> Evaluation:
    """The ELBO, its two terms, the IWAE bound, and what can be trusted of them.

    The KL is in closed form where prior and posterior have one, else estimated by the same samples.
    Everything is computed from the same k samples an image, on the model's device, in float32 but
    for the decoder's matrix products, where `precision` says so. The weights of some images are
    held at a time, so that the memory does not grow with k or the data.

    Args:
        model: what is evaluated.
        data: of which the test part counts.
        k: samples of z an image.
        seed: fixes them.
        precision: of the decoder's products. With bfloat16 log w is off by about a tenth of a nat
            at random, which lifts the IWAE bound by some thousandths.
        on_images: called with each number of images that is done.

    Raises:
        DataError: the data has values that the likelihood cannot take.
        UsageError: the model has batch normalisation and is left in training mode.
    """
    require_eval_mode(model)
    require_support(model.likelihood, data.test, data.identity.source)
    model = model.fixed()
    clock = time.perf_counter()
    device = next(model.parameters()).device
    generator = stream(seed, "evaluate", device=device)
    dtype = resolve_precision(precision, device)
    terms, densities = [], []
    for x in data.test.split(_IMAGES):
        x = x.to(device)
        terms.append(_terms(model, x, data.test, k, generator, dtype))
        densities.append(model.posterior(x, data.test.seen(x)))
        on_images(len(x))
    per_image = {name: torch.cat([t[name] for t in terms]).cpu() for name in terms[0]}
    noise = stream(seed, "information", device=device)
    information = Information.of(densities, model.prior, noise)
    rounding = None
    if dtype != torch.float32:
        rounding = _rounding(per_image["iwae"], model, data.test, k, seed)
    seconds = time.perf_counter() - clock
    kind = class_of(model.likelihood)
    if kind.in_bits:
        per_image["bits"] = -per_image["iwae"] / (_known(data.test) * math.log(2))
    measure = "density" if kind.is_density else "probability"
    sampled = model.prior.kl(densities[0]) is None
    parts = per_image, information, sampled, measure, rounding
    return Evaluation(data.identity, "test", k, seed, seconds, *parts)


def _rounding(iwae: Tensor, model: VAE, part: Part, k: int, seed: int) -> Estimate:
    """How far the bounds of the first images lie from those of float32 products, same samples."""
    device = next(model.parameters()).device
    x = next(part.split(_IMAGES)).to(device)
    again = stream(seed, "evaluate", device=device)
    exact = _terms(model, x, part, k, again, torch.float32)["iwae"].cpu()
    return Estimate.of(iwae[: len(exact)] - exact)


def _known(part: Part) -> Tensor:
    """How many pixels of each image are known, (N,)."""
    return torch.cat([(~x.isnan()).flatten(1).sum(1) for x in part.split(_IMAGES)])


def _terms(
    model: VAE, x: Tensor, part: Part, k: int, generator: torch.Generator, products: torch.dtype
) -> dict[str, Tensor]:
    """What is known of each row of x by k samples of q."""
    mask, prior = part.seen(x), model.prior(len(x))
    q = model.posterior(x, mask)
    log_likelihoods, log_ratios = [], []
    for count in _counts(k, max(1, decoded_at_a_time(model, x) // len(x))):
        z, log_q = q.draw(count, generator)
        with autocast(products, x.device):
            log_likelihoods.append(model.log_likelihood(x, z, mask))
        log_ratios.append(prior.log_prob(z) - log_q)
    log_likelihood = torch.cat(log_likelihoods)
    log_ratio = torch.cat(log_ratios)
    # log w_k = log p(x | z_k) + log p(z_k) − log q(z_k | x)
    log_weights = log_likelihood + log_ratio
    reconstruction, kl = log_likelihood.mean(0), model.prior.kl(q)
    if kl is None:
        kl = -log_ratio.mean(0)
    found = {
        "elbo": reconstruction - kl,
        "reconstruction": reconstruction,
        "kl": kl,
        "iwae": iwae(log_weights),
        "ess": importance_ess(log_weights),
    }
    return found | ({"k_hat": pareto_k(log_weights)} if k >= _TAIL else {})


def _counts(total: int, most: int) -> list[int]:
    """`total` in parts of at most `most`."""
    return [most] * (total // most) + [total % most] * (total % most > 0)
