"""The result of an evaluation, with everything that a comparison with another needs."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from elboroom.config import PartName
from elboroom.data import Identity
from elboroom.errors import IncomparableError
from elboroom.evaluation.double_sampling import OUTSIDE, DoubleSample, common_stage
from elboroom.evaluation.estimate import Estimate, as_tables
from elboroom.evaluation.latent_usage import Information, LevelUsage
from elboroom.evaluation.sampled_bounds import Partial, Subset
from elboroom.html_table import Shown, Summary
from elboroom.infer.diagnostics import RELIABLE_K_HAT

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


@dataclass(frozen=True, repr=False)
class Evaluation(Shown):
    """The result of `evaluate`, with everything that a comparison with another needs.

    Attributes:
        identity: the data, its binarisation and its split.
        part: the part of the data.
        k: number of samples of z per image, of the IWAE bound in `estimates`.
        seed: seed of the samples.
        seconds: elapsed time.
        per_image: `elbo`, `reconstruction`, `kl` and `iwae` in nats, each (N,). The `ess` of the
            importance weights, and their `k_hat` if k is at least 100. For grey levels also `bits`
            per dimension, −iwae / (D log 2), where D is the number of known pixels, NaN if 0. With
            a `subset` all these are of `subset.k_all` samples. `iwae_subset`, `ess_subset`,
            `k_hat_subset` and `bits_subset` are then those of k samples, NaN outside of the subset;
            there `iwae_few` and `bits_few` are means of further bounds with `subset.k_all` samples.
            `stage` is 1 in its pilot, 2 in the rest of it, and 0 outside.
        information: information about the images in the latents.
        kl_sampled: True if `kl` has no closed form and is estimated by the samples.
        measure: "probability", or "density" of real values, whose nats depend on their unit.
        rounding: the change of the IWAE bound by bfloat16 products, on the first images; None if
            everything was in float32.
        noun: the word for one row of the data, "image" or "row".
        fingerprint: that of the model, by which it is recognised.
        subset: the random subset that has k samples, if not all images have; else None.
        partial: how much was finished, if the evaluation was stopped early; else None. What is
            known is then of N finished images, a random sample of all.
        rows: (N,) int64, the finished images of a partial evaluation within the part; else None.

    Example:
        >>> from elboroom import evaluate
        >>> found = evaluate(model, data, k=10, seed=0)
        >>> found.title, found.unit
        ('arrays, values as they are, stratified split, 200 test images, K = 10', 'nats per image')
        >>> again = evaluate(model, data, k=10, seed=1)
        >>> change = again.minus(found)["iwae"]  # of paired images
        >>> change.standard_error < found.estimates["iwae"].standard_error
        True
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
    subset: Subset | None = None
    partial: Partial | None = None
    rows: Tensor | None = None

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
        known = ~self.per_image["bits"].isnan()
        values = {name: value[known] for name, value in self.per_image.items()}
        return _mean(values, "bits", f"{self.noun} with a known value")

    @property
    def estimates(self) -> dict[str, Estimate]:
        """The mean over images of each quantity that is in nats.

        The images are taken as a sample of a population, and the standard errors are those of its
        mean. That of a bound with a `subset` has two sources: the images, and the subset of them.
        """
        return {name: _mean(self.per_image, name, self.noun) for name in _BOUNDS}

    @property
    def quality(self) -> dict[str, Estimate]:
        """The mean `ess` of the K weights, and the share of images with a `reliable` k̂ < 0.7.

        With a `subset` the means are over its images.
        """
        values = {name: self._of_k_samples(name) for name in ("ess", "k_hat")}
        found = {name: value for name, value in values.items() if value is not None}
        if "k_hat" in found:
            found["reliable"] = (found.pop("k_hat") < RELIABLE_K_HAT).double()
        return Estimate.of_each(found, self.noun)

    def _of_k_samples(self, name: str) -> Tensor | None:
        """Return a value of each image that has k samples, (n,); None if it is not known."""
        if "stage" not in self.per_image:
            return self.per_image.get(name)
        values = self.per_image.get(f"{name}_subset")
        return None if values is None else values[self.per_image["stage"] > OUTSIDE]

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

    @property
    def notes(self) -> list[str]:
        """The subset, and how much was finished, in a line each; none for all of all images."""
        return notes(self.k, self.noun, self.subset, self.partial)

    @property
    def reliability(self) -> list[str]:
        """The lines on samples, weights and the use of the latents, in a line each."""
        usage, most = self.information, math.log(len(self.information.mutual))
        lines = list(self.notes)
        if self.bits is not None:
            lines.append(f"{self.bits:.3f} bits per dimension, by the IWAE bound{self._of_known}")
        lines.append(self._weights)
        if not usage.known:
            return [*lines, f"use of the {len(usage.activity)} latents: unknown (one {self.noun})"]
        return [
            *lines,
            f"{int(usage.active.sum())} of {len(usage.active)} latents active; "
            f"mutual information {self.mutual_information} nats; at most {most:.2f} are possible",
        ]

    @property
    def _of_known(self) -> str:
        """The rows that the bits per dimension are not of, in words; empty if they are of all."""
        unseen = int(self.per_image["bits"].isnan().sum())
        wholly = f", without {unseen:,} {self.noun}{'s' * (unseen > 1)} wholly missing"
        return wholly if unseen else ""

    @property
    def _weights(self) -> str:
        quality = self.quality
        line = f"mean effective sample size {quality['ess'].mean:,.1f} of {self.k:,}"
        if "reliable" not in quality:
            return line
        of = "" if self.subset is None else f"{self.subset.images:,} "
        share = quality["reliable"].mean
        return f"{line}; k̂ < {RELIABLE_K_HAT} for {share:.1%} of the {of}{self.noun}s"

    def _summary(self) -> Summary:
        found = {label(n, self.k, self.kl_sampled): e for n, e in self.estimates.items()}
        levels = self.information.levels
        blocks = [self.information.table(self.noun)] if levels else []
        facts: dict[str, object] = {**found, "unit": f"{self.unit}, ± one standard error"}
        return Summary(self.title, facts, blocks, self.reliability)

    def minus(self, other: "Evaluation") -> dict[str, Estimate]:
        """Estimate the mean difference of each quantity from paired images.

        The bounds are paired in the images that have k samples in both.

        Raises:
            IncomparableError: if the two have different data, binarisations or splits, or one is
                of a density and the other of a probability; if they are of different images,
                because one was stopped early; or if their subsets were drawn with different seeds.
        """
        self.identity.require_same(other.identity)
        if self.measure != other.measure:
            raise IncomparableError(
                "these results cannot be compared",
                why=f"one is a {self.measure} of the images, the other a {other.measure}",
                fix="compare runs whose likelihoods are both densities or both probabilities",
            )
        _require_same_rows(self, other)
        values = _differences(self.per_image, other.per_image)
        return {name: _mean(values, name, self.noun) for name in _BOUNDS}

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
            **self._stages,
            **as_tables(self._optional),
            "quality": as_tables(self.quality),
            "latents": self._latents(),
        }

    @property
    def _stages(self) -> dict[str, Any]:
        """The tables of the subset and of a partial evaluation, where there is one."""
        known = {"subset": self.subset, "partial": self.partial}
        return {name: asdict(table) for name, table in known.items() if table is not None}

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
        if usage.levels:
            table["levels"] = [self._level(level) for level in usage.levels]
        if not usage.known:
            return table | {"reason": f"one {self.noun}"}
        mutual = self.mutual_information.to_dict()
        return table | {"active": int(usage.active.sum()), "mutual_information": mutual}

    def _level(self, level: LevelUsage) -> dict[str, Any]:
        """Return what is known of the use of a level, as JSON types."""
        kl = Estimate.of(level.kl, self.noun).to_dict()
        return {"shape": list(level.shape), "active": level.active, "kl": kl}


def notes(k: int, noun: str, subset: Subset | None, partial: Partial | None) -> list[str]:
    """Write how a bound with k samples was estimated, and how much was finished, a line each."""
    found = [] if subset is None else [subset.describe(k, noun)]
    return found + ([] if partial is None else [partial.describe(noun, k)])


def mean_bound(per_image: Mapping[str, Tensor]) -> float:
    """Return the mean of the IWAE bound that evaluation.json has, from the values of each image."""
    return _mean(per_image, "iwae", "image").mean


def _mean(per_image: Mapping[str, Tensor], name: str, noun: str) -> Estimate:
    """Estimate the mean of a quantity over images, from those of the subset too, if it has them."""
    closer = per_image.get(f"{name}_subset")
    if closer is None:
        return Estimate.of(per_image[name], noun)
    near = per_image.get(f"{name}_few")
    return DoubleSample(per_image[name], closer, per_image["stage"], near).estimate(noun)


def _differences(mine: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Subtract the values of paired images; the subset is that which both have."""
    found = {name: mine[name] - theirs[name] for name in _BOUNDS}
    stage = common_stage(mine.get("stage"), theirs.get("stage"))
    if stage is None:
        return found
    # Where all images have k samples, iwae is the bound with k samples.
    both = (mine, theirs)
    for name in ("iwae_subset", "iwae_few"):
        closer = (values.get(name, values["iwae"]) for values in both)
        found[name] = next(closer) - next(closer)
    return found | {"stage": stage}


def _require_same_rows(mine: Evaluation, theirs: Evaluation) -> None:
    """Check that two evaluations of the same part are of the same images of it."""
    every, other = mine.rows, theirs.rows
    if every is other is None or (
        every is not None and other is not None and torch.equal(every, other)
    ):
        return
    raise IncomparableError(
        "these results cannot be compared",
        why="they are of different images: an evaluation was stopped early",
        fix="evaluate again, to the end",
    )
