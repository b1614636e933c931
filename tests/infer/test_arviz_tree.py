"""Posteriors as ArviZ's DataTree, which arviz-stats reads."""

import sys

import numpy as np
import pytest
import torch
from scipy import stats

from elboroom import __version__, infer
from elboroom.errors import UsageError
from elboroom.infer.diagnostics import chain_ess, split_rhat
from tests.support.bridge_cases import CASES, case
from tests.support.oracles import LinearGaussian, assert_rejected, random_masks

arviz_stats = pytest.importorskip("arviz_stats")
ROWS, PIXELS = 3, 5


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="module")
def problem():
    exact = LinearGaussian(PIXELS, 2, seed=1)
    return exact, exact.data(ROWS, seed=2), random_masks(ROWS, PIXELS, seed=3)


@pytest.fixture(scope="module")
def chains(problem):
    exact, x, mask = problem
    return infer.hmc(exact.model, x, mask, generator=generator(), warmup=60, draws=150)


def posteriors(exact, x, mask):
    data = exact.model, x, mask
    yield infer.laplace(*data, generator=generator())
    yield infer.sir(*data, generator=generator())
    yield infer.ais(*data, generator=generator(), chains=300, distributions=5)
    yield infer.grid(*data, generator=generator())
    yield infer.metropolis_within_gibbs(*data, generator=generator(), sweeps=40)
    yield infer.pseudo_gibbs(*data, generator=generator(), sweeps=40)


def test_the_summary_has_our_moments_and_diagnostics(chains):
    found = arviz_stats.summary(chains.to_arviz(), round_to="none")

    def check(draws):
        for name, ours in [
            ("mean", draws.mean((0, 1))),
            ("sd", draws.flatten(0, 1).std(0, correction=0)),
            ("r_hat", split_rhat(draws)),
            ("ess_bulk", chain_ess(draws)),
        ]:
            np.testing.assert_allclose(found[name], ours.flatten(), rtol=1e-9)

    check(chains.draws)
    assert_rejected(lambda: check(chains.draws.flip(3)))
    assert_rejected(lambda: check(chains.draws.transpose(0, 1)))


def test_every_posterior_has_its_draws_data_and_diagnostics(problem):
    exact, x, mask = problem
    expected = ["independent", "resampled", "resampled", "independent", "chains", "chains"]
    for posterior, draws in zip(posteriors(*problem), expected, strict=True):
        tree = posterior.to_arviz()
        z = torch.from_numpy(tree["posterior"]["z"].to_numpy())
        lp = exact.model.log_joint(x, z, mask)
        np.testing.assert_allclose(tree["sample_stats"]["lp"], lp.detach())
        np.testing.assert_array_equal(tree["observed_data"]["x"], x.masked_fill(~mask, np.nan))
        np.testing.assert_array_equal(tree["constant_data"]["mask"], mask)
        of_rows = posterior.evidence | posterior.diagnostics
        assert set(tree["diagnostics"].data_vars) == set(of_rows)
        for name, values in of_rows.items():
            np.testing.assert_array_equal(tree["diagnostics"][name], values)
        assert tree.attrs == {
            "inference_library": "elboroom",
            "inference_library_version": __version__,
            "inference_method": type(posterior).__name__,
            "draws": draws,
        }


def test_weighted_draws_are_resampled(problem):
    exact, x, mask = problem
    mean, precision = exact.posterior(x, mask)
    variance = precision.inverse().diagonal(dim1=1, dim2=2)
    far = infer.sir(exact.model, x, mask, generator=generator(), particles=20_000)
    z = torch.from_numpy(far.to_arviz(4_000)["posterior"]["z"].to_numpy())[0]

    def check(z):
        error = (variance * (1 / 4_000 + 1 / far.diagnostics["ess"][:, None])).sqrt()
        assert ((z.mean(0) - mean).abs() < 4.5 * error).all()

    check(z)
    assert_rejected(lambda: check(far.z))  # planted: the weights are left out


def test_draws_of_hmc_have_the_stats_of_their_moves(chains):
    found = chains.to_arviz()["sample_stats"]
    assert found["acceptance_rate"].dims == ("chain", "draw", "row")
    rate, steps = (torch.from_numpy(found[n].to_numpy()) for n in ("acceptance_rate", "n_steps"))
    assert rate.shape == (*chains.draws.shape[1::-1], ROWS)
    torch.testing.assert_close(rate.mean((0, 1)), chains.acceptance)
    assert rate.std((0, 1)).gt(0).all()
    np.testing.assert_array_equal(found["diverging"].sum(("chain", "draw")), chains.divergences)
    np.testing.assert_array_equal(found["step_size"][0, 0], chains.step_size)
    # a trajectory of ¾ to 1½ quarter turns, in steps of ε at most
    turns = steps * chains.step_size / (torch.pi / 2)
    assert (turns >= 0.75).all()
    assert (turns - chains.step_size / (torch.pi / 2) <= 1.5).all()
    assert steps.dtype == torch.int64


def test_gibbs_marks_the_proposals_that_it_accepts(problem):
    exact, x, mask = problem
    found = infer.metropolis_within_gibbs(exact.model, x, mask, generator=generator(), sweeps=40)
    accepted = found.to_arviz()["sample_stats"]["accepted"].to_numpy()
    assert accepted.dtype == bool
    np.testing.assert_allclose(accepted.mean((0, 1)), found.acceptance)
    moved = (found.draws.diff(dim=0) != 0).any(-1).transpose(0, 1).numpy()
    np.testing.assert_array_equal(accepted[:, 1:], moved)


def test_fewer_draws_are_spread_over_the_chains_with_their_stats(chains):
    tree, whole = chains.to_arviz(4), chains.to_arviz()
    for group, name in [("posterior", "z"), ("sample_stats", "n_steps"), ("sample_stats", "lp")]:
        some = whole[group][name].to_numpy()[:, [0, 50, 99, 149]]
        np.testing.assert_allclose(tree[group][name], some)


def test_rows_have_labels_and_pictures_have_axes():
    model, x, mask = CASES["bernoulli"]()
    found = infer.laplace(model, x, mask, generator=generator())
    tree = found.to_arviz(7, rows=["a", "b", "c"])
    assert tree["posterior"]["z"].dims == ("chain", "draw", "row", "latent")
    assert tree["posterior"]["z"].sel(row="b").shape == (1, 7, 2)
    assert tree["observed_data"]["x"].dims == ("row", "channel", "height", "width")
    summary = arviz_stats.summary(tree)
    assert list(summary.index[:3]) == ["z[a, 0]", "z[a, 1]", "z[b, 0]"]


@pytest.mark.parametrize("name", CASES)
def test_the_log_likelihood_of_values_adds_up(name):
    model, x, mask = CASES[name]()
    found = infer.encoder(model, x, mask, generator=generator())
    if name == "discretized-logistic-mixture":
        with pytest.raises(UsageError, match="channels of a pixel depend on each other"):
            found.to_arviz(5, log_likelihood=True)
        return
    tree = found.to_arviz(5, rows=[7, 8, 9], log_likelihood=True)
    values = tree["log_likelihood"]["x"]
    assert values.shape == (1, 5, mask.sum())
    z = torch.from_numpy(tree["posterior"]["z"].to_numpy())
    ours = model.log_likelihood(x, z, mask)
    np.testing.assert_allclose(values.groupby("row").sum(), ours, rtol=1e-5)
    seen = x.flatten(1)[values.row.to_numpy() - 7, values.value.to_numpy()]
    np.testing.assert_array_equal(seen, x[mask])


def test_loo_is_the_exact_density_of_a_value_given_the_others(problem):
    exact, x, mask = problem
    x, mask = x[1:], mask[1:]
    chains = infer.hmc(exact.model, x, mask, generator=generator(), warmup=100, draws=400)
    loo = arviz_stats.loo(chains.to_arviz(log_likelihood=True), pointwise=True)

    def left_out(row, value):
        kept = mask[row : row + 1].clone()
        kept[0, value] = False
        mean, precision = exact.posterior(x[row : row + 1], kept)
        w = exact.weight[value]
        spread = (1 + w @ precision[0].inverse() @ w).sqrt()
        return stats.norm.logpdf(x[row, value], w @ mean[0] + exact.bias[value], spread)

    expected = np.array([left_out(row, value) for row, value in mask.nonzero()])
    within = chains.to_arviz(log_likelihood=True)["log_likelihood"]["x"]
    # p(x_i | x_rest) = 1 / E[1 / p(x_i | z)] under the posterior of all seen values
    weights = torch.from_numpy(np.exp(-within.to_numpy())).transpose(0, 1)[..., None]
    relative = weights.std((0, 1)) / weights.mean((0, 1)) / chain_ess(weights).sqrt()
    error = 4.5 * relative[:, 0].numpy()
    assert (loo.pareto_k < 0.7).all()

    def check(found):
        assert (np.abs(found - expected) < error).all()

    check(loo.elpd_i.to_numpy())
    left_in = np.log(np.exp(within).mean(("chain", "draw")))
    assert_rejected(lambda: check(left_in.to_numpy()))
    assert_rejected(lambda: check(loo.elpd_i.to_numpy()[::-1]))


def test_what_cannot_be_given_is_refused(chains):
    with pytest.raises(UsageError, match="found 150 draws of each chain; draws = 151"):
        chains.to_arviz(151)
    with pytest.raises(UsageError, match="draws must be positive"):
        chains.to_arviz(0)
    with pytest.raises(UsageError, match=r"their shape is \(2,\); expected \(3,\)"):
        chains.to_arviz(rows=["a", "b"])


def test_the_log_likelihood_of_particles_is_refused(problem):
    exact, x, mask = problem
    found = infer.sir(exact.model, x, mask, generator=generator())
    assert "log_likelihood" not in found.to_arviz().children
    with pytest.raises(UsageError, match="copies of a few"):
        found.to_arviz(log_likelihood=True)


def test_a_model_that_was_trained_further_is_refused():
    model, x, mask = case()
    found = infer.laplace(model, x, mask, generator=generator())
    model.decoder.trunk[0].weight.data += 1
    with pytest.raises(UsageError, match="weights of the model have changed"):
        found.to_arviz()


def test_too_large_a_log_likelihood_is_refused_at_once(chains, monkeypatch):
    monkeypatch.setattr("elboroom.device.memory.free_memory", lambda device: 10_000)
    monkeypatch.setattr("elboroom.device.memory._SMALL", 0)
    with pytest.raises(UsageError, match="draws = 150"):
        chains.to_arviz(log_likelihood=True)


def test_without_arviz_the_extra_is_named(chains, monkeypatch):
    monkeypatch.setitem(sys.modules, "arviz_base", None)
    with pytest.raises(UsageError, match=r"pip install 'elboroom\[arviz\]'"):
        chains.to_arviz()
