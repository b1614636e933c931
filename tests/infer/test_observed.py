"""What every method of inference accepts as data and mask, and what it refuses in words."""

from functools import partial

import numpy as np
import pytest
import torch

from elboroom import infer
from elboroom.config import ModelConfig
from elboroom.data import Dataset
from elboroom.errors import DataError, UsageError
from elboroom.evaluation.inference_gap import gaps
from elboroom.infer.exact_elbo import exact_elbo
from elboroom.infer.observed import check_data_and_mask
from elboroom.model.vae import VAE
from tests.support.oracles import LinearGaussian

EVENT = (1, 3, 4)
METHODS = {
    "encoder": infer.encoder,
    "svi": infer.svi,
    "laplace": infer.laplace,
    "sir": infer.sir,
    "ais": partial(infer.ais, distributions=2, chains=2),
    "hmc": partial(infer.hmc, chains=1, warmup=0, draws=4),
    "pseudo_gibbs": partial(infer.pseudo_gibbs, chains=1, sweeps=4, burn_in=0),
    "metropolis_within_gibbs": partial(
        infer.metropolis_within_gibbs, chains=1, sweeps=4, burn_in=0
    ),
    "grid": infer.grid,
    "gaps": partial(gaps, k=100),
}
each_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


def generator(seed=1):
    return torch.Generator().manual_seed(seed)


def model_of(likelihood="bernoulli", event=EVENT):
    config = ModelConfig(2, (6,), likelihood=likelihood)
    return VAE.from_config(config, event, generator=generator())


def binary(rows=3):
    return (torch.rand(rows, *EVENT, generator=generator(2)) < 0.4).float()


@each_method
def test_bytes_are_refused_by_a_bernoulli_model(method):
    x = (255 * torch.rand(3, *EVENT, generator=generator())).round()
    with pytest.raises(UsageError, match=r"must be 0 or 1, found \d+"):
        method(model_of(), x, generator=generator())


@each_method
def test_a_missing_batch_axis_is_named(method):
    with pytest.raises(UsageError, match=r"expected \(B, 1, 3, 4\)\n.*give x\[None\]"):
        method(model_of(), binary()[0], generator=generator())


def test_an_exact_elbo_checks_its_data_too():
    model = model_of()
    q = model.posterior(binary())
    with pytest.raises(UsageError, match="must be 0 or 1"):
        exact_elbo(model, binary() + 1, None, q)


UNFIT = {  # values that training refuses as well
    "discretized-logistic": 0.3,
    "continuous-bernoulli": 1.5,
    "bernoulli": 0.5,
}


@pytest.mark.parametrize("likelihood", UNFIT)
def test_seen_values_outside_the_support_are_refused_and_unseen_ones_are_not(likelihood):
    value = UNFIT[likelihood]
    model, x = model_of(likelihood), torch.zeros(2, *EVENT)
    x[1, 0, 1, 1] = value
    mask = torch.ones(EVENT, dtype=torch.bool)
    with pytest.raises(UsageError, match=f"found {value:.4g}") as refused:
        check_data_and_mask(model, x, mask)
    assert not isinstance(refused.value, DataError)
    mask[0, 1, 1] = False
    check_data_and_mask(model, x, mask)


TYPES = {
    "float64": lambda x: x.double(),
    "bool": lambda x: x.bool(),
    "uint8": lambda x: x.byte(),
    "int64": lambda x: x.long(),
    "float16": lambda x: x.half(),
    "an array": lambda x: x.numpy(),
    "an array of float64": lambda x: x.double().numpy(),
    "an array of another byte order": lambda x: x.numpy().astype(">f8"),
    "an array read backwards": lambda x: np.ascontiguousarray(x.numpy()[:, :, ::-1])[:, :, ::-1],
    "an array of bools": lambda x: x.bool().numpy(),
    "an array of uint16": lambda x: x.numpy().astype("u2"),
    "a tensor with a gradient": lambda x: x.clone().requires_grad_(),
}


@pytest.mark.parametrize("kind", TYPES)
def test_numbers_of_any_type_give_the_same_answer(kind):
    model, x = model_of(), binary()
    mask = torch.rand(EVENT, generator=generator()) < 0.5
    expected = infer.laplace(model, x, mask, generator=generator()).elbo
    assert torch.equal(
        infer.laplace(model, TYPES[kind](x), mask.numpy(), generator=generator()).elbo, expected
    )


def test_a_model_in_float64_takes_float64():
    exact = LinearGaussian(pixels=4, latents=2, seed=1)
    x = exact.data(3, seed=2)
    assert torch.equal(check_data_and_mask(exact.model, x.numpy(), None)[0], x)
    assert check_data_and_mask(exact.model, x.float(), None)[0].dtype == torch.float64


REFUSED = {
    "another event": (lambda x: x[..., :-1], r"\(3, 1, 3, 3\); expected \(B, 1, 3, 4\)"),
    "flat rows": (lambda x: x.flatten(1), r"\(3, 12\); expected \(B, 1, 3, 4\)"),
    "two batch axes": (lambda x: x[None], r"expected \(B, 1, 3, 4\)"),
    "a list": (lambda x: x.tolist(), "it is a list"),
    "strings": (lambda x: x.numpy().astype(str), "its type is <U"),
    "objects": (lambda x: x.numpy().astype(object), "its type is object"),
    "dates": (lambda x: x.numpy().astype("M8[s]"), "its type is datetime64"),
    "complex numbers": (lambda x: x.cfloat(), "complex64"),
    "a sparse tensor": (lambda x: x.to_sparse(), "sparse"),
    "a masked array": (lambda x: np.ma.masked_array(x, x > 0), "masked array"),
    "NaN": (lambda x: x / 0 * 0, "a seen value is NaN or infinite"),
    "what is infinite in float32": (lambda x: x.double() * 1e300, "of float32"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_data_of_the_model_is_refused_in_words(kind):
    given, words = REFUSED[kind]
    with pytest.raises(UsageError, match=words):
        check_data_and_mask(model_of("gaussian"), given(binary()), None)


MASKS = {
    "a word": ("top", r"half_mask\(.top., event_shape\)"),
    "numbers": (torch.ones(EVENT), r"its type is torch\.float32"),
    "an array of numbers": (np.ones(EVENT), "its type is float64"),
    "a list": ([True] * 4, "its type is list"),
    "another shape": (torch.ones(5, dtype=torch.bool), "does not broadcast"),
    "another shape of an array": (np.ones((2, *EVENT), bool), "does not broadcast"),
}


@pytest.mark.parametrize("kind", MASKS)
def test_what_is_no_mask_is_refused_in_words(kind):
    mask, words = MASKS[kind]
    with pytest.raises(UsageError, match=words):
        check_data_and_mask(model_of(), binary(), mask)


def test_own_modules_give_their_shape_by_what_they_decode():
    exact = LinearGaussian(pixels=4, latents=2, seed=1)
    with pytest.raises(UsageError, match=r"expected \(B, 4\)"):
        check_data_and_mask(exact.model, torch.zeros(3, 5), None)


def test_a_target_remembers_the_rows_that_it_is_of():
    model, x = model_of(), binary(4)
    mask = torch.rand(4, *EVENT, generator=generator()) < 0.5
    posterior = infer.encoder(model, x.masked_fill(~mask, torch.nan), mask, generator=generator())
    index = torch.tensor([2, 0, 2])
    found, seen = posterior.target.rows(index).given.data
    assert torch.equal(seen, mask[index])
    assert torch.equal(found, (x * mask)[index])


@pytest.mark.parametrize("method", [infer.encoder, gaps])
def test_a_dataset_is_refused_with_the_name_of_its_rows(method):
    data = Dataset.from_arrays(torch.arange(16).view(4, 2, 2) % 2 == 0)
    model = VAE.from_config(ModelConfig(2, (4,)), data.event_shape, generator=generator())
    for x, rows in ((data, "data.test.x"), (data.test, "part.x")):
        with pytest.raises(UsageError, match=f"give its rows, as {rows}"):
            method(model, x, generator=generator())
