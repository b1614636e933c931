"""Bounds of log p(x) of the test images under a trained model, in nats per image."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from elboroom.config import PartName, Precision
from elboroom.data import Dataset, Identity, Part
from elboroom.device import autocast, require_room, resolve_precision, world
from elboroom.errors import IncomparableError, UsageError, require_positive
from elboroom.evaluation.estimate import Estimate, as_tables
from elboroom.evaluation.latent_usage import Information
from elboroom.infer.diagnostics import RELIABLE_K_HAT, importance_ess, pareto_k
from elboroom.model.arguments import checked
from elboroom.model.bounds import bits_per_dimension, iwae
from elboroom.model.decoding import decoded_at_a_time
from elboroom.model.fingerprint import fingerprint
from elboroom.model.likelihoods import require_support
from elboroom.model.networks.layers import require_eval_mode
from elboroom.model.vae import VAE
from elboroom.randomness import stream

_IMAGES_AT_A_TIME = 100  # images whose importance weights are in memory together
_HELD = 5  # arrays of k values for each of them: two terms, in parts and joined, and their sum
_LEAST_K_FOR_K_HAT = 100  # samples; fewer have no tail that k̂ could be fitted to
_BOUNDS = ("elbo", "reconstruction", "kl", "iwae")
_LABELS = {
    "elbo": "ELBO",
    "reconstruction": "reconstruction E_q[log p(x|z)]",
    "kl": "KL(q(z|x) ‖ p(z))",
    "iwae": "IWAE bound, K = {k}",
}


def label(quantity: str, k: int, kl_sampled: bool = False) -> str:
    """Return the heading of a quantity that is estimated with k samples per image."""
    how = ", sampled" if kl_sampled and quantity == "kl" else ""
    return _LABELS[quantity].format(k=k) + how


@dataclass(frozen=True)
class Evaluation:
    """The result of `evaluate`, with everything that a comparison with another needs.

    Attributes:
        identity: the data, its binarisation and its split.
        part: the part of the data.
        k: number of samples of z per image.
        seed: seed of the samples.
        seconds: elapsed time.
        per_image: `elbo`, `reconstruction`, `kl` and `iwae` in nats, each (N,). The `ess` of the
            importance weights, and their `k_hat` if k is at least 100. For grey levels also `bits`
            per dimension, −iwae / (D log 2), where D is the number of known pixels, NaN if 0.
        information: information about the images in the latents.
        kl_sampled: True if `kl` has no closed form and is estimated by the samples.
        measure: "probability", or "density" of real values, whose nats depend on their unit.
        rounding: the change of the IWAE bound by bfloat16 products, on the first images; None if
            everything was in float32.
        noun: the word for one row of the data, "image" or "row".
        fingerprint: that of the model, by which it is recognised.
    """

    identity: Identity
    part: PartName
    k: int
    seed: int
    seconds: float
    per_image: dict[str, Tensor]
    information: Information
    kl_sampled: bool = False
    measure: str = "probability"
    rounding: Estimate | None = None
    noun: str = "image"
    fingerprint: str = ""

    @property
    def unit(self) -> str:
        """The unit of the estimates."""
        nats = "nats" if self.measure == "probability" else "nats of density"
        return f"{nats} per {self.noun}"

    @property
    def bits(self) -> Estimate | None:
        """Bits per dimension by the IWAE bound; None unless the data are grey levels.

        The mean is over the rows that have a known value.
        """
        if "bits" not in self.per_image:
            return None
        bits = self.per_image["bits"]
        return Estimate.of(bits[~bits.isnan()], f"{self.noun} with a known value")

    @property
    def estimates(self) -> dict[str, Estimate]:
        """The mean over images of each quantity that is in nats."""
        return Estimate.of_each({name: self.per_image[name] for name in _BOUNDS}, self.noun)

    @property
    def quality(self) -> dict[str, Estimate]:
        """The mean `ess` of the K weights, and the share of images with a `reliable` k̂ < 0.7."""
        found = {"ess": self.per_image["ess"]}
        if "k_hat" in self.per_image:
            found["reliable"] = (self.per_image["k_hat"] < RELIABLE_K_HAT).double()
        return Estimate.of_each(found, self.noun)

    @property
    def mutual_information(self) -> Estimate:
        """The mutual information of z and x under q, in nats."""
        return Estimate.of(self.information.mutual, self.noun)

    @property
    def title(self) -> str:
        """The data and the number of samples, in one line."""
        rows = len(self.per_image["elbo"])
        nouns = self.noun + "s" * (rows != 1)
        return f"{self.identity.title(rows, self.part, nouns)}, K = {self.k}"

    def minus(self, other: "Evaluation") -> dict[str, Estimate]:
        """Estimate the mean difference of each quantity from paired images.

        Raises:
            IncomparableError: if the two have different data, binarisations or splits, or one is
                of a density and the other of a probability.
        """
        self.identity.require_same(other.identity)
        if self.measure != other.measure:
            raise IncomparableError(
                "these results cannot be compared",
                why=f"one is a {self.measure} of the images, the other a {other.measure}",
                fix="compare runs whose likelihoods are both densities or both probabilities",
            )
        mine, theirs = self.per_image, other.per_image
        return Estimate.of_each({n: mine[n] - theirs[n] for n in _BOUNDS}, self.noun)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of evaluation.json."""
        return {
            "identity": self.identity.to_dict(),
            "part": self.part,
            "images": len(self.per_image["elbo"]),
            "k": self.k,
            "seed": self.seed,
            "seconds": round(self.seconds, 3),
            "unit": self.unit,
            "kl_sampled": self.kl_sampled,
            "estimates": as_tables(self.estimates),
            **as_tables(self._optional),
            "quality": as_tables(self.quality),
            "latents": self._latents(),
        }

    @property
    def _optional(self) -> dict[str, Estimate]:
        """The estimates that not every evaluation has, by name."""
        known = {"rounding": self.rounding, "bits_per_dimension": self.bits}
        return {name: estimate for name, estimate in known.items() if estimate is not None}

    def _latents(self) -> dict[str, Any]:
        """Return what is known of the use of the latents, as JSON types."""
        usage, table = self.information, {}
        known = {"kl": usage.kl, "kl_standard_error": usage.kl_standard_error}
        table |= {name: value.tolist() for name, value in known.items() if value is not None}
        if not usage.known:
            return table | {"reason": f"one {self.noun}"}
        mutual = self.mutual_information.to_dict()
        return table | {"active": int(usage.active.sum()), "mutual_information": mutual}


@checked
@torch.no_grad()
def evaluate(
    model: VAE,
    data: Dataset,
    *,
    k: int,
    seed: int,
    part: PartName = "test",
    precision: Precision = "fp32",
    on_images: Callable[[int], None] = lambda images: None,
) -> Evaluation:
    """Compute the ELBO, its two terms, the IWAE bound, and how reliable they are.

    Everything is computed from the same k samples per image on the model's device. The KL is in
    closed form if prior and posterior have one, else estimated by the samples. Only the decoder's
    matrix products may be in another precision than float32. Memory grows neither with k nor with
    the data, because only some images are evaluated at a time. Each of these batches has draws of
    its own. Several processes share the batches, and all return what one returns.

    Args:
        model: model to evaluate.
        data: data to evaluate the model on.
        k: number of samples of z per image.
        seed: seed of the samples.
        part: part of the data: "train", "validation", "test" or "all".
        precision: precision of the decoder's products. bfloat16 changes log w by about 0.1 nats at
            random, which raises the IWAE bound by some thousandths.
        on_images: called with the number of images of each batch that this process has finished.

    Raises:
        DataError: if the data has values that the likelihood does not support.
        UsageError: if `data` is not a Dataset or has no such part, k is not positive, the model
            has batch normalisation and is in training mode, or entries were withheld, not rows.
    """
    require_positive(k=k)
    model.require_events(data.event_shape)
    data = data.with_test(part)
    _require_held_out_rows(data.test)
    require_eval_mode(model)
    require_support(model.likelihood.density, data.test, data.identity.source)
    clock, found = time.perf_counter(), fingerprint(model)
    model = model.fixed()
    device = next(model.parameters()).device
    rows = min(_IMAGES_AT_A_TIME, len(data.test))
    require_room((_HELD, k, rows), next(model.parameters()), k=k)
    dtype, terms = resolve_precision(precision, device), list[dict[str, Tensor]]()
    batches = torch.arange(len(data.test)).split(_IMAGES_AT_A_TIME)
    for number in world().own(range(len(batches))):
        x = data.test.rows(batches[number].tolist()).x.to(device)
        noise = stream(seed, "evaluate", number, device=device)
        terms.append(_terms(model, x, data.test, k, noise, dtype))
        on_images(len(x))
    terms = world().spread(terms)
    per_image = {name: torch.cat([t[name] for t in terms]).cpu() for name in terms[0]}
    densities = [
        model.posterior(x.to(device), data.test.seen(x.to(device)))
        for x in data.test.split(_IMAGES_AT_A_TIME)
    ]
    noise = stream(seed, "information", device=device)
    information = Information.of(densities, model.prior, noise)
    rounding = None
    if dtype != torch.float32:
        rounding = _rounding(per_image["iwae"], model, data.test, k, seed)
    seconds = time.perf_counter() - clock
    kind = model.likelihood.density
    if kind.in_bits:
        per_image["bits"] = _bits(per_image["iwae"], _known_pixels(data.test))
    measure = "density" if kind.is_density else "probability"
    sampled = model.prior.kl(densities[0]) is None
    parts = per_image, information, sampled, measure, rounding, data.noun, found
    return Evaluation(data.identity, part, k, seed, seconds, *parts)


def _require_held_out_rows(part: Part) -> None:
    """Check that the rows of a part are scored as a whole.

    Raises:
        UsageError: if entries of them were withheld, so that the model has seen the rest.
    """
    if part.withheld is not None:
        raise UsageError(
            "these data have no held-out rows",
            why="--withhold held out entries of every row, and the model was trained on the others",
            fix="evaluate new rows with --data FILE, or train a run without --withhold",
        )


def _rounding(iwae: Tensor, model: VAE, part: Part, k: int, seed: int) -> Estimate:
    """Estimate the change of the first images' bounds by rounding, from the same samples."""
    device = next(model.parameters()).device
    x = next(part.split(_IMAGES_AT_A_TIME)).to(device)
    again = stream(seed, "evaluate", device=device)
    exact = _terms(model, x, part, k, again, torch.float32)["iwae"].cpu()
    return Estimate.of(iwae[: len(exact)] - exact, part.noun)


def _bits(iwae: Tensor, known: Tensor) -> Tensor:
    """Compute bits per known pixel, (N,); NaN where an image has none."""
    return bits_per_dimension(iwae, known).masked_fill(known == 0, math.nan)


def _known_pixels(part: Part) -> Tensor:
    """Count the known pixels of each image, (N,)."""
    return torch.cat([(~x.isnan()).flatten(1).sum(1) for x in part.split(_IMAGES_AT_A_TIME)])


def _terms(
    model: VAE, x: Tensor, part: Part, k: int, generator: torch.Generator, products: torch.dtype
) -> dict[str, Tensor]:
    """Compute the values of `per_image` for each row of x from k samples of q."""
    mask, prior = part.seen(x), model.prior(len(x))
    q = model.posterior(x, mask)
    log_likelihoods, log_ratios = [], []
    for count in _split_count(k, max(1, decoded_at_a_time(model, x) // len(x))):
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
    return found | ({"k_hat": pareto_k(log_weights)} if k >= _LEAST_K_FOR_K_HAT else {})


def _split_count(total: int, most: int) -> list[int]:
    """Split `total` into parts of at most `most`."""
    return [most] * (total // most) + [total % most] * (total % most > 0)
