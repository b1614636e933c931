"""The thresholds of ordinal columns, learned from where the data are."""

import torch
from torch import Tensor, nn

# A step of Adam moves a parameter by the learning rate, so a threshold moves by ten times that.
_SPEED = 10.0
LEAST_GAP = 1e-5
"""The smallest distance of two thresholds; a smaller one would be lost in rounding."""
_FAR = 1e30  # in the place of ∞, which has no gradient


class LearnedThresholds(nn.Module):
    """Ordered thresholds θ_1 < … < θ_{C−1} of n columns, with different C side by side.

    Args:
        levels: C of each column.
    """

    initial: Tensor
    is_padding: Tensor

    def __init__(self, levels: tuple[int, ...]) -> None:
        super().__init__()
        count = torch.arange(1, max(levels))
        is_padding = count >= torch.tensor(levels)[:, None]
        self.register_buffer("is_padding", is_padding, persistent=False)
        self.register_buffer("initial", count.repeat(len(levels), 1).float())
        self.moves = nn.Parameter(torch.zeros(len(levels), len(count)))

    def begin_at(self, thresholds: Tensor) -> None:
        """Set the initial thresholds, (n, C − 1); those of padding may be anything."""
        self.initial.copy_(torch.where(self.is_padding, self.initial, thresholds.nan_to_num()))

    def forward(self) -> Tensor:
        """Compute the thresholds between −∞ and ∞, (n, C + 1)."""
        # θ_1 = θ°_1 + 10 ρ_1,  θ_{c+1} = θ_c + ε + (θ°_{c+1} − θ°_c − ε) exp 10 ρ_{c+1}
        first = self.initial[:, :1] + _SPEED * self.moves[:, :1]
        gaps = (self.initial.diff(dim=-1) - LEAST_GAP).clamp(min=LEAST_GAP / 10)
        steps = LEAST_GAP + gaps * (_SPEED * self.moves[:, 1:]).exp()
        inner = torch.cat([first, steps], -1).cumsum(-1).masked_fill(self.is_padding, _FAR)
        ends = torch.full_like(first, _FAR)
        return torch.cat([-ends, inner, ends], -1)


class FixedThresholds(nn.Module):
    """Thresholds that are given, (n, C + 1), and not trained."""

    thresholds: Tensor

    def __init__(self, thresholds: Tensor) -> None:
        super().__init__()
        self.register_buffer("thresholds", thresholds)

    def begin_at(self, thresholds: Tensor) -> None:
        """Keep the given thresholds: those of the data do not matter."""

    def forward(self) -> Tensor:
        """Return the thresholds, (n, C + 1)."""
        return self.thresholds


Thresholds = LearnedThresholds | FixedThresholds
