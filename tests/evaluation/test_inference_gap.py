"""The gaps of a linear-Gaussian model, which are known in closed form."""

from dataclasses import replace

import pytest
import torch

from elboroom.errors import UsageError
from elboroom.evaluation.estimate import Estimate
from elboroom.evaluation.inference_gap import FitQuality, Gaps, gaps
from elboroom.infer import encoder
from tests.support.ladder_cases import numbers, two_scalars
from tests.support.oracles import LinearGaussian, assert_mean, assert_rejected, random_masks

ROWS, PIXELS = 150, 6


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def problem(latents):
    exact = LinearGaussian(PIXELS, latents, seed=90 + latents)
    return exact, exact.data(ROWS, seed=91), random_masks(ROWS, PIXELS, seed=92)


def encoder_elbo(exact, x, mask):
    mean, log_std = exact.model.encoder(x)
    return exact.elbo(x, mask, mean, log_std)


def diagonal_elbo(exact, x, mask):
    """That of the best diagonal Gaussian, whose variances are those of the precision's diagonal."""
    mean, precision = exact.posterior(x, mask)
    return exact.elbo(x, mask, mean, -0.5 * precision.diagonal(dim1=1, dim2=2).log())


@pytest.mark.parametrize("latents", [2, 3])
def test_gaps_are_those_of_the_linear_gaussian_model(latents):
    exact, x, mask = problem(latents)
    found = gaps(exact.model, x, mask, generator=generator(), methods=("svi-full",))
    encoder, diagonal = encoder_elbo(exact, x, mask), diagonal_elbo(exact, x, mask)
    truth = exact.log_evidence(x, mask)

    def check(found):
        within = 4.5 * found.evidence.error + 2e-3
        assert ((found.evidence.value - truth).abs() < within).all()
        # each ELBO has noise of its own; a fit stops within a hundredth of a nat of its optimum
        assert_mean(found.inference - (truth - encoder), 0.0)
        assert_mean(found.amortisation - (diagonal - encoder), 0.0)
        assert_mean(found.approximation - (truth - diagonal), 0.0)
        assert (found.below_evidence("svi-full").abs() < within).all()
        torch.testing.assert_close(found.fits["svi-full"].elbo, truth, atol=2e-3, rtol=0)

    check(found)
    swapped = found.fits | {"svi": found.fits["encoder"], "encoder": found.fits["svi"]}
    assert_rejected(lambda: check(replace(found, fits=swapped)))
    lower = replace(found.evidence, value=found.fits["svi"].elbo)
    assert_rejected(lambda: check(replace(found, evidence=lower)))


def test_evidence_by_importance_sampling_is_unbiased_and_knows_its_error():
    exact, x, mask = problem(3)
    x, mask = x.repeat(4, 1), mask.repeat(4, 1)  # each with draws of its own
    found = gaps(exact.model, x, mask, generator=generator(), methods=()).evidence
    assert found.by == "importance sampling"
    off = found.value - exact.log_evidence(x, mask)

    def check(off):
        assert_mean(off.exp(), 1.0)

    check(off)
    assert_rejected(lambda: check(diagonal_elbo(exact, x, mask) - exact.log_evidence(x, mask)))
    seen = mask.any(1)  # where nothing is, the evidence is exact
    errors = off[seen] / found.error[seen]
    assert_mean(errors.square(), 1.0)
    assert_rejected(lambda: assert_mean((errors / 2).square(), 1.0))


def test_the_evidence_does_not_depend_on_the_fits():
    exact, x, mask = problem(3)
    few = gaps(exact.model, x, mask, generator=generator(), methods=())
    more = gaps(exact.model, x, mask, generator=generator(), methods=("svi-full",))
    assert torch.equal(few.evidence.value, more.evidence.value)
    assert few.evidence.reliable == 1.0
    assert (few.evidence.error < 0.05).all()


def test_with_two_latents_the_evidence_is_integrated():
    exact, x, mask = problem(2)
    found = gaps(exact.model, x, mask, generator=generator(), methods=()).evidence
    assert found.by == "grid"
    assert found.reliable == 1.0
    assert (found.error <= 1e-3).all()


def test_nothing_seen_leaves_no_gap_to_a_fit():
    exact, x, mask = problem(2)
    found = gaps(exact.model, x, torch.zeros_like(mask), generator=generator(), methods=())
    nought = torch.zeros(ROWS, dtype=x.dtype)
    torch.testing.assert_close(found.evidence.value, nought, atol=1e-3, rtol=0)
    torch.testing.assert_close(found.approximation, nought, atol=1e-3, rtol=0)
    assert (found.fits["svi"].k_hat == -torch.inf).all()
    assert (found.amortisation > 0).all()


def test_without_a_mask_all_is_seen():
    exact, x, mask = problem(2)
    found, given = (
        gaps(exact.model, x, m, generator=generator(), methods=())
        for m in (None, torch.ones_like(mask))
    )
    torch.testing.assert_close(found.inference, given.inference)


def test_parts_are_joined_row_by_row():
    exact, x, mask = problem(2)
    parts = [
        gaps(exact.model, x[rows], mask[rows], generator=generator(), methods=("laplace",))
        for rows in (slice(0, 60), slice(60, ROWS))
    ]
    found = Gaps.join(parts)
    assert [*found.fits] == ["encoder", "svi", "laplace"]
    torch.testing.assert_close(found.evidence.value, exact.log_evidence(x, mask), atol=2e-3, rtol=0)
    assert torch.equal(found.inference[60:], parts[1].inference)
    assert torch.equal(found.fits["laplace"].k_hat[:60], parts[0].fits["laplace"].k_hat)


@pytest.fixture(scope="module")
def found():
    exact, x, mask = problem(2)
    return gaps(exact.model, x, mask, generator=generator(), methods=("svi-full",))


def test_a_summary_has_means_and_standard_errors(found):
    summary = found.summary()
    assert summary["log_evidence"] == Estimate.of(found.evidence.value)
    assert summary["inference"] == Estimate.of(found.inference)
    assert summary["inference"].mean == pytest.approx(
        summary["amortisation"].mean + summary["approximation"].mean
    )
    assert found.summary_of("svi")["gap"] == summary["approximation"]
    assert found.summary_of("encoder")["gap"] == summary["inference"]
    assert found.summary_of("svi")["elbo"].mean < summary["log_evidence"].mean


def test_a_fit_is_reliable_in_the_images_where_its_k_hat_is_small(found):
    k_hat = torch.tensor([0.1, 0.69, 0.7, torch.inf]).repeat(ROWS // 2)[:ROWS]
    fits = found.fits | {"svi": FitQuality(found.fits["svi"].elbo, k_hat)}
    reliable = replace(found, fits=fits).summary_of("svi")["reliable"]
    assert reliable == Estimate.of((k_hat < 0.7).double())
    assert 0.45 < reliable.mean < 0.55
    assert found.summary_of("svi-full")["reliable"].mean == 1.0
    assert found.summary_of("encoder")["reliable"].mean < 1.0


def test_the_dictionary_has_the_same_values(found):
    data = found.to_dict()
    assert data["log_evidence"]["by"] == "grid"
    assert data["log_evidence"]["mean"] == found.evidence.value.mean().item()
    assert [*data["gaps"]] == ["amortisation", "approximation", "inference"]
    assert [*data["fits"]] == ["encoder", "svi", "svi-full"]
    assert data["fits"]["svi"]["gap"] == data["gaps"]["approximation"]


def test_a_mask_that_does_not_fit_is_refused():
    exact, x, mask = problem(2)
    with pytest.raises(UsageError, match="mask"):
        gaps(exact.model, x, mask[:, :-1], generator=generator())


def test_the_gap_of_a_ladder_is_whole():
    """No method fits the family of its posterior to a row."""
    model, x = two_scalars(), (numbers(40, 5, seed=7) > 0).double()
    found = gaps(model, x, generator=generator(), methods=("svi-full",))
    truth = encoder(model, x, generator=generator(1)).log_weights(20_000).mean(0)

    def check(found: Gaps) -> None:
        assert_mean(found.inference - (found.evidence.value - truth), 0.0)

    check(found)
    swapped = found.fits | {"encoder": found.fits["svi-full"]}
    assert_rejected(lambda: check(replace(found, fits=swapped)))
    assert [*found.summary()] == ["log_evidence", "inference"]
    with pytest.raises(UsageError, match="is not split"):
        _ = found.amortisation
    assert Gaps.of_columns(found.columns()).best is None
