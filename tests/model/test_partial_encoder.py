import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.distributions import Normal

from elboroom.config import ModelConfig
from elboroom.errors import UsageError
from elboroom.model.fingerprint import fingerprint
from elboroom.model.partial_encoder import PartialEncoder
from elboroom.model.posteriors import CholeskyGaussian, Density, LadderPosterior
from elboroom.model.vae import VAE
from tests.support.oracles import assert_rejected

EVENT, LATENTS, ROWS = (1, 6, 6), 3, 6
MLP: dict[str, Any] = {"hidden": (8,)}
LADDER: dict[str, Any] = {
    "hidden": (8,),
    "network": "ladder",
    "channels": (4,),
    "level_channels": (2,),
    "activation": "silu",
}
ANY_NETWORK = pytest.mark.parametrize("options", [MLP, LADDER], ids=["mlp", "ladder"])
NETWORKS: list[dict[str, Any]] = [
    MLP,
    {"hidden": (8,), "network": "gated"},
    {"hidden": (8, 8), "network": "residual"},
    {"hidden": (8,), "network": "conv"},
    {"hidden": (8,), "normalisation": "batch"},
    {"hidden": (8,), "posterior": "full"},
]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def attached(options: dict[str, Any], family: Any = "auto", event: tuple[int, ...] = EVENT) -> VAE:
    """A model whose partial encoder says something else than its encoder."""
    config = ModelConfig(latents=LATENTS, **options)
    model = VAE.from_config(config, event, generator=generator(1)).eval()
    if config.network == "ladder":
        model = moved(model)
    partial = PartialEncoder.from_config(model, config, family, generator=generator(2))
    with torch.no_grad():
        for weight in partial.module.parameters():
            weight += 0.1 * torch.randn(weight.shape, generator=generator(3))
    model.partial_encoder = partial
    return model


def moved(model: VAE) -> VAE:
    """Move the weights away from where they start, some of them at zero."""
    noise = generator(3)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.1 * torch.randn(weight.shape, generator=noise)
    return model


def rows() -> tuple[torch.Tensor, torch.Tensor]:
    """Images, and a mask of each: nothing, everything, and others."""
    x = (torch.rand(ROWS, *EVENT, generator=generator(4)) < 0.4).float()
    mask = torch.rand(x.shape, generator=generator(5)) < 0.5
    mask[1], mask[4] = False, True
    return x, mask


def assert_same(found: Density, expected: Density, rows: Any = slice(None)) -> None:
    """Check that some rows of a density are those of another one, exactly."""
    z = torch.randn(4, *found.mean.shape, generator=generator(6))
    assert torch.equal(found.mean[rows], expected.mean)
    assert torch.equal(found.log_prob(z)[:, rows], expected.log_prob(z[:, rows]))


PRIORS: list[dict[str, Any]] = [
    {},
    {"prior": "mixture", "components": 3},
    {"prior": "flow"},
]


@pytest.mark.parametrize(
    ("options", "family"), [(MLP, "diagonal"), (MLP, "full"), (MLP, "flow"), (LADDER, "auto")]
)
@pytest.mark.parametrize("prior", PRIORS, ids=str)
@torch.no_grad()
def test_it_is_the_prior_where_nothing_is_seen_and_q_where_everything_is(
    options: Any, family: str, prior: Any
):
    model, (x, mask) = attached(options | prior, family), rows()
    r = model.amortised_posterior(x, mask)
    assert_same(r, model.prior(1), [1])
    assert_same(r, model.posterior(x[4:5]), [4])
    for nothing in (False, True):
        whole = torch.full_like(mask, not nothing)
        expected = model.prior(ROWS) if nothing else model.posterior(x)
        assert_same(model.amortised_posterior(x, whole), expected)
    assert_same(model.amortised_posterior(x), model.posterior(x))


@ANY_NETWORK
@torch.no_grad()
def test_in_between_each_row_is_what_the_network_answers(options: Any):
    model, (x, mask) = attached(options), rows()
    assert model.partial_encoder is not None
    between = [0, 2, 3, 5]
    alone = model.partial_encoder.between(model, x[between], mask[between])
    assert type(alone) is (LadderPosterior if options is LADDER else CholeskyGaussian)
    assert_same(model.amortised_posterior(x, mask), alone, between)
    assert not torch.allclose(alone.mean, model.posterior(x, mask).mean[between])


@ANY_NETWORK
@torch.no_grad()
def test_neither_an_unseen_value_nor_a_missing_one_counts(options: Any):
    model, (x, mask) = attached(options), rows()
    expected = model.amortised_posterior(x, mask).mean
    other = torch.where(mask, x, 1 - x)
    assert torch.equal(model.amortised_posterior(other, mask).mean, expected)
    missing = torch.where(mask, x, torch.nan)
    assert torch.equal(model.amortised_posterior(missing, mask).mean, expected)


@ANY_NETWORK
@torch.no_grad()
def test_two_masks_of_the_same_seen_ones_differ(options: Any):
    model, (x, mask) = attached(options), rows()
    zeros = torch.zeros_like(x)
    r = model.amortised_posterior(zeros, mask).mean
    assert not torch.allclose(r, model.amortised_posterior(zeros, ~mask).mean)


@pytest.mark.parametrize("options", NETWORKS, ids=str)
@torch.no_grad()
def test_it_starts_at_the_encoder(options: dict[str, Any]):
    config, (x, mask) = ModelConfig(latents=LATENTS, **options), rows()
    model = VAE.from_config(config, EVENT, generator=generator(1)).eval()
    for family in ("full", options.get("posterior", "diagonal")):
        partial = PartialEncoder.from_config(model, config, family, generator=generator())
        r, q = partial.between(model, x, mask), model.posterior(x, mask)
        torch.testing.assert_close(r.mean, q.mean)
        torch.testing.assert_close(r.covariance, q.covariance)


@pytest.mark.parametrize("event", [EVENT, (3, 5, 6), (7,)], ids=str)
@torch.no_grad()
def test_that_of_a_ladder_starts_at_the_encoder(event: tuple[int, ...]):
    config = ModelConfig(latents=LATENTS, **LADDER)
    model = moved(VAE.from_config(config, event, generator=generator(1)).eval())
    x = (torch.rand(ROWS, *event, generator=generator(4)) < 0.4).float()
    mask = torch.rand(x.shape, generator=generator(5)) < 0.5
    partial = PartialEncoder.from_config(model, config, "auto", generator=generator())
    z = torch.randn(4, ROWS, model.latents, generator=generator(6))
    found = partial.between(model, x, mask).log_prob(z)
    torch.testing.assert_close(found, model.posterior(x, mask).log_prob(z))
    assert [*partial.module.network.state_dict()] == [*model.encoder.state_dict()]


@torch.no_grad()
def test_the_density_of_a_ladder_is_the_sum_of_its_levels():
    """Each level is N(m, diag s²), of the state that the decoder has above it."""
    model, (x, mask) = attached(LADDER), rows()
    assert model.partial_encoder is not None
    z = torch.randn(ROWS, model.latents, generator=generator(6))
    r = model.partial_encoder.between(model, x, mask)
    encoder, decoder = model.partial_encoder.network, model.decoder
    given = torch.cat([model.likelihood.encoder_input(x, mask), mask.float()], 1)
    top, *features = encoder(given)
    first, *rest = z.split(decoder.sizes, -1)
    mean, log_std = top.chunk(2, -1)
    expected, state = [Normal(mean, log_std.exp()).log_prob(first).sum(-1)], decoder.top(first)
    for head, of_x, level, eps in zip(encoder.heads, features, decoder.levels, rest, strict=True):
        state = level.enter(state)
        expected.append(Normal(*head(state, of_x)).log_prob(eps).sum(-1))
        state = level.take(state, eps)
    assert len(expected) > 2
    torch.testing.assert_close(r.log_prob(z), sum(expected))
    assert_rejected(lambda: torch.testing.assert_close(r.log_prob(z), sum(expected[1:])))


@pytest.mark.parametrize(
    ("changes", "family", "told"),
    [
        ({}, "full", "cannot have the family full"),
        ({"channels": (5,)}, "auto", "cannot walk down this model's decoder"),
        ({"levels": (1,)}, "auto", "cannot walk down this model's decoder"),
    ],
)
def test_other_levels_than_those_of_the_ladder_are_refused(changes: Any, family: Any, told: str):
    config = ModelConfig(latents=LATENTS, **LADDER)
    model = VAE.from_config(config, EVENT, generator=generator(1)).eval()
    with pytest.raises(UsageError, match=told):
        PartialEncoder.from_config(model, replace(config, **changes), family, generator=generator())
    one_level = VAE.from_config(ModelConfig(hidden=(8,)), EVENT, generator=generator(1)).eval()
    with pytest.raises(UsageError, match=told):
        PartialEncoder.from_config(
            one_level, replace(config, **changes), family, generator=generator()
        )


@ANY_NETWORK
def test_a_model_keeps_its_weights_and_its_fingerprint(options: Any):
    model = attached(options)
    config = ModelConfig(latents=LATENTS, **options)
    other = VAE.from_config(config, EVENT, generator=generator(1))
    if options is LADDER:
        other = moved(other)
    assert fingerprint(model) == fingerprint(other)
    assert [*model.state_dict()] == [*other.state_dict()]
    assert len([*model.parameters()]) == len([*other.parameters()])


@ANY_NETWORK
@torch.no_grad()
def test_it_is_copied_and_converted_with_the_model(options: Any):
    model, (x, mask) = attached(options), rows()
    wide = copy.deepcopy(model).double()
    assert wide.partial_encoder is not None
    assert wide.partial_encoder is not model.partial_encoder
    weights = wide.partial_encoder.module.parameters()
    assert {weight.dtype for weight in weights} == {torch.float64}
    r = wide.amortised_posterior(x, mask)
    assert r.mean.dtype == torch.float64
    # The mean of a ladder is that of draws, whose noise depends on the type.
    z = torch.randn(4, *r.mean.shape, generator=generator(6))
    expected = model.amortised_posterior(x, mask).log_prob(z)
    torch.testing.assert_close(r.log_prob(z.double()).float(), expected)


@ANY_NETWORK
@torch.no_grad()
def test_models_of_16_and_64_bits_have_one_of_32(options: Any):
    """It is trained in float32 whatever the model computes in."""
    model, (x, mask) = attached(options), rows()
    z = torch.randn(4, ROWS, model.latents, generator=generator(6))
    partial = model.partial_encoder
    assert partial is not None
    expected = partial.between(model, x, mask).log_prob(z)
    for dtype, error in ((torch.bfloat16, 0.05), (torch.float64, 1e-5)):
        other = copy.deepcopy(model)
        other.partial_encoder = None
        found = partial.between(other.to(dtype), x, mask).log_prob(z)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected, rtol=error, atol=error)


@ANY_NETWORK
@torch.no_grad()
def test_weights_of_16_bits_give_a_density_of_32(options: Any):
    model, (x, mask) = attached(options), rows()
    expected = model.amortised_posterior(x, mask)
    r = copy.deepcopy(model).bfloat16().amortised_posterior(x, mask)
    z, log_r = r.draw(4, generator(6))
    assert (z.dtype, log_r.dtype) == (torch.float32, torch.float32)
    torch.testing.assert_close(log_r, expected.log_prob(z), rtol=0.1, atol=0.1)


@pytest.mark.parametrize("options", [{"hidden": (8,)}, {"hidden": (8,), "posterior": "laplace"}])
@torch.no_grad()
def test_rows_of_a_table(options: dict[str, Any]):
    columns = ("gaussian", "categorical:3", "poisson")
    table = options | {"likelihood": "columns", "columns": columns, "data_bias": False}
    model = attached(table, "full", (3,))
    x = torch.tensor([[0.5, 2.0, 3.0], [1.0, torch.nan, 0.0]])
    r = model.amortised_posterior(x, ~x.isnan())
    assert torch.equal(r.mean[0], model.posterior(x[:1]).mean[0])
    assert r.mean.isfinite().all()
