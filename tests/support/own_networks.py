"""Convolutional networks as users write them: no contract of elboroom's, no widening."""

import torch
from torch import Tensor, nn

EVENT = (1, 8, 8)


class OwnEncoder(nn.Module):
    """x (B, 1, 8, 8) → mean and log standard deviation."""

    def __init__(self, latents: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 4, 2, stride=2)
        self.last = nn.Linear(4 * 16, 2 * latents)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.last(torch.tanh(self.convolution(x)).flatten(1)).chunk(2, -1)


class FlatDecoder(nn.Module):
    """z (B, D) → (B, 1, 8, 8): it flattens samples into the batch."""

    def __init__(self, latents: int) -> None:
        super().__init__()
        self.first = nn.Linear(latents, 64)
        self.convolution = nn.ConvTranspose2d(16, 1, 4, stride=4)

    def forward(self, z: Tensor) -> Tensor:
        return self.convolution(torch.tanh(self.first(z)).view(-1, 16, 2, 2))


class OwnDecoder(FlatDecoder):
    """The same, which keeps the leading axes."""

    def forward(self, z: Tensor) -> Tensor:
        return super().forward(z).unflatten(0, z.shape[:-1])


def own_pair(event_shape: tuple[int, ...], latents: int) -> tuple[nn.Module, nn.Module]:
    """Make networks: the contract of a factory."""
    assert event_shape == EVENT
    return OwnEncoder(latents), OwnDecoder(latents)
