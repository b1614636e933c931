"""The probability of levels with and without derivatives."""

import torch

from elboroom.model.likelihoods import levels


def test_the_probability_is_the_same_bits_with_and_without_derivatives():
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(256, (300, 1, 40), generator=generator) / 255
    location = torch.rand(300, 10, 40, generator=generator)
    scale = torch.rand(10, 1, generator=generator) + 0.001
    mask = torch.rand(300, 1, 40, generator=generator) < 0.7
    for seen in (None, mask):
        alone = levels.mass(x, location, scale, seen).log
        for graph in (True, False):
            with torch.set_grad_enabled(graph):
                assert torch.equal(levels.log_mass(x, location, scale, seen), alone)
