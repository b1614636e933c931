"""Pairs of a latent and what is seen: what a partial encoder learns from."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.data import Part
from elboroom.model.vae import VAE
from elboroom.randomness import uniforms
from elboroom.training.amortisation.masks import random_masks


@dataclass(frozen=True)
class Pairs:
    """Triples of z, x and mask.

    Attributes:
        z: (B, D).
        x: (B, *event), NaN where a value is missing.
        mask: (B, *event), True where a value is seen; False where it is missing.
    """

    z: Tensor
    x: Tensor
    mask: Tensor

    @classmethod
    def join(cls, parts: "list[Pairs]") -> "Pairs":
        """Concatenate the rows of all parts."""
        return cls(*(torch.cat([getattr(p, name) for p in parts]) for name in ("z", "x", "mask")))

    def under(self, mask: Tensor) -> "Pairs":
        """Return the same pairs, seen where they were and `mask` is True."""
        return Pairs(self.z, self.x, self.mask & mask)

    def half_seen(self, generator: torch.Generator) -> "Pairs":
        """Return the same pairs, each value seen with probability ½."""
        return self.under(uniforms(self.x.shape, self.x, generator) < 0.5)


@dataclass(frozen=True)
class PairSource:
    """A model, and rows of its data, that pairs are drawn from.

    Attributes:
        model: in evaluation mode.
        part: rows of the data, on the device of the model or on disk.
        data_share: the share of the pairs that are rows of the data.
        data_draws: draws of q for each of these, of which one is taken by its weight.
    """

    model: VAE
    part: Part
    data_share: float
    data_draws: int

    def draw(self, count: int, generator: torch.Generator) -> Pairs:
        """Draw pairs and their masks, `count` rows."""
        of_data = round(self.data_share * count)
        parts = [self.of_data(of_data, generator)] if of_data else []
        if count > of_data:
            parts.append(self.of_model(count - of_data, generator))
        whole = Pairs.join(parts)
        shape = self.model.event_shape
        return whole.under(random_masks(count, shape, whole.x, generator))

    @torch.no_grad()
    def of_model(self, count: int, generator: torch.Generator) -> Pairs:
        """Draw z ~ p(z) and x ~ p(x | z): given x_seen, such z are from p(z | x_seen)."""
        z = self.model.prior(count).sample(1, generator)[0]
        x = self.model.decode(z).sample(generator)
        return Pairs(z, x, torch.ones_like(x, dtype=torch.bool))

    @torch.no_grad()
    def of_data(self, count: int, generator: torch.Generator) -> Pairs:
        """Draw rows x of the data, and z of q(z | x), moved towards p(z | x) by weights.

        Of some draws of q one is taken by w = p(x, z) / q(z | x), as in the reweighted wake phase
        of Bornschein & Bengio (2015). A single draw is one of q, and as wrong as the encoder is.
        """
        rows, device = len(self.part), generator.device
        index = torch.randint(rows, (count,), generator=generator, device=device)
        x = self.part.batch(index.to(self.part.device), generator)
        seen = self.part.seen(x)
        q = self.model.posterior(x, seen)
        if self.data_draws == 1:
            return Pairs(q.sample(1, generator)[0], x, ~x.isnan())
        z, log_q, likelihood = self.model.draw(q, self.data_draws, generator)
        log_w = likelihood.log_prob(x, seen) + self.model.prior(count).log_prob(z) - log_q
        which = torch.multinomial(log_w.softmax(0).T, 1, generator=generator)[:, 0]
        return Pairs(z[which, torch.arange(count, device=device)], x, ~x.isnan())
