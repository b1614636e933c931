"""The share of a batch that one of several processes computes."""

from dataclasses import dataclass

from torch import Tensor

from elboroom.device import World


@dataclass(frozen=True)
class Share:
    """The rows of a batch that this process computes.

    Every process takes part in every reduction. One without rows of its own, since the batch has
    fewer rows than there are processes, computes the first row of the batch, which does not count.

    Attributes:
        rows: (b,), rows of the part.
        counted: the number of rows that count, b or 0.
        batch: B, the number of rows of the batch.
        world: the processes.
    """

    rows: Tensor
    counted: int
    batch: int
    world: World

    @classmethod
    def of(cls, index: Tensor, world: World) -> "Share":
        """Return the share of this process of a batch of rows (B,)."""
        own = index[world.part_of(len(index))]
        return cls(own if len(own) else index[:1], len(own), len(index), world)

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean over all rows of the batch, (b, …) → (…).

        Its gradient is that of this share, scaled so that `loss` brings it to that of the batch.
        """
        own = values.mean(0)
        if self.world.size == 1:
            return own
        # 1/B Σ_r Σ_own v, whose gradient enters the loss of this process b/B times
        total = self.world.sum(values[: self.counted].sum(0)) / self.batch
        return own + (total - own).detach()

    def loss(self, value: Tensor) -> Tensor:
        """Return the loss of this share of a bound (b,); its mean over the processes is the loss.

        A step minimises −1/B Σ_b L(x_b).
        """
        # −1/B Σ_b L(x_b) = 1/R Σ_r ℓ_r,  ℓ_r = −R/B Σ_own L(x_b) for R processes
        return -value[: self.counted].sum() / (self.batch / self.world.size)
