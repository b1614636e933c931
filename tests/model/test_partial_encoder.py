import copy
from typing import Any

import pytest
import torch

from elboroom.config import ModelConfig
from elboroom.model.fingerprint import fingerprint
from elboroom.model.partial_encoder import PartialEncoder
from elboroom.model.posteriors import CholeskyGaussian, Density
from elboroom.model.vae import VAE

EVENT, LATENTS, ROWS = (1, 6, 6), 3, 6
MLP = {"hidden": (8,)}
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
    partial = PartialEncoder.from_config(model, config, family, generator=generator(2))
    with torch.no_grad():
        for weight in partial.module.parameters():
            weight += 0.1 * torch.randn(weight.shape, generator=generator(3))
    model.partial_encoder = partial
    return model


def rows() -> tuple[torch.Tensor, torch.Tensor]:
    """Images, and a mask of each: nothing, everything, and others."""
    x = (torch.rand(ROWS, *EVENT, generator=generator(4)) < 0.4).float()
    mask = torch.rand(x.shape, generator=generator(5)) < 0.5
    mask[1], mask[4] = False, True
    return x, mask


def assert_same(found: Density, expected: Density, rows: Any = slice(None)) -> None:
    """Check that some rows of a density are those of another one, exactly."""
    z = torch.randn(4, ROWS, LATENTS, generator=generator(6))
    assert torch.equal(found.mean[rows], expected.mean)
    assert torch.equal(found.log_prob(z)[:, rows], expected.log_prob(z[:, rows]))


PRIORS: list[dict[str, Any]] = [
    {},
    {"prior": "mixture", "components": 3},
    {"prior": "flow"},
]


@pytest.mark.parametrize("family", ["diagonal", "full", "flow"])
@pytest.mark.parametrize("prior", PRIORS, ids=str)
@torch.no_grad()
def test_it_is_the_prior_where_nothing_is_seen_and_q_where_everything_is(family: str, prior: Any):
    model, (x, mask) = attached(MLP | prior, family), rows()
    r = model.amortised_posterior(x, mask)
    assert_same(r, model.prior(1), [1])
    assert_same(r, model.posterior(x[4:5]), [4])
    for nothing in (False, True):
        whole = torch.full_like(mask, not nothing)
        expected = model.prior(ROWS) if nothing else model.posterior(x)
        assert_same(model.amortised_posterior(x, whole), expected)
    assert_same(model.amortised_posterior(x), model.posterior(x))


@torch.no_grad()
def test_in_between_each_row_is_what_the_network_answers():
    model, (x, mask) = attached(MLP), rows()
    assert model.partial_encoder is not None
    between = [0, 2, 3, 5]
    alone = model.partial_encoder.between(model, x[between], mask[between])
    assert type(alone) is CholeskyGaussian
    assert_same(model.amortised_posterior(x, mask), alone, between)
    assert not torch.allclose(alone.mean, model.posterior(x, mask).mean[between])


@torch.no_grad()
def test_neither_an_unseen_value_nor_a_missing_one_counts():
    model, (x, mask) = attached(MLP), rows()
    expected = model.amortised_posterior(x, mask).mean
    other = torch.where(mask, x, 1 - x)
    assert torch.equal(model.amortised_posterior(other, mask).mean, expected)
    missing = torch.where(mask, x, torch.nan)
    assert torch.equal(model.amortised_posterior(missing, mask).mean, expected)


@torch.no_grad()
def test_two_masks_of_the_same_seen_ones_differ():
    model, (x, mask) = attached(MLP), rows()
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


def test_a_model_keeps_its_weights_and_its_fingerprint():
    model = attached(MLP)
    other = VAE.from_config(
        ModelConfig(latents=LATENTS, hidden=(8,)), EVENT, generator=generator(1)
    )
    assert fingerprint(model) == fingerprint(other)
    assert [*model.state_dict()] == [*other.state_dict()]
    assert len([*model.parameters()]) == len([*other.parameters()])


@torch.no_grad()
def test_it_is_copied_and_converted_with_the_model():
    model, (x, mask) = attached(MLP), rows()
    wide = copy.deepcopy(model).double()
    assert wide.partial_encoder is not None
    assert wide.partial_encoder is not model.partial_encoder
    weights = wide.partial_encoder.module.parameters()
    assert {weight.dtype for weight in weights} == {torch.float64}
    r = wide.amortised_posterior(x, mask)
    assert r.mean.dtype == torch.float64
    torch.testing.assert_close(r.mean.float(), model.amortised_posterior(x, mask).mean)


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
