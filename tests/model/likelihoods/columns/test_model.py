"""The observation model of a table: where it starts, and what the encoder sees."""

import math

import pytest
import torch
from torch import Tensor

from elboroom.config import ModelConfig
from elboroom.data import Part
from elboroom.data.statistics import statistics_of
from elboroom.errors import DataError, UsageError
from elboroom.model.likelihoods import TableModel
from elboroom.model.vae import VAE, least_weights
from tests.support.column_cases import MIXED, measured, mixed_rows, with_gaps

CONFIG = ModelConfig(latents=2, hidden=(8,), likelihood="columns", columns=MIXED)


@pytest.fixture(scope="module")
def rows() -> Tensor:
    return with_gaps(mixed_rows(400))


def generator():
    return torch.Generator().manual_seed(0)


def test_every_column_starts_at_its_marginal(rows):
    model = measured(MIXED, rows)
    density = model(torch.zeros(1, model.layout.entries))
    real, other = (rows[:, place] for place in (1, 9))
    for place, x in ((1, real), (9, other)):
        x = x[~x.isnan()].double()
        log = -0.5 * ((x - x.mean()) / x.std(correction=0)).square()
        expected = log - x.std(correction=0).log() - 0.5 * math.log(2 * math.pi)
        given = rows[~rows[:, place].isnan()]
        found = density.log_prob_per_value(given, ~given.isnan())[:, place]
        torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-3)
    for place in (2, 6):  # the mean of counts, and the variance of those that vary more
        x = rows[:, place]
        assert density.mean[0, place].item() == pytest.approx(x.nanmean().item(), rel=0.01)
    draws = model(torch.zeros(20_000, model.layout.entries)).sample(generator())
    spread = rows[:, 6][~rows[:, 6].isnan()].std().item()
    assert draws[:, 6].std().item() == pytest.approx(spread, rel=0.05)
    heavy, skewed = (rows[~rows[:, place].isnan(), place] for place in (4, 7))
    for found, x in ((draws[:, 4], heavy), (draws[:, 7].log(), skewed.log())):
        assert found.std().item() == pytest.approx(x.std().item(), rel=0.05)
        assert (found.mean() - x.mean()).abs() < 0.05 * x.std()
    for place in (0, 3, 5, 8, 10):
        x = rows[:, place]
        x = x[~x.isnan()].long()
        p = density.probabilities(place)[0]
        shares = (x.bincount(minlength=len(p)) + 0.5) / (len(x) + 0.5 * len(p))
        torch.testing.assert_close(p, shares, rtol=1e-4, atol=1e-5)


def test_the_data_bias_changes_nothing_at_an_output_of_zero(rows):
    statistics = statistics_of(Part(rows, None), TableModel(MIXED).measured)
    biased = ModelConfig(**{**vars(CONFIG), "data_bias": True})
    model = VAE.from_config(biased, (11,), generator=generator(), statistics=statistics)
    assert (model.decoder.output_bias == 0).all()
    assert model.likelihood.is_measured


def test_statistics_of_x_itself_are_refused(rows):
    statistics = statistics_of(Part(rows, None))
    with pytest.raises(UsageError, match="TableModel"):
        VAE.from_config(CONFIG, (11,), generator=generator(), statistics=statistics)


def test_the_encoder_sees_standardised_values_levels_and_the_mask(rows):
    model = measured(MIXED, rows)
    mask = ~rows.isnan()
    found = model.encoder_input(rows, mask)
    sizes = [3, 1, 1, 1, 1, 1, 1, 1, 20, 1, 1]
    assert found.shape[1:] == model.input_shape((11,)) == (sum(sizes) + 11,)
    *columns, seen = found.split([*sizes, 11], -1)
    assert torch.equal(seen, mask.float())
    for place, column in enumerate(columns):
        assert (column[~mask[:, place]] == 0).all()
        x, y = rows[mask[:, place], place], column[mask[:, place]]
        if sizes[place] > 1:
            assert torch.equal(y.argmax(-1).float(), x)
            assert (y.sum(-1) == 1).all()
            continue
        if place == 5:
            assert torch.equal(y[:, 0], 2 * x - 1)
            continue
        value = {2: x.log1p(), 6: x.log1p(), 7: x.log()}.get(place, x).double()
        expected = (value - value.mean()) / value.std(correction=0)
        expected = expected.asinh() if place == 4 else expected
        torch.testing.assert_close(y[:, 0].double(), expected, rtol=1e-3, atol=1e-3)


def test_a_whole_row_has_a_mask_of_ones(rows):
    model, x = measured(MIXED, rows), mixed_rows(3)
    whole = model.encoder_input(x, torch.ones_like(x, dtype=torch.bool))
    assert torch.equal(model.encoder_input(x, None), whole)
    assert (whole[:, -11:] == 1).all()


def test_other_models_see_what_they_saw():
    config = ModelConfig(latents=2, hidden=(8,), likelihood="gaussian")
    model = VAE.from_config(config, (4,), generator=generator())
    x, mask = (
        torch.randn(3, 4, generator=generator()),
        torch.rand(3, 4, generator=generator()) < 0.5,
    )
    expected = model.likelihood.standardise(x).masked_fill(~mask, 0.0)
    assert torch.equal(model.likelihood.encoder_input(x, mask), expected)
    assert model.likelihood.input_shape((4,)) == (4,)


def test_pseudo_inputs_start_at_what_the_encoder_sees_of_rows(rows):
    config = ModelConfig(**{**vars(CONFIG), "prior": "vamp", "components": 5})
    statistics = statistics_of(Part(rows, None), TableModel(MIXED).measured)
    model = VAE.from_config(
        config, (11,), generator=generator(), statistics=statistics, images=rows[:5]
    )
    expected = model.likelihood.encoder_input(rows[:5], ~rows[:5].isnan())
    assert torch.equal(model.prior.pseudo_inputs, expected)
    means = model.prior(1).means
    torch.testing.assert_close(means, model.posterior(rows[:5], ~rows[:5].isnan()).mean)
    with pytest.raises(UsageError, match="units of the data are not known"):
        VAE.from_config(config, (11,), generator=generator(), images=rows[:5])


def test_the_least_weights_count_the_inputs_and_the_outputs():
    model = VAE.from_config(CONFIG, (11,), generator=generator())
    weights = sum(p.numel() for part in (model.encoder, model.decoder) for p in part.parameters())
    found = least_weights(CONFIG, (11,))
    assert (32 + 11) * 8 + 8 * 33 < found <= weights


def test_constant_and_empty_columns_have_finite_densities():
    x = torch.stack([torch.ones(9), torch.full((9,), torch.nan), torch.zeros(9)], 1)
    for column, ordered in (("gaussian", "ordinal:3"), ("student-t", "categorical:3")):
        model = measured((column, ordered, "negative-binomial"), x)
        density = model(torch.zeros(9, model.layout.entries))
        assert density.log_prob(x, ~x.isnan()).isfinite().all()
        torch.testing.assert_close(density.probabilities(1)[0], torch.full((3,), 1 / 3))


def test_a_column_beyond_float32_is_named():
    x = torch.stack([torch.arange(4.0), torch.arange(4.0) * 1e-33], 1)
    with pytest.raises(DataError, match="scale of the column 1 is beyond"):
        measured(("gaussian", "gaussian"), x)


def test_the_noise_and_the_thresholds_are_trained(rows):
    model = measured(MIXED, rows)
    assert {name for name, _ in model.named_parameters()} == {"noise.log_ratio", "thresholds.moves"}
    density = model(torch.randn(400, model.layout.entries, generator=generator()))
    density.log_prob(rows, ~rows.isnan()).sum().backward()
    assert model.noise is not None
    assert model.thresholds is not None
    slope = model.noise.log_ratio.grad
    assert ((slope != 0) == torch.tensor([c in (1, 4, 6, 7, 9) for c in range(11)])).all()
    assert (model.thresholds.moves.grad != 0).sum() == 3 + 1
    assert slope.isfinite().all()
    without = TableModel(("bernoulli", "poisson"))
    assert not list(without.parameters())


def test_thresholds_stay_in_order():
    model = TableModel(("ordinal:5", "ordinal:3"))
    assert model.thresholds is not None
    with torch.no_grad():
        model.thresholds.moves += torch.randn(2, 4, generator=generator()) / 2
    found = model.thresholds()
    assert (found[0].diff() > 0).all()
    assert (found[1, :4].diff() > 0).all()
    assert (found[1, 3:] == 1e30).all()
    with torch.no_grad():
        model.thresholds.moves += 40 * torch.tensor([[1.0, -1, -1, -1], [0, -1, 0, 0]])
    density = model(torch.zeros(5, 2))
    x = torch.tensor([0.0, 1, 2, 3, 4])[:, None].expand(-1, 2).clamp(max=torch.tensor([4.0, 2.0]))
    assert density.log_prob(x).isfinite().all()
