"""What exported networks compute: densities follow from their outputs by the stated formulas."""

import copy
import math

import numpy as np
import pytest
import torch
from scipy import special, stats
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

from elboroom.errors import UsageError
from elboroom.exports.coder import Coder, coders, portable
from elboroom.exports.densities import COLUMN_FORMULAS, FORMULAS
from elboroom.model.likelihoods import LIKELIHOOD_CLASSES, Bernoulli, TableModel
from elboroom.model.likelihoods.columns import FAMILIES
from elboroom.model.posteriors import Gaussian
from elboroom.model.vae import VAE
from tests.support.exported_models import MODELS, exported_model
from tests.support.own_networks import OwnDecoder

SAMPLES, ROWS = 2, 5
CLOSE = {"rtol": 2e-5, "atol": 2e-4}  # nats of float32 sums


def coder_of(model: VAE, name: str) -> Coder:
    return next(each for each in coders(portable(model)) if each.name == name)


def decoded(name: str) -> tuple[VAE, dict[str, Tensor], Tensor, Tensor]:
    """A model, the outputs of its decoder for some z, data drawn there, and log p(x | z)."""
    model = exported_model(name).requires_grad_(False)
    decoder = coder_of(model, "decoder")
    z = decoder.draw(SAMPLES, ROWS)["z"]
    x = model.decode(z[0]).sample(torch.Generator().manual_seed(3))
    return model, decoder.module(z=z), x, model.log_likelihood(x, z)


def logistic_log_mass(x: Tensor, location: Tensor, scale: Tensor) -> Tensor:
    x, location, scale = x.double(), location.double(), scale.double()
    upper = torch.sigmoid((x + 1 / 510 - location) / scale)
    lower = torch.sigmoid((x - 1 / 510 - location) / scale)
    one = torch.ones_like(x)
    return (torch.where(x > 0.999, one, upper) - torch.where(x < 0.001, 0 * one, lower)).log()


def log_prob(name: str, x: Tensor, out: dict[str, Tensor]) -> Tensor:
    """Compute log p of each value, or of each pixel, by the formula in model.json."""
    if name == "bernoulli":
        return x * out["logits"] - torch.log1p(out["logits"].exp())
    if name == "continuous-bernoulli":
        logits = out["logits"].double()
        return x * logits - (logits.expm1() / logits).log()
    if name == "gaussian":
        return Normal(out["location"], out["scale"]).log_prob(x)
    if name == "discretized-logistic":
        return logistic_log_mass(x, out["location"], out["scale"])
    pixels = x[:, None] if x.ndim == 4 else x[:, None, None]
    mass = logistic_log_mass(pixels, out["locations"], out["scales"]).sum(3)
    return (out["log_weights"] + mass).logsumexp(2)


@pytest.mark.parametrize(
    "name",
    ["mlp", "continuous", "conv", "raw", "channels", "levels", "colours", "mixture of vectors"],
)
def test_the_density_follows_from_the_outputs(name: str):
    model, outputs, x, expected = decoded(name)
    found = log_prob(MODELS[name][1].get("likelihood", "bernoulli"), x, outputs)
    torch.testing.assert_close(found.flatten(2).sum(-1).float(), expected, **CLOSE)
    torch.testing.assert_close(
        outputs["mean"], model.decode(coder_of(model, "decoder").draw(SAMPLES, ROWS)["z"]).mean
    )


def column_log_prob(family: str, x: Tensor, own: dict[str, Tensor]) -> Tensor:
    """Compute log p of the values of a column by SciPy; `own` are its parameters, (S, B)."""
    one = {name: value.double().numpy() for name, value in own.items()}
    given = x.double().numpy()
    if family == "gaussian":
        found = stats.norm.logpdf(given, one["location"], one["scale"])
    elif family == "student-t":
        found = stats.t.logpdf(given, 5, one["location"], one["scale"])
    elif family == "log-normal":
        found = stats.lognorm.logpdf(given, one["scale"], scale=np.exp(one["location"]))
    elif family == "poisson":
        found = stats.poisson.logpmf(given, np.exp(one["log_rate"]))
    elif family == "negative-binomial":
        rate, size = np.exp(one["log_rate"]), one["size"]
        found = stats.nbinom.logpmf(given, size, size / (size + rate))
    elif family == "bernoulli":
        found = stats.bernoulli.logpmf(given, special.expit(one["logits"]))
    else:
        levels = torch.tensor(one["probabilities"])
        code = x.long().expand(levels.shape[:-1])[..., None]
        return levels.gather(-1, code)[..., 0].log()
    return torch.as_tensor(found)


def test_the_density_of_each_column_follows_from_its_outputs():
    model, outputs, x, _ = decoded("table")
    likelihood = model.likelihood
    assert isinstance(likelihood, TableModel)
    z = coder_of(model, "decoder").draw(SAMPLES, ROWS)["z"]
    expected = model.decode(z).log_prob_per_value(x)
    families = set()
    for place, (family, _) in enumerate(likelihood.layout.columns):
        block, index = likelihood.layout.place_of(place)
        start = f"{likelihood.layout.block_names[block]}_"
        own = {
            name.removeprefix(start): value[:, :, index]
            for name, value in outputs.items()
            if name.startswith(start)
            and name.removeprefix(start) in COLUMN_FORMULAS[family].parameters
        }
        assert set(own) == set(COLUMN_FORMULAS[family].parameters)
        found = column_log_prob(family, x[:, place], own)
        torch.testing.assert_close(found.float(), expected[..., place], rtol=1e-4, atol=1e-4)
        families.add(family)
    assert families == set(FAMILIES)


def test_blocks_of_one_family_have_names_of_their_own():
    likelihood = exported_model("table").likelihood
    assert isinstance(likelihood, TableModel)
    names = likelihood.layout.block_names
    assert len(set(names)) == len(names) > len(FAMILIES) - 1
    wide = TableModel(("categorical:2", "categorical:50", "gaussian"))
    assert wide.layout.block_names == ("gaussian", "categorical", "categorical_2")


def test_every_likelihood_has_a_formula():
    assert [*FORMULAS] == [*LIKELIHOOD_CLASSES]
    assert [*COLUMN_FORMULAS] == [*FAMILIES]


@pytest.mark.parametrize("name", ["mlp", "conv", "full", "table"])
def test_the_posterior_follows_from_the_outputs(name: str):
    model = exported_model(name).requires_grad_(False)
    encoder = coder_of(model, "encoder")
    given = encoder.draw(1, ROWS)
    outputs = encoder.module(**given)
    q = model.posterior(given["x"], given.get("mask"))
    z = q.sample(3, torch.Generator().manual_seed(1))
    if name == "full":
        found = MultivariateNormal(outputs["mean"], scale_tril=outputs["scale_tril"]).log_prob(z)
    else:
        found = Normal(outputs["mean"], outputs["log_std"].exp()).log_prob(z).sum(-1)
    torch.testing.assert_close(found, q.log_prob(z), **CLOSE)


@pytest.mark.parametrize("name", ["flow", "ladder", "ladder of vectors"])
def test_draws_from_noise_have_the_density_of_q(name: str):
    model = exported_model(name).requires_grad_(False)
    encoder = coder_of(model, "encoder")
    given = encoder.draw(SAMPLES, ROWS)
    outputs = encoder.module(**given)
    assert outputs["z"].shape == (SAMPLES, ROWS, model.latents)
    q = model.posterior(given["x"])
    torch.testing.assert_close(outputs["log_q"], q.log_prob(outputs["z"]), rtol=1e-4, atol=1e-3)


def test_values_that_are_not_seen_may_be_anything():
    encoder = coder_of(exported_model("table"), "encoder")
    given = encoder.draw(1, ROWS)
    assert given["x"].isnan().any()
    assert given["x"].isnan().equal(~given["mask"])
    filled = {"x": given["x"].nan_to_num(1.0), "mask": given["mask"]}
    for name, found in encoder.module(**given).items():
        assert found.isfinite().all()
        assert found.equal(encoder.module(**filled)[name])


def test_the_model_is_left_as_it_was():
    model = exported_model("ladder").double().train()
    before = copy.deepcopy(model.state_dict())
    exported = portable(model)
    assert {p.dtype for p in exported.parameters()} == {torch.float32}
    assert not exported.training
    assert not any(p.requires_grad for p in exported.parameters())
    assert model.training
    assert all(p.requires_grad and p.dtype == torch.float64 for p in model.parameters())
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())


def test_no_weight_has_sixteen_bits():
    exported = portable(exported_model("conv").bfloat16())
    assert {v.dtype for v in exported.state_dict().values()} == {torch.float32, torch.bool}


@pytest.mark.parametrize("latents", [5, 7, 11])
def test_the_example_has_sizes_of_its_own(latents: int):
    encoder, decoder = coders(portable(exported_model("full", latents=latents)))
    samples, rows, last = decoder.example["z"].shape
    assert last == latents
    assert len({samples, rows, latents, 1, 6, 7}) == 6 - (latents == 7)
    assert len(encoder.example["x"]) not in (latents, 1, 6, 7)


def test_a_model_without_an_encoder_has_a_decoder_alone():
    assert [each.name for each in coders(portable(exported_model("fits")))] == ["decoder"]


class RootEncoder(torch.nn.Module):
    """x → mean and a root of the covariance."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = torch.nn.Linear(64, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean = self.mean(x.flatten(1))
        return mean, torch.eye(2) * mean.square().sum(-1)[:, None, None] + torch.eye(2)


def test_a_family_of_ones_own_is_refused():
    model = VAE(RootEncoder(), OwnDecoder(2), 2, Bernoulli, family=Gaussian)
    with pytest.raises(UsageError) as found:
        next(coders(portable(model)))
    assert "found the class Gaussian as the family" in found.value.why


def test_the_noise_of_a_gaussian_is_in_the_units_of_the_data():
    _, outputs, _, _ = decoded("channels")
    assert math.isclose(outputs["scale"].max().item(), 0.9, rel_tol=1e-6)  # 0.3, and units of 3
