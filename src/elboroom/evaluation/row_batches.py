"""Random batches of rows, and the values that a model gives each of their rows."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from elboroom.data import Part
from elboroom.device import world
from elboroom.device.kernel import Kernel
from elboroom.infer.diagnostics import importance_ess, pareto_k
from elboroom.model.bounds import iwae
from elboroom.model.compilation import repays_compiling
from elboroom.model.decoding import decoded_at_a_time
from elboroom.model.posteriors import Density
from elboroom.model.vae import VAE
from elboroom.randomness import stream

IMAGES_AT_A_TIME = 100
"""Images whose importance weights are in memory together."""

_LEAST_K_FOR_K_HAT = 100  # samples; fewer have no tail that k̂ could be fitted to
_ROWS = "rows"


@dataclass(frozen=True)
class RowBatches:
    """Batches of random rows of a part, each with draws of its own, for one model.

    The first batches are a random sample of the rows, however the part is sorted, and the draws of
    a batch follow from its number. Within a batch rows are in order. A batch that is sampled again
    begins with the same draws.

    Attributes:
        model: model for constant parameters, on the device to compute on.
        part: the rows.
        seed: seed of the choice of rows and of the draws.
        products: type of the decoder's matrix products.
        on_images: called with each number of images that is done, in fractions.
        stop: asked after each group of draws; True leaves the batch at work undone.
    """

    model: VAE
    part: Part
    seed: int
    products: torch.dtype
    on_images: Callable[[float], None]
    stop: Callable[[], bool]

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        return next(self.model.parameters()).device

    @cached_property
    def rows(self) -> tuple[Tensor, ...]:
        """The rows of each batch, in random batches of at most a hundred."""
        total = len(self.part)
        order = torch.randperm(total, generator=stream(self.seed, "rows of an evaluation"))
        return tuple(some.sort().values for some in order.split(IMAGES_AT_A_TIME))

    def images(self, numbers: Sequence[int]) -> int:
        """Return the number of images in these batches."""
        return sum(len(self.rows[number]) for number in numbers)

    def own_images(self, numbers: Sequence[int]) -> int:
        """Return the number of images in those of these batches that this process works on."""
        return self.images(world().own(numbers))

    def sample(self, numbers: Sequence[int], *groups: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Sample latents for some batches, which several processes share.

        Args:
            numbers: numbers of the batches.
            groups: numbers of samples of each image, drawn one after the other; they sum to K. With
                several of them the first is K₁.

        Returns:
            The rows of the finished batches, ascending (r,), and the values of each, (r,): `elbo`,
            `reconstruction`, `kl`, `iwae`, `ess`, and `k_hat` if K is at least 100; with several
            groups `iwae_few`, the mean of the bounds that each K₁ of the other samples make.
        """
        found, rows = list[dict[str, Tensor]](), self.rows
        compiled = self._repays_compiling(numbers, sum(groups))
        for number in world().own(numbers):
            values = self._values(rows[number], number, groups, compiled=compiled)
            if values is None:
                break
            found.append({_ROWS: rows[number]} | values)
        return _in_order(world().spread(found))

    def exact(self, number: int, *groups: int) -> dict[str, Tensor] | None:
        """Sample a batch again, in every process, with products in float32; None if stopped."""
        other = replace(self, products=torch.float32, on_images=lambda images: None)
        return other._values(self.rows[number], number, groups)

    def _terms(
        self,
        q: Density,
        x: Tensor,
        mask: Tensor | None,
        prior: Density,
        k: int,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Draw z from q, and compute log p(x | z) and log p(z) − log q(z | x) in nats, (k, B)."""
        z, log_q, likelihood = self.model.draw(q, k, generator, self.products)
        return likelihood.log_prob(x, mask), prior.log_prob(z) - log_q

    @cached_property
    def _kernels(self) -> dict[int, Kernel]:
        """`_terms`, compiled for numbers of samples."""
        return defaultdict(lambda: Kernel(self._terms))

    def _repays_compiling(self, numbers: Sequence[int], k: int) -> bool:
        """Return whether to compile `_terms` for k samples of each row of some batches."""
        x = self.part.rows([0]).x
        draws, at_once = k * self.images(numbers), decoded_at_a_time(self.model, x)
        return repays_compiling(self.model, self.device, draws, at_once)

    @torch.no_grad()
    def _values(
        self, rows: Tensor, number: int, groups: Sequence[int], *, compiled: bool = False
    ) -> dict[str, Tensor] | None:
        """Compute the values of each row of a batch; None if it is stopped."""
        model = self.model
        x = self.part.rows(rows.tolist()).x.to(self.device)
        mask, prior = self.part.seen(x), model.prior(len(x))
        generator = stream(self.seed, "evaluate", number, device=self.device)
        q, k = model.posterior(x, mask), sum(groups)
        most = min(max(groups), max(1, decoded_at_a_time(model, x) // len(x)))
        log_likelihoods, log_ratios = [], []
        for count in (count for group in groups for count in _split_count(group, most)):
            if self.stop():
                return None
            compute = self._kernels[most] if compiled and count == most else self._terms
            log_likelihood, log_ratio = compute(q, x, mask, prior, count, generator)
            log_likelihoods.append(log_likelihood)
            log_ratios.append(log_ratio)
            self.on_images(len(x) * count / k)
        log_likelihood, log_ratio = torch.cat(log_likelihoods), torch.cat(log_ratios)
        reconstruction, kl = log_likelihood.mean(0), model.prior.kl(q)
        if kl is None:
            kl = -log_ratio.mean(0)
        terms = {"elbo": reconstruction - kl, "reconstruction": reconstruction, "kl": kl}
        # log w_k = log p(x | z_k) + log p(z_k) − log q(z_k | x)
        log_weights = log_likelihood + log_ratio
        few = {"iwae_few": _mean_bound(log_weights, groups[0])} if len(groups) > 1 else {}
        return terms | few | _of_weights(log_weights)


def _mean_bound(log_weights: Tensor, size: int) -> Tensor:
    """Compute the mean bound of the groups of a size after the first, (K, B) → (B,).

    Where there is no other, it is that of the first.
    """
    rest = log_weights[size:] if len(log_weights) >= 2 * size else log_weights[:size]
    count = len(rest) // size
    # 1/G Σ_g log 1/K₁ Σ_{k in g} w_k
    return iwae(rest[: count * size].unflatten(0, (size, count))).mean(0)


def _of_weights(log_weights: Tensor) -> dict[str, Tensor]:
    """Compute the bound of each image, and how far its weights can be trusted."""
    found = {"iwae": iwae(log_weights), "ess": importance_ess(log_weights)}
    enough = len(log_weights) >= _LEAST_K_FOR_K_HAT
    return found | ({"k_hat": pareto_k(log_weights)} if enough else {})


def _in_order(parts: Sequence[dict[str, Tensor]]) -> tuple[Tensor, dict[str, Tensor]]:
    """Join batches in the order of their rows."""
    if not parts:
        return torch.arange(0), {}
    joined = {name: torch.cat([part[name].cpu() for part in parts]) for name in parts[0]}
    order = joined[_ROWS].argsort()
    rows = joined.pop(_ROWS)[order]
    return rows, {name: values[order] for name, values in joined.items()}


def _split_count(total: int, most: int) -> list[int]:
    """Split `total` into parts of at most `most`."""
    return [most] * (total // most) + [total % most] * (total % most > 0)
