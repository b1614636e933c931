"""The mixture of discretised logistics, against independent code and enumeration."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import (
    AffineTransform,
    SigmoidTransform,
    TransformedDistribution,
    Uniform,
)

from elboroom.config import ModelConfig
from elboroom.errors import UsageError
from elboroom.model.likelihoods import (
    DiscretizedLogisticMixture,
    VectorMixture,
    mixture_blocks,
    observation_model,
)
from elboroom.model.likelihoods.levels import mean_level
from tests.support.oracles import assert_mean, assert_rejected

K = 10
LEVELS = torch.arange(256).double() / 255
COLOUR = (3, 2, 2)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def parameter(rows: int = 3, channels: int = 3, seed: int = 0, *, wide: bool = False) -> Tensor:
    """A parameter (rows, K (1 + 2 C), 2, 2), scales from below a step to a third of the range.

    Where they are wide they are a twentieth or more: no tail is far away.
    """
    found = torch.randn(rows, K * (1 + 2 * channels), 2, 2, generator=generator(seed)).double()
    raw = found[:, K * (1 + channels) :]
    found[:, K * (1 + channels) :] = raw.abs() if wide else 3 * raw - 1.5
    return found


def levels(rows: int, *event: int, seed: int = 1) -> Tensor:
    """Random levels, black and white among them."""
    found = torch.randint(256, (rows, *event), generator=generator(seed))
    found[0], found[1, 0] = 0, 255
    return found.double() / 255


def some(x: Tensor, seed: int = 2) -> Tensor:
    """A mask of single channels; the first row sees nothing, the last everything."""
    mask = torch.rand(x.shape, generator=generator(seed)) < 0.5
    mask[0], mask[-1] = False, True
    return mask


def components(entries: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Read weights (K,), locations and scales (K, C) of one pixel from its entries."""
    weights = entries[:K].exp() / entries[:K].exp().sum()
    shift, raw = entries[K:].reshape(2, K, -1)
    places = torch.linspace(0.05, 0.95, K).double()[:, None]
    return weights, places + shift / 2, 1 / 2040 + 0.1 * (1 + raw.exp()).log() / math.log(2)


def probability(x: Tensor, location: Tensor, scale: Tensor) -> Tensor:
    """P(x) of a logistic that is rounded to levels, by the distributions of PyTorch."""
    to_logistic = [SigmoidTransform().inv, AffineTransform(location, scale)]
    uniform = Uniform(torch.zeros_like(location), torch.ones_like(location))
    logistic = TransformedDistribution(uniform, to_logistic)
    upper = torch.where(x > 1 - 1 / 510, 1.0, logistic.cdf(x + 1 / 510))
    return upper - torch.where(x < 1 / 510, 0.0, logistic.cdf(x - 1 / 510))


def by_hand(entries: Tensor, x: Tensor, mask: Tensor) -> Tensor:
    """log p(x_seen | z) of one pixel: x and mask (C,)."""
    weights, locations, scales = components(entries)
    masses = probability(x, locations, scales)
    return (weights * torch.where(mask, masses, 1.0).prod(-1)).sum().log()


@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_the_mixture_of_logistics_by_hand(channels: int):
    entries = parameter(4, channels, wide=True)  # PyTorch's distributions cancel in far tails
    x = levels(4, channels, 2, 2)
    mask = some(x)
    expected = [
        sum(
            by_hand(entries[row, :, i, j], x[row, :, i, j], mask[row, :, i, j])
            for i in range(2)
            for j in range(2)
        )
        for row in range(4)
    ]
    found = DiscretizedLogisticMixture(entries).log_prob(x.masked_fill(~mask, torch.nan), mask)
    torch.testing.assert_close(found, torch.stack(expected))
    assert found[0] == 0
    assert found[3] == DiscretizedLogisticMixture(entries).log_prob(x)[3]


def enumerated(entries: Tensor, channels: int) -> tuple[Tensor, Tensor]:
    """All colours (V, C, 1, 1) of one pixel, and the mixture (V, …) of it."""
    values = torch.cartesian_prod(*[LEVELS] * channels).view(-1, channels, 1, 1)
    wide = entries.view(1, -1, 1, 1).expand(len(values), -1, -1, -1)
    return values, DiscretizedLogisticMixture(wide)


@pytest.mark.parametrize("channels", [1, 2])
def test_the_probabilities_of_all_colours_sum_to_one(channels: int):
    values, p = enumerated(parameter(1, channels)[0, :, 0, 0], channels)
    total = p.log_prob(values).exp().sum()
    torch.testing.assert_close(total, torch.tensor(1.0).double(), atol=1e-12, rtol=0)


def test_an_unseen_channel_is_integrated_out():
    entries = parameter(1, 2)[0, :, 0, 0]
    values, p = enumerated(entries, 2)
    joint = p.log_prob(values).view(256, 256)
    for channel in range(2):
        mask = torch.zeros(2, 1, 1, dtype=torch.bool)
        mask[channel] = True
        seen = values.masked_fill(~mask, torch.nan)
        found = p.log_prob(seen, mask.expand_as(values)).view(256, 256)
        expected = joint.logsumexp(1 - channel, keepdim=True).expand(256, 256)
        torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)


def test_what_is_unseen_is_drawn_given_what_is_seen():
    entries, x = parameter(4), levels(4, *COLOUR)
    mask = some(x)
    p = DiscretizedLogisticMixture(entries)
    torn = x.masked_fill(~mask, torch.nan)
    conditional = p.given(torn, mask)
    # p(x) = p(x_seen) p(x_unseen | x_seen)
    found = p.log_prob(torn, mask) + conditional.log_prob(x, ~mask)
    torch.testing.assert_close(found, p.log_prob(x))
    apart = p.log_prob(torn, mask) + p.log_prob(x, ~mask)
    assert_rejected(lambda: torch.testing.assert_close(apart, p.log_prob(x)))
    several = DiscretizedLogisticMixture(entries[None].expand(3, -1, -1, -1, -1)).given(torn, mask)
    torch.testing.assert_close(several.parameter[2], conditional.parameter)


def test_each_value_alone_has_its_marginal():
    entries, x = parameter(4), levels(4, *COLOUR)
    p, mask = DiscretizedLogisticMixture(entries), some(x)
    found = p.log_prob_per_value(x.masked_fill(~mask, torch.nan), mask)
    assert (found[~mask] == 0).all()
    for place in mask.nonzero():
        alone = torch.zeros_like(mask)
        alone[tuple(place)] = True
        torch.testing.assert_close(found[tuple(place)], p.log_prob(x, alone)[place[0]])


@pytest.mark.parametrize("masked", [False, True])
def test_its_score_is_the_gradient_of_its_log_prob(masked: bool):
    x = levels(4, *COLOUR)
    mask = some(x) if masked else None
    x = x if mask is None else x.masked_fill(~mask, torch.nan)
    entries = parameter(4).requires_grad_()
    log_prob = DiscretizedLogisticMixture(entries).log_prob(x, mask)
    expected = torch.autograd.grad(log_prob.sum(), entries)[0]
    found = DiscretizedLogisticMixture(entries.detach()).score(x, mask)
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)
    if mask is not None:
        bears = DiscretizedLogisticMixture.parameter_mask(mask)
        assert (found[~bears] == 0).all()
        assert (found[bears] != 0).double().mean() > 0.8  # the others underflow


def test_its_gradient_agrees_with_finite_differences():
    entries, x = parameter(2), levels(2, *COLOUR)
    mask = torch.rand(x.shape, generator=generator()) < 0.6
    shift = torch.zeros(2, 70, 2, 2, dtype=torch.float64, requires_grad=True)

    def log_prob(shift: Tensor) -> Tensor:
        return DiscretizedLogisticMixture(entries + shift).log_prob(x, mask)

    assert torch.autograd.gradcheck(log_prob, shift, fast_mode=True)


def test_a_second_derivative_is_refused():
    entries = parameter(1).requires_grad_()
    log_prob = DiscretizedLogisticMixture(entries).log_prob(levels(2, *COLOUR)[:1])
    with pytest.raises(UsageError, match="no second derivative"):
        torch.autograd.grad(log_prob.sum(), entries, create_graph=True)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # of the forward mode
def test_the_information_is_that_of_a_pixel_and_its_component():
    entries = parameter(1, 1, seed=3, wide=True)[0, :, 0, 0]

    def log_joint(entries: Tensor) -> Tensor:
        """log π_k P(x | k), (K, 256)."""
        weights, locations, scales = components(entries)
        return weights.log()[:, None] + probability(LEVELS, locations, scales).log()

    slopes = torch.autograd.functional.jacobian(
        log_joint, entries, vectorize=True, strategy="forward-mode"
    )
    mass = log_joint(entries).exp()
    # E[(∂ log p(x, k))²]
    expected = (mass[..., None] * slopes.square()).nan_to_num().sum((0, 1))
    p = DiscretizedLogisticMixture(entries.view(1, -1, 1, 1))
    found = p.information().flatten()
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)
    # It is no less than the information of x alone.
    values, each = enumerated(entries, 1)
    alone = (each.log_prob(values).exp() * each.score(values).flatten(1).square().T).sum(1)
    assert (found >= alone - 1e-9).all()
    assert (found > 1.5 * alone).any()
    mask = torch.zeros(1, 1, 1, 1, dtype=torch.bool)
    assert (p.information(mask) == 0).all()


def test_where_one_component_has_all_weight_the_information_is_exact():
    entries = parameter(1, 1, seed=4)[0, :, 0, 0]
    entries[0] = 60.0
    values, each = enumerated(entries, 1)
    expected = (each.log_prob(values).exp() * each.score(values).flatten(1).square().T).sum(1)
    found = DiscretizedLogisticMixture(entries.view(1, -1, 1, 1)).information().flatten()
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)


def test_the_score_of_draws_has_no_mean():
    p = DiscretizedLogisticMixture(parameter(1, wide=True)[..., :1, :1].expand(10_000, -1, -1, -1))
    x = p.sample(generator())
    assert_mean(p.score(x), 0.0)
    assert_rejected(lambda: assert_mean(p.score((x + 0.2).clamp(max=1)), 0.0))


def test_its_mean_and_its_draws_are_those_of_the_density():
    entries = parameter(1, 2)
    values, each = enumerated(entries[0, :, 0, 0], 2)
    mass, colours = each.log_prob(values).exp(), values[:, :, 0, 0]
    mean = mass @ colours
    p = DiscretizedLogisticMixture(entries[..., :1, :1])
    torch.testing.assert_close(p.mean[0, :, 0, 0], mean, atol=1e-6, rtol=0)
    wide = DiscretizedLogisticMixture(entries[..., :1, :1].expand(40_000, -1, -1, -1))
    draws = wide.sample(generator())[..., 0, 0]
    assert DiscretizedLogisticMixture.fits(draws).all()
    moments = torch.cat([draws, draws.square(), draws.prod(-1, keepdim=True)], -1)
    expected = mass @ torch.cat([colours, colours.square(), colours.prod(-1, keepdim=True)], -1)
    assert_mean(moments, expected)
    # The channels of a pixel go together.
    assert_rejected(lambda: assert_mean(moments[:, -1], mean.prod()))


def test_the_table_holds_every_event_under_every_parameter():
    entries, x = parameter(5), levels(4, *COLOUR)
    mask = some(x)
    torn = x.masked_fill(~mask, torch.nan)
    found = DiscretizedLogisticMixture(entries).log_prob_table(torn, mask)
    each = [DiscretizedLogisticMixture(row.expand(4, -1, -1, -1)) for row in entries]
    torch.testing.assert_close(found, torch.stack([p.log_prob(torn, mask) for p in each]))


def test_a_vector_has_a_mixture_for_each_value():
    entries, x = parameter(3, 1).flatten(2), levels(3, 4)
    mask = some(x)
    vectors = VectorMixture(entries)
    rows = DiscretizedLogisticMixture(entries.unsqueeze(-2))
    torch.testing.assert_close(
        vectors.log_prob(x, mask), rows.log_prob(x[:, None, None], mask[:, None, None])
    )
    torch.testing.assert_close(vectors.mean, rows.mean[:, 0, 0])
    torch.testing.assert_close(
        vectors.score(x, mask), rows.score(x[:, None, None], mask[:, None, None])[..., 0, :]
    )
    assert vectors.sample(generator()).shape == x.shape
    assert vectors.given(x, mask).log_prob(x, ~mask).shape == (3,)
    torch.testing.assert_close(vectors.log_prob_per_value(x).sum(-1), vectors.log_prob(x))


@pytest.mark.parametrize("event", [(3, 4, 5), (1, 2, 7), (6,)])
def test_only_the_pixels_that_are_needed_remain(event: tuple[int, ...]):
    kind = DiscretizedLogisticMixture.for_events(event)
    shape = kind.parameter_shape(event)
    entries = torch.randn(3, *shape, generator=generator()).double()
    x = levels(3, *event)
    needed = torch.rand(event, generator=generator()) < 0.3
    mask = needed & (torch.rand(x.shape, generator=generator()) < 0.7)
    values, kept = kind.restriction(needed)
    assert kept.shape == kind.parameter_shape(tuple(values.shape))
    small = kind(entries.flatten(1)[:, kept])
    found = small.log_prob(x.flatten(1)[:, values], mask.flatten(1)[:, values])
    torch.testing.assert_close(found, kind(entries).log_prob(x, mask))
    assert values.numel() == kind.sites(needed).sum()


def test_a_parameter_of_given_moments():
    mean = torch.tensor([0.3, 0.5, 0.45]).double().view(3, 1, 1)
    std = torch.tensor([0.05, 0.1, 0.02]).double().view(3, 1, 1)
    entries = DiscretizedLogisticMixture.parameter_of(mean, std)
    assert entries.shape == (70, 1, 1)
    p = DiscretizedLogisticMixture(entries.expand(20_000, -1, -1, -1))
    draws = p.sample(generator())
    assert_mean(draws, mean)
    torch.testing.assert_close(draws.std(0), std, rtol=0.03, atol=0)


def test_an_output_of_zero_spreads_the_components_evenly():
    p = DiscretizedLogisticMixture(torch.zeros(256, 30, 1, 1).double())
    mass = p.log_prob(LEVELS.view(256, 1, 1, 1)).exp()
    assert 0.3 / 256 < mass[1:-1].min() < mass[1:-1].max() < 1.3 / 256
    assert p.mean[0].item() == pytest.approx(0.5)


def test_gradients_are_finite_far_away_in_float32():
    entries = (40 * parameter(4).float()).requires_grad_()
    log_prob = DiscretizedLogisticMixture(entries).log_prob(levels(4, *COLOUR).float())
    assert log_prob.isfinite().all()
    assert torch.autograd.grad(log_prob.sum(), entries)[0].isfinite().all()
    p = DiscretizedLogisticMixture(entries.detach())
    assert p.information().isfinite().all()
    assert p.mean.isfinite().all()


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (2, 20, 8, 8), (2, 75, 8, 8), (70, 8)])
def test_another_output_is_no_parameter(shape: tuple[int, ...]):
    with pytest.raises(UsageError, match="is no parameter of a mixture"):
        DiscretizedLogisticMixture(torch.zeros(shape))


def test_a_vector_has_no_channels():
    with pytest.raises(UsageError, match="is no parameter of a mixture"):
        VectorMixture(torch.zeros(2, 70, 5))


def test_the_model_of_a_config_follows_the_event():
    config = ModelConfig(likelihood="discretized-logistic-mixture")
    assert observation_model(config, COLOUR).density is DiscretizedLogisticMixture
    assert observation_model(config, (7,)).density is VectorMixture
    with pytest.raises(UsageError, match="neither pictures"):
        observation_model(config, (2, 3))


def test_the_mean_of_a_rounded_logistic_is_the_sum_of_its_tails():
    location = torch.linspace(-0.3, 1.3, 401, dtype=torch.float64)[:, None]
    # from the least scale, over the limit between two ways to compute it, to very wide ones
    steps = torch.tensor([0.125, 0.4, 0.99, 1.0, 1.01, 2.0, 30.0, 500.0], dtype=torch.float64)
    k = torch.arange(1, 256, dtype=torch.float64).view(-1, 1, 1)
    expected = torch.sigmoid((location - (k - 0.5) / 255) / (steps / 255)).sum(0) / 255
    found = mean_level(location, steps / 255)
    torch.testing.assert_close(found, expected, atol=1e-8, rtol=0)
    single = mean_level(location.float(), steps.float() / 255)
    torch.testing.assert_close(single.double(), expected, atol=3e-6, rtol=0)


@pytest.mark.parametrize("event", [(3, 5, 4), (9,)])
def test_blocks_of_any_size_have_the_value_and_the_gradient_of_whole_arrays(
    monkeypatch: pytest.MonkeyPatch, event: tuple[int, ...]
):
    kind = DiscretizedLogisticMixture.for_events(event)
    g = generator(7)
    shape = kind.parameter_shape(event)
    entries = torch.randn(2, 1, *shape, generator=g, dtype=torch.float64, requires_grad=True)
    x = torch.randint(256, (4, *event), generator=g) / 255
    mask = torch.rand(1, *event, generator=g) < 0.6

    def found(density_of: Any) -> tuple[Tensor, Tensor]:
        value = density_of(kind(entries))
        return value, torch.autograd.grad(value.square().sum(), entries)[0]

    for seen in (None, mask):
        expected = found(lambda density, seen=seen: density.log_prob_at_once(x, seen))
        for size in (1, 100, 10_000):
            monkeypatch.setattr(mixture_blocks, "_ENTRIES", size)
            torch.testing.assert_close(found(lambda d, seen=seen: d.log_prob(x, seen)), expected)
            with torch.no_grad():
                torch.testing.assert_close(kind(entries).log_prob(x, seen), expected[0])


def test_what_is_computed_with_the_score_has_no_graph():
    x = torch.zeros(1, *COLOUR)
    entries = parameter(3).requires_grad_()
    found = DiscretizedLogisticMixture(entries).log_prob_and_score(x)
    assert not any(tensor.requires_grad for tensor in found)


@pytest.mark.parametrize("graph", [True, False])
def test_events_without_a_pixel_and_batches_without_an_event_are_scored(graph: bool):
    with torch.set_grad_enabled(graph):
        assert (
            VectorMixture(torch.zeros(5, 3 * K, 0)).log_prob(torch.zeros(5, 0)).tolist() == [0] * 5
        )
        assert VectorMixture(torch.zeros(0, 3 * K, 4)).log_prob(torch.zeros(0, 4)).shape == (0,)
