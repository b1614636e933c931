"""The information of levels is the sum over all 256 of them."""

import pytest
import torch
from torch import Tensor

from elboroom.model.likelihoods import levels

LEVELS = torch.arange(256, dtype=torch.float64)[:, None] / 255


def enumerated(location: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Sum P (∂ log P)² over all levels."""
    found = levels.mass(LEVELS, location, scale, None)
    p = found.log.exp()
    return tuple((p * by.square()).sum(0) for by in found[1:])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_information_is_the_sum_over_all_levels(dtype: torch.dtype):
    generator = torch.Generator().manual_seed(0)
    # Locations beyond black and white, and scales of 0.05 to 500 steps
    location = torch.empty(4_000, dtype=dtype).uniform_(-0.3, 1.3, generator=generator)
    scale = torch.empty_like(location).uniform_(-8.5, 0.7, generator=generator).exp()
    on_location, on_log_scale = levels.information(location, scale)
    expected = enumerated(location.double(), scale.double())
    off = (on_location - expected[0]) * scale.double().square()
    assert off.abs().max() < 3e-4
    assert (on_log_scale - expected[1]).abs().max() < 3e-4


def test_without_an_end_near_it_is_that_of_a_logistic():
    # 1/3 s⁻² and (3 + π²)/9
    location, scale = torch.tensor([0.5]), torch.tensor([0.02])
    on_location, on_log_scale = levels.information(location, scale)
    assert (on_location * scale.square()).item() == pytest.approx(1 / 3, rel=0.01)
    assert on_log_scale.item() == pytest.approx((3 + torch.pi**2) / 9, rel=0.01)
