"""The product over the columns of a table: order, restriction, levels and errors."""

import copy
import pickle

import pytest
import torch

from elboroom.config import ModelConfig
from elboroom.data import Part
from elboroom.errors import DataError, UsageError
from elboroom.model.likelihoods import (
    FixedNoise,
    TableModel,
    columns_class,
    likelihood_class,
    observation_model,
    require_support,
)
from elboroom.model.likelihoods.columns.layout import Layout
from tests.support.column_cases import (
    MIXED,
    density_of,
    measured,
    mixed_rows,
    outputs,
    with_gaps,
)
from tests.support.oracles import assert_rejected


@pytest.fixture(scope="module")
def model():
    found = measured(MIXED, with_gaps(mixed_rows(300))).double().requires_grad_(False)
    assert found.noise is not None
    assert found.thresholds is not None
    found.noise.log_ratio += torch.linspace(-0.1, 0.1, len(MIXED))
    found.thresholds.moves += torch.linspace(-0.1, 0.1, 6).view(2, 3)
    return found


def alone(model, place):
    """Return the model of one column, and the entries of its parameter."""
    entries = (model.layout.on(torch.device("cpu")).owner == place).nonzero()[:, 0]
    return model.restricted_to(torch.tensor([place]), (len(MIXED),)), entries


def test_a_row_is_the_product_of_its_columns(model):
    x, parameter = mixed_rows(5).double(), outputs(model, 3, 5)
    density = model(parameter)
    each = []
    for place, name in enumerate(MIXED):
        small, entries = alone(model, place)
        assert small.columns == (name,)
        each.append(small(parameter[..., entries]).log_prob(x[:, [place]]))
    torch.testing.assert_close(density.log_prob_per_value(x), torch.stack(each, -1))
    torch.testing.assert_close(density.log_prob(x), torch.stack(each).sum(0))


def test_columns_of_a_family_stand_side_by_side():
    layout = Layout.of(MIXED)
    assert [block.columns for block in layout.blocks] == [
        *[(1, 9), (4,), (7,), (2,), (6,), (5,)],
        *[(0,), (8,)],  # 3 and 20 levels: padding 3 to 20 would waste more than it saves
        (3, 10),
    ]
    assert layout.entries == 2 + 1 + 1 + 1 + 1 + 1 + 3 + 20 + 2


def test_categorical_columns_of_any_size_are_padded_by_eight_at_most():
    layout = Layout.of(("categorical:3", "categorical:9", "categorical:8", "categorical:10000"))
    assert [block.levels for block in layout.blocks] == [(3, 8), (9,), (10_000,)]


@pytest.mark.parametrize("places", [[1, 9], [0, 3, 4, 6, 8, 10], [7], [10, 3], list(range(11))])
def test_a_restricted_model_is_that_of_fewer_columns(model, places):
    needed = torch.zeros(len(MIXED), dtype=torch.bool)
    needed[places] = True
    values, entries = model.density.restriction(needed)
    small = model.restricted_to(values, (len(MIXED),))
    x, parameter = mixed_rows(5).double(), outputs(model, 5)
    density, whole = small(parameter[:, entries]), model(parameter)
    torch.testing.assert_close(density.mean, whole.mean[:, values])
    found, mask = density.log_prob(x[:, values]), needed.expand(5, -1)
    torch.testing.assert_close(found, whole.log_prob(x, mask))
    torch.testing.assert_close(density.score(x[:, values]), whole.score(x, mask)[:, entries])
    torch.testing.assert_close(density.information(), whole.information(mask)[:, entries])
    again = small.restricted_to(torch.tensor([0]), (len(values),))
    torch.testing.assert_close(
        again(
            parameter[:, entries][:, small.density.restriction(torch.arange(len(values)) == 0)[1]]
        ).log_prob(x[:, values[:1]]),
        whole.log_prob_per_value(x)[:, values[0]],
    )


def test_unseen_columns_have_no_entries_in_the_mask(model):
    mask = torch.arange(len(MIXED)) == 8
    assert model.density.parameter_mask(mask).sum() == 20
    assert isinstance(alone(model, 1)[0].noise, FixedNoise)


def test_probabilities_are_those_of_the_levels(model):
    density, x = density_of(model, 4), mixed_rows(4).double()
    for place, levels in {0: 3, 3: 4, 5: 2, 8: 20, 10: 2, -1: 2}.items():
        p = density.probabilities(place)
        assert p.shape == (4, levels)
        torch.testing.assert_close(p.sum(-1), torch.ones(4).double())
        for code in range(levels):
            given = x.clone()
            given[:, place] = code
            torch.testing.assert_close(
                density.log_prob_per_value(given)[:, place], p[:, code].log()
            )
    with pytest.raises(UsageError, match="column 1 has no probabilities"):
        density.probabilities(1)


def test_the_level_of_a_mixture_is_the_most_probable_one_on_average():
    # 0 is likeliest in one draw by far; 1 is in the two others by little
    model = TableModel(("categorical:3", "bernoulli", "gaussian")).requires_grad_(False)
    p = torch.tensor([[0.9, 0.05, 0.05], [0.3, 0.36, 0.34], [0.3, 0.36, 0.34]])
    real, odds = torch.tensor([1.0, 2.0, 6.0]), torch.tensor([0.9, 0.4, 0.45]).logit()
    density = model(torch.stack([real, odds, *p.log().T], -1))
    assert density.mean[:, 0].tolist() == [0, 1, 1]
    assert density.mean[:, 1].tolist() == [1, 0, 0]
    torch.testing.assert_close(density.mean_of_draws, torch.tensor([0.0, 1.0, 3.0]))


@pytest.mark.parametrize("shape", [(), (1,), (11,), (4, 1), (1, 11)])
def test_a_mask_broadcasts_to_the_rows(model, shape):
    density, x = density_of(model, 3, 4), mixed_rows(4).double()
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(0)) < 0.6
    whole = mask.expand(4, 11)
    for member in ("log_prob", "log_prob_per_value", "score"):
        found = getattr(density, member)(x, mask)
        torch.testing.assert_close(found, getattr(density, member)(x, whole))
    torch.testing.assert_close(density.information(mask), density.information(whole))
    assert torch.equal(model.encoder_input(x, mask), model.encoder_input(x, whole))


def test_data_of_another_shape_are_refused():
    config = ModelConfig(likelihood="columns", columns=("gaussian", "poisson"))
    for shape in ((3,), (1, 2)):
        with pytest.raises(UsageError, match="likelihood of 2 columns does not fit"):
            observation_model(config, shape)
    with pytest.raises(UsageError, match="columns is empty"):
        likelihood_class(ModelConfig(likelihood="columns"))


def test_a_value_that_does_not_fit_is_named_with_its_column():
    for place, value, takes in (
        (0, 3.0, "whole number from 0 to C − 1 with C = 3, in the column 0, which is categorical"),
        (2, -1.0, "whole number, 0 or more, in the column 2, which is poisson"),
        (5, 0.5, "0 or 1, in the column 5, which is bernoulli"),
        (7, 0.0, "a positive number, in the column 7, which is log-normal"),
        (9, torch.inf, "a finite number, in the column 9, which is gaussian"),
    ):
        x = with_gaps(mixed_rows(20))
        require_support(columns_class(MIXED), Part(x, None), "data")
        x[11, place] = value
        with pytest.raises(DataError) as error:
            require_support(columns_class(MIXED), Part(x, None), "data")
        assert f"{takes}, found {value:.4g}" in str(error.value)


def test_a_model_can_be_pickled_and_copied(model):
    parameter, x = outputs(model, 4), mixed_rows(4).double()
    expected = model(parameter).log_prob(x)
    for copied in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert torch.equal(copied(parameter).log_prob(x), expected)


def test_a_planted_bug_in_the_order_of_columns_is_noticed(model, monkeypatch):
    right = Layout.on

    def shifted(layout, device):
        index = right(layout, device)
        return index._replace(inverse=index.inverse.roll(1))

    monkeypatch.setattr(Layout, "on", shifted)
    assert_rejected(lambda: test_a_row_is_the_product_of_its_columns(model))


def test_products_with_the_information_are_those_of_the_precision(model):
    density, mask = (
        model(outputs(model, 5)),
        torch.rand(5, len(MIXED), generator=torch.Generator().manual_seed(1)) < 0.7,
    )
    entries = density.parameter.shape[-1]
    # of single entries: W itself
    single = torch.eye(entries).double()[:, None].expand(-1, 5, -1)
    found = density.weighted(single, mask).transpose(0, 1)
    torch.testing.assert_close(found, density.precision(single.transpose(0, 1), mask))
    assert (found - torch.diag_embed(found.diagonal(dim1=1, dim2=2))).abs().max() > 0.01
