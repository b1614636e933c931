"""Arguments of another type: every public function of inference and evaluation names them."""

import inspect
import math
from functools import cache
from typing import Literal, get_origin, get_type_hints

import numpy as np
import pytest
import torch

from elboroom import evaluation, infer
from elboroom.data import Dataset
from elboroom.device import memory
from elboroom.errors import UsageError
from elboroom.model.vae import VAE
from tests.support.fit_cases import generator, pictures, small_vae

BAD = {
    int: (2.5, True, "3", math.nan, np.float64(2.0), torch.tensor([3, 4])),
    float: ("small", False, math.nan, math.inf),
    bool: (1, "no"),
    torch.Generator: (0, np.random.default_rng(0)),
    VAE: ("run", torch.nn.Linear(1, 1)),
    infer.Posterior: (torch.zeros(2, 2),),
    Dataset: (np.zeros((4, 1, 4, 4)),),
    evaluation.Evaluation: ({},),
}
WORDS = "named like no choice", 0
PUBLIC = {
    f"{package.__name__}.{name}": getattr(package, name)
    for package in (infer, evaluation)
    for name in package.__all__
    if inspect.isfunction(getattr(package, name))
}


def bad_values(hint):
    return WORDS if get_origin(hint) is Literal else BAD.get(hint, ())


CASES = [
    pytest.param(function, name, bad_values(hint), id=f"{path} {name}")
    for path, function in PUBLIC.items()
    for name, hint in get_type_hints(function).items()
    if name != "return" and bad_values(hint)
]


@cache
def valid():
    """A valid argument of each name that has no default."""
    model, (x, mask) = small_vae(1, 2).float(), pictures(2, seed=1)
    data = Dataset.from_arrays(pictures(20, seed=2)[0].bool())
    found = {"model": model, "x": x, "mask": mask, "generator": generator(), "data": data}
    found |= {"posterior": infer.encoder(model, x, mask, generator=generator())}
    found |= {"q": found["posterior"].q, "method": infer.encoder, "ranks": torch.arange(6)[:, None]}
    found |= {"evaluation": evaluation.evaluate(model, data, k=2, seed=0)}
    return found | dict.fromkeys(("rows", "draws", "images", "seed", "k"), 2)


def call(function, **given):
    """Call with valid arguments, but for those that are given."""
    required = {
        name: valid()[name]
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is inspect.Parameter.empty
    }
    return function(**required | given)


def test_there_are_cases_of_every_public_function():
    assert {case.values[0] for case in CASES} == set(PUBLIC.values())


@pytest.mark.parametrize(("function", "name", "values"), CASES)
def test_an_argument_of_another_type_is_named(function, name, values):
    for value in values:
        with pytest.raises(UsageError) as error:
            call(function, **{name: value})
        assert name in str(error.value) or "expected a Dataset" in str(error.value)


@pytest.mark.parametrize("names", ["svi", ("svi", "nonsense")])
def test_the_methods_of_gaps_are_known(names):
    with pytest.raises(UsageError, match="methods cannot be"):
        call(evaluation.gaps, methods=names)


@pytest.mark.parametrize("k", [np.int64(3), torch.tensor(3), 3])
def test_numbers_of_numpy_and_of_tensors_count(k):
    found = call(infer.sir, particles=k, widen=np.float32(1.5))
    assert len(found.z) == 3
    assert len(found.sample(k)) == 3


@pytest.mark.filterwarnings("error")
def test_the_error_of_one_particle_is_infinite_and_not_nan():
    posterior = call(infer.sir, particles=1)
    assert posterior.log_evidence_standard_error.tolist() == [math.inf] * 2
    assert not any(value.isnan().any() for value in posterior.diagnostics.values())


@pytest.mark.parametrize("method", ["encoder", "sir", "pseudo_gibbs", "grid"])
def test_every_posterior_draws_a_positive_number(method):
    few = {"sweeps": 4, "burn_in": 0} if method == "pseudo_gibbs" else {}
    posterior = call(getattr(infer, method), **few)
    for draw in (posterior.sample, posterior.sample_chains):
        for k in (0, -1, 2.5, "2", None):
            with pytest.raises(UsageError, match="k "):
                draw(k)


def test_a_generator_of_another_device_is_refused():
    model = small_vae(1, 2).to("meta")
    with pytest.raises(UsageError, match="the generator is on cpu, the model on meta"):
        call(infer.encoder, model=model)


@pytest.mark.parametrize(
    ("method", "name"),
    [
        (infer.hmc, "warmup"),
        (infer.pseudo_gibbs, "burn_in"),
        (infer.metropolis_within_gibbs, "burn_in"),
    ],
)
def test_a_negative_warm_up_is_refused(method, name):
    with pytest.raises(UsageError, match=f"{name} is negative"):
        call(method, **{name: -1})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ranks": torch.rand(6, 1)}, "no ranks"),
        ({"ranks": torch.arange(6)}, "no ranks"),
        ({"ranks": torch.arange(6)[:, None], "draws": 4}, "no ranks"),
        ({"ranks": -torch.arange(6)[:, None]}, "no ranks"),
        ({"bins": 7}, "bins = 7 does not fit"),
        ({"bins": 1}, "bins = 1 does not fit"),
    ],
)
def test_ranks_and_bins_fit_the_draws(change, words):
    good = {"ranks": torch.arange(6)[:, None], "draws": 5, "bins": 3}
    assert evaluation.uniformity(**good).isfinite().all()
    with pytest.raises(UsageError, match=words):
        evaluation.uniformity(**good | change)


def test_calibration_takes_a_mask_of_numpy():
    model, mask = small_vae(1, 2), np.arange(16).reshape(1, 4, 4) % 2 == 0
    found = []

    def method(model, x, mask):
        found.append(mask)
        return infer.encoder(model, x, mask, generator=generator())

    call(evaluation.sbc_ranks, model=model, method=method, mask=mask)
    assert torch.equal(found[0], torch.from_numpy(mask).expand(3, 1, 4, 4))


TIME_ALONE = {"seed", "warmup", "burn_in", "max_steps", "rank", "images", "bins"}
"""Integers that set how long a call takes, not what it holds, or that have a limit of their own."""

HELD = [
    pytest.param(function, name, id=f"{path} {name}")
    for path, function in PUBLIC.items()
    for name, hint in get_type_hints(function).items()
    if hint is int and name not in TIME_ALONE
]


@pytest.mark.parametrize(("function", "name"), HELD)
def test_a_number_of_draws_that_memory_cannot_hold_is_refused_first(function, name, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda device: 1 << 40)
    with pytest.raises(UsageError, match=rf"{name} = 10,000,000,000,000.* of memory is needed"):
        call(function, **{name: 10**13})


@pytest.mark.parametrize("method", ["encoder", "sir", "pseudo_gibbs", "grid"])
def test_a_posterior_refuses_more_draws_than_memory_can_hold(method, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda device: 1 << 40)
    few = {"sweeps": 4, "burn_in": 0} if method == "pseudo_gibbs" else {}
    posterior = call(getattr(infer, method), **few)
    for draw in (posterior.sample, posterior.sample_chains):
        with pytest.raises(UsageError, match="k = 10,000,000,000,000: at least"):
            draw(10**13)
