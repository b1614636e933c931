"""Any array either trains to what its values show by themselves, or an error names the fix."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elboroom import Dataset, evaluate, resolve, train
from elboroom.config import PRESETS
from elboroom.data.statistics import statistics_of
from elboroom.errors import ElboroomError
from elboroom.training.initial_model import new_model

ROWS, STEPS = 120, 200
SHAPES = st.sampled_from([(6,), (40,), (4, 5), (1, 4, 4), (3, 4, 4), (4, 4, 3)])
FLOATS, WHOLE = ("float16", "float32", "float64"), ("int16", "uint16", "int32", "int64")


def binary(r: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return r.random((ROWS, *shape)) < r.uniform(0.1, 0.9, shape)


def levels(r: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    middle = r.uniform(60, 200, shape)
    return (middle + 20 * r.normal(size=(ROWS, *shape))).round().clip(0, 255)


def reals(r: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return r.uniform(-2, 2, shape) + r.uniform(0.5, 2, shape) * r.normal(size=(ROWS, *shape))


KINDS: dict[str, Any] = {
    "booleans": (binary, st.just("bool"), st.just(1.0)),
    "zeros and ones": (binary, st.sampled_from([*FLOATS, *WHOLE, "uint8"]), st.just(1.0)),
    "black and white": (binary, st.just("uint8"), st.just(255.0)),
    "bytes": (levels, st.just("uint8"), st.just(1.0)),
    "counts": (levels, st.sampled_from(WHOLE), st.just(1.0)),
    "reals": (reals, st.sampled_from(FLOATS[1:]), st.sampled_from([1e-17, 1e-3, 1.0, 1e9])),
}


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray:
    """Draw an array of 120 rows of independent values, with gaps if its type has NaN."""
    make, types, units = KINDS[draw(st.sampled_from(list(KINDS)))]
    r = np.random.default_rng(draw(st.integers(0, 1_000)))
    values, kind = make(r, draw(SHAPES)) * draw(units), draw(types)
    if kind in FLOATS and draw(st.booleans()):
        values = np.where(r.random(values.shape) < 0.2, np.nan, values)
    return values.astype(kind)


def trained(x: np.ndarray) -> tuple[Any, Dataset]:
    """Train the default model for own data in 200 steps."""
    data = Dataset.from_arrays(x)
    config = PRESETS["own"]
    per_epoch = math.ceil(len(data.train) / config.train.resolved_batch_size)
    short = replace(config.train, epochs=math.ceil(STEPS / per_epoch), threads=1, device="cpu")
    resolved = resolve(replace(config, train=short), data)
    model = new_model(resolved, data)
    train(model, data, resolved.train, objective=resolved.objective)
    return model, data


def marginals(data: Dataset) -> np.ndarray:
    """Return log p(x) of each held-out row under independent values, (N,).

    Bytes are compared with Gaussians of the same mean and spread, integrated over each level.
    """
    x, held_out = data.train.x.double().numpy(), data.test.x.double().numpy()
    mean = np.nanmean(x, 0)
    if data.kind == "binary":
        share = (np.nansum(x, 0) + 0.5) / ((~np.isnan(x)).sum(0) + 1)
        log_prob = np.where(held_out == 1, np.log(share), np.log1p(-share))
    else:
        spread = np.nanstd(x, 0)
        eps = (held_out - mean) / spread
        log_prob = -0.5 * eps**2 - np.log(spread) - 0.5 * math.log(2 * math.pi)
        if data.kind == "bytes":
            log_prob -= math.log(255)
    return np.nansum(log_prob, axis=tuple(range(1, x.ndim)))


def require_help(refused: ElboroomError) -> None:
    """Check that an error says what was found and what to do."""
    assert refused.fix
    assert refused.why


def check(x: np.ndarray) -> None:
    """Check that a model of `x` reaches the marginals, or that an error says why not.

    Its held-out ELBO may fall short by 0.1 nats a value, and by three standard errors of the
    difference over the few held-out rows.
    """
    try:
        model, data = trained(x)
    except ElboroomError as refused:
        require_help(refused)
        return
    elbo = evaluate(model, data, k=20, seed=0).per_image["elbo"].numpy()
    gained = elbo - marginals(data)
    error = gained.std() / math.sqrt(len(gained))
    short = 0.1 * math.prod(data.event_shape) + 3 * error
    assert gained.mean() > -short, (data.kind, x.dtype, gained.mean(), short)


@settings(max_examples=4)
@given(arrays())
def test_any_array_reaches_its_marginals_or_the_error_names_the_fix(x: np.ndarray):
    check(x)


@pytest.mark.full
@settings(max_examples=150)
@given(arrays())
def test_many_arrays_reach_their_marginals_or_the_error_names_the_fix(x: np.ndarray):
    check(x)


def test_the_check_notices_a_model_that_knows_no_units(monkeypatch: pytest.MonkeyPatch):
    x = reals(np.random.default_rng(0), (6,)) * 50 + 1_000
    check(x)
    own = PRESETS["own"]
    without = replace(own, model=replace(own.model, standardise="none", data_bias=False))
    monkeypatch.setitem(PRESETS, "own", without)
    with pytest.raises((AssertionError, UserWarning)):
        check(x)


@settings(max_examples=20)
@given(st.integers(0, 1_000))
def test_an_order_of_rows_or_columns_permutes_the_units_and_nothing_else(seed: int):
    r = np.random.default_rng(seed)
    x = reals(r, (7,)).astype("f4")
    x[r.random(x.shape) < 0.1] = np.nan
    rows, columns = r.permutation(ROWS), r.permutation(7)
    plain, turned = (
        statistics_of(Dataset.from_arrays(a, x_test=x).train) for a in (x, x[rows][:, columns])
    )
    for name in ("mean", "std", "count"):
        before, after = getattr(plain, name), getattr(turned, name)
        torch.testing.assert_close(after, before[torch.from_numpy(columns)], rtol=1e-12, atol=0)
