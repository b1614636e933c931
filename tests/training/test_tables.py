"""Training on tables: every prior, posterior and objective, and a run from file to model."""

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import nn

from elboroom import VAE, Config, DataConfig, ModelConfig, TrainConfig, evaluate, load_data, resolve
from elboroom.config import ObjectiveConfig, PosteriorName, PriorName
from elboroom.data import Dataset
from elboroom.errors import DataError, UsageError
from elboroom.model.likelihoods import columns_class
from elboroom.runs.run import Run
from elboroom.runs.training import train_run
from elboroom.training.initial_model import new_model
from elboroom.training.loop import train
from elboroom.training.safeguards.baseline import baseline
from tests.support.column_cases import MIXED, mixed_rows, with_gaps

MODEL = ModelConfig(
    latents=2, hidden=(16,), likelihood="columns", columns=MIXED, components=5, activation="silu"
)
BRIEF = TrainConfig(epochs=3, batch_size=50, learning_rate=5e-3, threads=1, device="cpu")
OBJECTIVES = {
    "elbo": ObjectiveConfig(),
    "stl": ObjectiveConfig("elbo-sampled", gradient="stl"),
    "iwae": ObjectiveConfig("iwae", k=3),
    "dreg": ObjectiveConfig("iwae", k=3, gradient="dreg"),
    "renyi": ObjectiveConfig("renyi", k=3, alpha=0.5),
}
ALL = [
    (prior, posterior, objective)
    for prior in get_args(PriorName)
    for posterior in get_args(PosteriorName)
    for objective in OBJECTIVES
    if prior != "vamp" or posterior == "diagonal"
    if posterior != "laplace" or prior in ("standard", "mixture")
]


def often(number: int, case: Any) -> Any:
    """Every sixth case meets each prior, posterior and objective."""
    return pytest.param(*case, marks=[pytest.mark.full] if number % 6 else [])


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("tables") / "table.npy"
    np.save(path, with_gaps(mixed_rows(330)).numpy())
    return str(path)


@pytest.fixture(scope="module")
def data(source: str) -> Dataset:
    return load_data(DataConfig(source=source, binarisation="none"))


def test_some_case_meets_each_prior_posterior_and_objective():
    met = {name for case in ALL[::6] for name in case}
    assert met >= {*get_args(PriorName), *get_args(PosteriorName), *OBJECTIVES}


@pytest.mark.parametrize(
    ("prior", "posterior", "objective"), [often(i, case) for i, case in enumerate(ALL)]
)
def test_every_prior_posterior_and_objective_trains_on_a_mixed_table(
    data: Dataset, prior: Any, posterior: Any, objective: str
):
    model = replace(MODEL, prior=prior, posterior=posterior)
    vae = new_model(Config(model=model), data)
    state = train(vae, data, BRIEF, objective=OBJECTIVES[objective])
    first, *_, last = state.history
    assert last.bound > first.bound
    marginals = baseline(vae.likelihood, data)
    assert marginals is not None
    found = evaluate(vae, data, k=20, seed=0)
    assert found.bits is None
    # a model begins at the marginals
    assert found.estimates["iwae"].mean > marginals.log_prob - 1


def test_the_baseline_is_that_of_independent_columns(data: Dataset):
    found = baseline(new_model(Config(model=MODEL), data).likelihood, data)
    assert found is not None
    assert found.name == "independent columns"
    x, mask = data.test.x.double(), ~data.test.x.isnan()
    gaussian = new_model(Config(model=replace(MODEL, columns=("gaussian",) * 11)), data)
    normal = baseline(gaussian.likelihood, data)
    assert normal is not None
    train = data.train.x.double().numpy()
    mean, std = (torch.tensor(f(train, 0)) for f in (np.nanmean, np.nanstd))
    log = torch.distributions.Normal(mean, std).log_prob(x.nan_to_num())
    expected = log.masked_fill(~mask, 0).sum(-1).mean().item()
    assert normal.log_prob == pytest.approx(expected, rel=1e-6)


def test_a_run_of_a_table_is_loaded_bit_for_bit(source: str, tmp_path: Any):
    config = Config(
        data=DataConfig(source=source, binarisation="none"),
        model=replace(MODEL, prior="vamp", data_bias=True),
        train=BRIEF,
    )
    run = Run.create(tmp_path / "run", config, load_data(config.data))
    trained, _ = train_run(run)
    model = Run(tmp_path / "run").load_model()
    assert Run(tmp_path / "run").config.model.columns == MIXED
    x = run.load_data().test.x
    mask = ~x.isnan()
    z = torch.zeros(len(x), 2)
    assert torch.equal(trained.log_likelihood(x, z, mask), model.log_likelihood(x, z, mask))
    assert torch.equal(trained.posterior(x, mask).mean, model.posterior(x, mask).mean)


class _Schema:
    likelihoods = MIXED


def with_schema(data: Dataset) -> Dataset:
    assert data.reading is not None
    reading = replace(data.reading)
    object.__setattr__(reading, "schema", _Schema())
    return replace(data, reading=reading)


def test_a_schema_resolves_to_its_columns(data: Dataset):
    config = Config(model=ModelConfig(hidden=(4,)), train=BRIEF)
    assert resolve(config, data).model.likelihood == "gaussian"
    table = with_schema(data)
    for name in ("auto", "columns"):
        found = resolve(replace(config, model=replace(config.model, likelihood=name)), table).model
        assert (found.likelihood, found.columns) == ("columns", MIXED)
    own = replace(config.model, likelihood="columns", columns=("gaussian",) * 11)
    assert resolve(replace(config, model=own), table).model.columns == own.columns
    plain = replace(config.model, likelihood="gaussian")
    assert resolve(replace(config, model=plain), table).model.columns == ()
    unknown = replace(config.model, likelihood="columns")
    with pytest.raises(UsageError, match="columns is empty"):
        resolve(replace(config, model=unknown), data)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"columns": ("gaussian", "normal")}, "normal cannot be used"),
        ({"columns": ("categorical",)}, "categorical:C"),
        ({"columns": ("gaussian:2",)}, "gaussian:2 cannot be used"),
        ({"columns": ("ordinal:1",)}, "ordinal:C with C from 2"),
        ({"columns": ("categorical:9999999",)}, "categorical:C with C from 2"),
        ({"columns": ("categorical:²",)}, "categorical:C with C from 2"),
        ({"likelihood": "gaussian"}, "left out except with --likelihood columns"),
        ({"noise": 0.1}, "noise must be positive, with gaussian"),
        ({"standardise": "value"}, "auto or none except with gaussian"),
        ({"network": "conv"}, "another than conv"),
    ],
)
def test_options_that_do_not_fit_a_table_are_refused(options: dict[str, Any], expected: str):
    with pytest.raises(UsageError, match=expected):
        replace(MODEL, **options)


def test_data_that_do_not_fit_are_refused_before_training(data: Dataset):
    other = replace(MODEL, columns=("bernoulli", *MIXED[1:]))
    vae = new_model(Config(model=other), data)
    with pytest.raises(DataError, match="0 or 1, in the column 0, which is bernoulli, found 2"):
        train(vae, data, BRIEF)
    with pytest.raises(UsageError, match="likelihood of 2 columns does not fit the data"):
        new_model(Config(model=replace(MODEL, columns=MIXED[:2])), data)


class OwnEncoder(nn.Module):
    """What the encoder sees of a table → mean and log standard deviation."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, 4)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.linear(x).chunk(2, -1)


def own_networks(event_shape: tuple[int, ...], latents: int) -> tuple[nn.Module, nn.Module]:
    kind = columns_class(MIXED)
    (inputs,), (outputs,) = kind.input_shape(event_shape), kind.parameter_shape(event_shape)
    return OwnEncoder(inputs), nn.Linear(latents, outputs)


def test_own_networks_see_and_return_what_the_columns_need(data: Dataset):
    config = Config(model=replace(MODEL, network=f"{__name__}:own_networks"))
    vae = new_model(config, data, own_networks)
    assert isinstance(vae, VAE)
    history = train(vae, data, BRIEF).history
    assert history[-1].elbo > history[0].elbo
