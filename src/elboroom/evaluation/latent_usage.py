"""Information about the data in the latents, by the encoder's q(z | x) of N images."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from elboroom.evaluation.estimate import Estimate
from elboroom.html_table import Shown, Summary, Table
from elboroom.model.posteriors import Density, DiagonalGaussian, LadderPosterior
from elboroom.model.priors import Prior, SharedMixture, kl_of_levels

_LEAST_ACTIVITY = 0.01  # Burda et al. (2016), section 5.2
_COMPARED_IMAGES = 500  # for families whose densities are compared pair by pair
_COMPARED_BY_LADDERS = 100  # whose densities take a pass through the decoder each
_PAIRS_AT_A_TIME = 2_000
_ROWS_AT_A_TIME = 1_000  # draws that are compared with all N densities together
_LEVEL = "level", "latents", "active", "KL to the prior, given the levels above"


def level_cells(shape: Sequence[int], active: int, kl: Estimate) -> tuple[str, str, str]:
    """Write the shape of a level's latents, how many are in use, and their KL."""
    sides = " × ".join(map(str, shape))
    return sides, f"{active:,} of {math.prod(shape):,}", str(kl)


@dataclass(frozen=True, repr=False)
class LevelUsage(Shown):
    """The use of the latents of one level of a ladder.

    Attributes:
        shape: shape of its latents, (T,) of the top and (c, h, w) of others.
        active: number of them with an activity above 0.01.
        kl: (N,), KL(q(ε_l | ε_>l, x) ‖ p(ε_l)) in nats for one draw of ε_>l of each image. The mean
            bounds the information about x in ε_l, beyond that in the levels above.
    """

    shape: tuple[int, ...]
    active: int
    kl: Tensor

    def cells(self, noun: str = "image") -> tuple[str, str, str]:
        """Write the shape of the latents, how many are in use, and their KL."""
        return level_cells(self.shape, self.active, Estimate.of(self.kl, noun))

    def _summary(self) -> Summary:
        return Summary("", dict(zip(_LEVEL[1:], self.cells(), strict=True)))


@dataclass(frozen=True, repr=False)
class Information(Shown):
    """Information about N images in the latents.

    Attributes:
        kl: (D,), E_x[KL(q(z_d | x) ‖ p(z_d))] in nats for each latent; None if the prior or q does
            not know the density of one latent, for example a flow.
        activity: (D,), Var_x(E_q[z_d | x]); NaN if there is one image.
        mutual: (M,), log q(z_n | x_n) − log q(z_n) in nats of M images that are compared with each
            other. The mean is the mutual information of z and x under q.
        kl_standard_error: (D,), the standard error of `kl` over images, with the noise of the draws
            if it is sampled; None if `kl` is, or of one image.
        levels: the use of each level of a ladder, the top first; none without a ladder.

    Example:
        >>> from elboroom import evaluate
        >>> used = evaluate(model, data, k=2, seed=0).information
        >>> used.kl.shape, used.active  # of each latent
        (torch.Size([2]), tensor([True, True]))
    """

    kl: Tensor | None
    activity: Tensor
    mutual: Tensor
    kl_standard_error: Tensor | None = None
    levels: tuple[LevelUsage, ...] = ()

    @classmethod
    def of(
        cls, parts: Iterable[Density], prior: Prior, generator: torch.Generator
    ) -> "Information":
        """Compute the information from the densities of N images and one draw of each.

        Each draw is compared with the density of every image. The mutual information is that of
        all images if the densities are diagonal Gaussians, else that of the first five hundred, or
        of a ladder the first hundred.

        Args:
            parts: q(z | x) of all images, in batches.
            prior: the prior of z.
            generator: random generator of the draws.
        """
        batches = _Batches(prior, generator)
        for q in parts:
            batches.add(q)
        mean, marginals = torch.cat(batches.means).double(), batches.joined_marginals()
        if marginals is not None and batches.are_products:
            z = marginals.sample(1, generator)[0]
            mutual = marginals.log_prob(z) - _log_aggregate(marginals, z)
        else:
            mutual = _mutual_by_pairs(batches.compared, generator)
        kl = None if marginals is None else prior.kl_per_latent(marginals, generator)
        activity, mutual = _variance(mean).cpu(), mutual.cpu()
        if kl is None:
            return cls(None, activity, mutual, levels=batches.levels(activity))
        error = None if len(kl) == 1 else (kl.var(0) / len(kl)).sqrt().cpu()
        return cls(kl.mean(0).cpu(), activity, mutual, error)

    @property
    def known(self) -> bool:
        """True if there are two images or more, which the use of latents is measured by."""
        return not bool(self.activity.isnan().any())

    @property
    def active(self) -> Tensor:
        """True for each latent with an activity above 0.01, (D,)."""
        return _is_active(self.activity)

    def table(self, noun: str = "image") -> Table:
        """Lay out a row for each level of a ladder: its latents, those in use, and its KL."""
        rows = [(f"{n}", *level.cells(noun)) for n, level in enumerate(self.levels, 1)]
        return Table(_LEVEL, rows, f"nats per {noun}, ± one standard error")

    def _summary(self) -> Summary:
        active = f"{int(self.active.sum())} of {len(self.activity)}" if self.known else "unknown"
        facts = {"active latents": active, "mutual information, nats": Estimate.of(self.mutual)}
        return Summary("", facts, [self.table()] if self.levels else [])


@dataclass
class _Batches:
    """Sums of the densities of all images, batch by batch, since those of a ladder are large.

    Attributes:
        prior: the prior of z.
        generator: random generator of the draws.
        means: E_q[z] of each batch.
        marginals: q(z_d | x) of each batch; None where the family does not know them.
        are_products: True if every q is the product of its marginals.
        compared: the densities of the first images, which are compared pair by pair.
        kl_of_levels: of a ladder the KL of each level in nats, (L, B) of each batch.
        shapes: of a ladder the shape of the latents of each level.
    """

    prior: Prior
    generator: torch.Generator
    means: list[Tensor] = field(default_factory=list[Tensor])
    marginals: list[DiagonalGaussian | None] = field(default_factory=list[DiagonalGaussian | None])
    are_products: bool = True
    compared: list[Density] = field(default_factory=list[Density])
    kl_of_levels: list[Tensor] = field(default_factory=list[Tensor])
    shapes: tuple[tuple[int, ...], ...] = ()

    def add(self, q: Density) -> None:
        """Take the densities of another batch of images into account."""
        is_ladder = isinstance(q, LadderPosterior)
        most = _COMPARED_BY_LADDERS if is_ladder else _COMPARED_IMAGES
        if sum(map(len, self.means)) < most:
            self.compared.append(q)
        self.means.append(q.mean)
        self.marginals.append(q.marginals)
        self.are_products &= q.marginals is q
        if is_ladder:
            self.shapes = q.decoder.level_shapes
            kl = kl_of_levels(self.prior, q.descend(1, self.generator))
            self.kl_of_levels.append(kl[:, 0].double().cpu())

    def joined_marginals(self) -> DiagonalGaussian | None:
        """Return q(z_d | x) of each latent of all images; None if the family lacks them."""
        known = [each for each in self.marginals if each is not None]
        if len(known) < len(self.marginals):
            return None
        mean = torch.cat([q.mean for q in known])
        return DiagonalGaussian(mean.double(), torch.cat([q.log_std for q in known]).double())

    def levels(self, activity: Tensor) -> tuple[LevelUsage, ...]:
        """Return the use of each level of a ladder, from the activity of all latents (D,)."""
        if not self.kl_of_levels:
            return ()
        sizes = [math.prod(shape) for shape in self.shapes]
        active = [int(some.sum()) for some in _is_active(activity).split(sizes)]
        return tuple(map(LevelUsage, self.shapes, active, torch.cat(self.kl_of_levels, 1)))


def _is_active(activity: Tensor) -> Tensor:
    return activity > _LEAST_ACTIVITY


def _variance(mean: Tensor) -> Tensor:
    """Compute the variance over images, (N, D) → (D,); NaN for one image."""
    return mean.var(0) if len(mean) > 1 else torch.full_like(mean[0], math.nan)


def _mutual_by_pairs(parts: Sequence[Density], generator: torch.Generator) -> Tensor:
    """Compute `mutual` from all pairs of a draw and a density of any family, (N,)."""
    drawn = [q.draw(1, generator) for q in parts]
    z, log_q = (torch.cat([pair[i][0] for pair in drawn]) for i in (0, 1))
    pairs = [_log_of_pairs(q, z, some.shape[1]) for q, (_, some) in zip(parts, drawn, strict=True)]
    return log_q - (torch.logsumexp(torch.cat(pairs, 1), 1) - math.log(len(z)))


def _log_of_pairs(q: Density, z: Tensor, images: int) -> Tensor:
    """Compute log q(z_n | x_m) of all draws z (N, D) under the density of each image, (N, M)."""
    some = z.split(max(1, _PAIRS_AT_A_TIME // images))
    return torch.cat([q.log_prob(each[:, None].expand(-1, images, -1)) for each in some])


def _log_aggregate(q: DiagonalGaussian, z: Tensor) -> Tensor:
    """Compute log q(z) of the aggregate q(z) = 1/N Σ_m q(z | x_m) at z (N, D), in nats, (N,).

    Hoffman & Johnson, *ELBO surgery* (2016), section 2.
    """
    aggregate = SharedMixture(torch.zeros_like(q.mean[:, 0]), q.mean, q.log_std)
    return torch.cat([aggregate.log_prob(some) for some in z.split(_ROWS_AT_A_TIME)])
