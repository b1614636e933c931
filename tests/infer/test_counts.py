"""What no method of inference can work with: no rows, no draws, no starts."""

import pytest

from elboroom import infer
from elboroom.errors import UsageError
from elboroom.evaluation.inference_gap import gaps
from tests.support.fit_cases import generator, pictures, small_vae

METHODS = {
    "encoder": (infer.encoder, ()),
    "svi": (infer.svi, ("starts", "k", "max_steps")),
    "laplace": (infer.laplace, ("starts", "k", "max_steps")),
    "hmc": (infer.hmc, ("chains", "draws")),
    "ais": (infer.ais, ("distributions", "chains")),
    "grid": (infer.grid, ()),
    "sir": (infer.sir, ("particles",)),
    "pseudo_gibbs": (infer.pseudo_gibbs, ("chains", "sweeps")),
    "metropolis_within_gibbs": (infer.metropolis_within_gibbs, ("chains", "sweeps")),
    "gaps": (gaps, ("k",)),
}
COUNTS = [(method, count) for method, counts in METHODS.values() for count in counts]


@pytest.mark.parametrize("method", [method for method, _ in METHODS.values()])
def test_no_rows_are_refused(method):
    model, (x, mask) = small_vae(1, 2), pictures(2, seed=1)
    with pytest.raises(UsageError, match=r"x has shape \(0, 1, 4, 4\)"):
        method(model, x[:0], mask[:0], generator=generator())


@pytest.mark.parametrize(("method", "count"), COUNTS)
@pytest.mark.parametrize("value", [0, -1])
def test_counts_below_one_are_refused(method, count, value):
    model, (x, mask) = small_vae(1, 2), pictures(2, seed=1)
    with pytest.raises(UsageError, match=f"{count} is {value}"):
        method(model, x, mask, generator=generator(), **{count: value})


def test_a_score_takes_draws():
    model, (x, mask) = small_vae(1, 2), pictures(2, seed=1)
    posterior = infer.encoder(model, x, mask, generator=generator())
    with pytest.raises(UsageError, match="draws is 0"):
        infer.completion_score(model, x, mask, posterior, generator=generator(), draws=0)
