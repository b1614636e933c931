import json
import math
import signal
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from elboroom import (
    VAE,
    Dataset,
    Evaluation,
    ModelConfig,
    TrainConfig,
    evaluate,
    infer,
    load_mnist,
    train,
)
from elboroom.data import Identity, Part
from elboroom.data.binarisation import Binarisation
from elboroom.errors import EvaluationError, IncomparableError, UsageError
from elboroom.evaluation import EvaluationInterrupted, annealed_likelihood
from elboroom.evaluation.estimate import Estimate
from elboroom.evaluation.evaluation import label
from elboroom.evaluation.latent_usage import Information
from elboroom.randomness import stream
from elboroom.runs.atomic import as_json
from tests.support.oracles import assert_rejected

IDENTITY = Identity("mnist", "ab12", "threshold", "standard", 3)
LOG_2 = math.log(2)


def found(*elbo: float, **change: Any) -> Evaluation:
    names = ("elbo", "reconstruction", "kl", "iwae")
    per_image = {name: torch.tensor(elbo) for name in names} | {"ess": torch.ones(len(elbo))}
    information = Information(
        torch.tensor([0.5, 0.0]), torch.tensor([0.25, 0.0]), torch.tensor(elbo)
    )
    return Evaluation(replace(IDENTITY, **change), "test", 20, 0, 0.5, per_image, information)


def binary(rows: int) -> Dataset:
    x = torch.randint(0, 2, (rows, 1, 3, 4), generator=torch.Generator().manual_seed(0))
    part = Part(x.to(torch.uint8), None)
    return Dataset(replace(IDENTITY, test_images=rows), part, None, part)


def model(seed: int = 0, **change: Any) -> VAE:
    config, images = (
        ModelConfig(hidden=(6,), **change),
        torch.rand(4, 1, 3, 4, generator=stream(seed, "images")),
    )
    generator = stream(seed, "weights")
    return VAE.from_config(config, (1, 3, 4), generator=generator, images=images)


def test_an_estimate_is_the_mean_and_its_standard_error():
    estimate = Estimate.of(torch.tensor([1.0, 2.0, 3.0, 6.0]))
    assert estimate.mean == 3.0
    # the variance with n − 1 below is 14 / 3, its share of the mean a quarter of that
    assert estimate.standard_error == pytest.approx(math.sqrt(14 / 3 / 4), rel=1e-12)


@pytest.mark.parametrize("noun", ["image", "row"])
def test_the_standard_error_of_one_value_is_unknown_and_says_why(noun: str):
    estimate = Estimate.of(torch.tensor([1.5]), noun)
    assert estimate.mean == 1.5
    assert math.isnan(estimate.standard_error)
    assert f"{estimate}" == f"1.50 ± unknown (one {noun})"
    assert f"{estimate:.3f}" == f"1.500 ± unknown (one {noun})"
    assert f"{estimate:.0%}" == f"150% ± unknown (one {noun})"
    assert estimate.to_dict()["reason"] == f"one {noun}"


def test_a_mean_of_nothing_is_unknown():
    estimate = Estimate.of(torch.tensor([]), "row with a known value")
    assert str(estimate) == "unknown (no row with a known value)"
    assert estimate.to_dict()["reason"] == "no row with a known value"


def test_values_that_are_not_finite_are_counted():
    values = torch.tensor([1.0, -math.inf, 2.0, -math.inf])
    assert str(Estimate.of(values)) == "-inf ± unknown (2 of 4 values are not finite)"
    assert str(Estimate.of(torch.tensor([math.nan, 1.0]))) == (
        "unknown (1 of 2 values are not finite)"
    )


def test_an_estimate_is_read_from_json_as_it_was():
    for values in ([1.0, 2.0], [1.5], [], [1.0, math.inf]):
        estimate = Estimate.of(torch.tensor(values))
        stored = json.loads(as_json(estimate.to_dict()))
        has_null = None in (stored["mean"], stored["standard_error"])
        assert has_null == ("reason" in stored)
        read = Estimate.read(stored)
        assert math.isnan(read.standard_error) == has_null
        assert read.reason == estimate.reason
    assert Estimate.read({"mean": 1.5, "standard_error": 0.25}) == Estimate(1.5, 0.25)
    in_memory = Estimate.read(Estimate.of(torch.tensor([1.5])).to_dict())
    assert str(in_memory) == "1.50 ± unknown (one image)"
    older = {"mean": 1.5, "standard_error": None}
    assert str(Estimate.read(older)) == "1.50 ± unknown"
    assert str(Estimate.read(older, "one row")) == "1.50 ± unknown (one row)"


def test_an_estimate_is_written_with_two_decimals():
    assert str(Estimate(-145.678, 0.125)) == "-145.68 ± 0.12"


def test_the_difference_of_two_results_is_paired_image_by_image():
    difference = found(1.0, 2.0, 3.0).minus(found(0.0, 1.0, 1.0))["elbo"]
    assert difference.mean == pytest.approx(4 / 3)
    assert difference.standard_error == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"binarisation": "static"}, "binarisation: threshold against static"),
        ({"split": "reference"}, "split: standard against reference"),
        ({"sha256": "cd34"}, "sha256: ab12 against cd34"),
    ],
)
def test_results_on_unlike_data_are_not_compared(change: dict[str, str], named: str):
    with pytest.raises(IncomparableError) as error:
        found(1.0, 2.0).minus(found(1.0, 2.0, **change))
    assert str(error.value) == (
        "these results cannot be compared\n"
        f"  why: they are of different data ({named})\n"
        "  fix: evaluate runs that share data, binarisation and split"
    )


def test_the_title_names_data_binarisation_split_and_samples():
    title = "mnist, threshold binarisation, standard split, 3 test images, K = 20"
    assert found(1.0, 2.0, 3.0).title == title


def test_a_label_has_the_number_of_samples_of_the_bound():
    assert label("iwae", 7) == "IWAE bound, K = 7"


def test_a_label_marks_a_sampled_kl():
    assert label("kl", 7) == "KL(q(z|x) ‖ p(z))"
    assert label("kl", 7, kl_sampled=True) == "KL(q(z|x) ‖ p(z)), sampled"
    assert label("elbo", 7, kl_sampled=True) == "ELBO"


@pytest.mark.parametrize("prior", ["standard", "mixture", "vamp", "flow"])
def test_the_kl_is_sampled_where_it_has_no_closed_form(prior):
    vae, data = model(prior=prior, components=4), binary(6)
    result = evaluate(vae, data, k=4_000, seed=0)
    assert result.kl_sampled == (prior != "standard")
    assert result.to_dict()["kl_sampled"] == result.kl_sampled
    q = vae.posterior(data.test.x)
    z = q.sample(4_000, stream(1, "z"))
    log_ratio = (q.log_prob(z) - vae.prior(6).log_prob(z)).detach()
    # two estimates of one KL, each with 4,000 samples at the most
    error = log_ratio.std(0) / 4_000**0.5 + 1e-6
    assert ((log_ratio.mean(0) - result.per_image["kl"]).abs() < 4.5 * 2**0.5 * error).all()


def test_the_kl_of_each_latent_is_none_if_the_prior_does_not_know_it():
    for prior, known in [("standard", True), ("mixture", True), ("vamp", True), ("flow", False)]:
        stored = evaluate(model(prior=prior, components=4), binary(6), k=2, seed=0).to_dict()
        assert ("kl" in stored["latents"]) == known


def test_a_stored_result_has_its_data_estimator_and_unit():
    two = {"mean": 2.0, "standard_error": 1.0}
    assert found(1.0, 3.0).to_dict() == {
        "identity": {
            "source": "mnist",
            "sha256": "ab12",
            "binarisation": "threshold",
            "split": "standard",
            "test_images": 3,
        },
        "part": "test",
        "images": 2,
        "k": 20,
        "seed": 0,
        "seconds": 0.5,
        "unit": "nats per image",
        "kl_sampled": False,
        "estimates": dict.fromkeys(["elbo", "reconstruction", "kl", "iwae"], two),
        "quality": {"ess": {"mean": 1.0, "standard_error": 0.0}},
        "latents": {"kl": [0.5, 0.0], "active": 1, "mutual_information": two},
    }


def test_a_model_that_ignores_z_has_its_exact_likelihood_as_elbo_and_as_bound():
    ignorant = model()
    for parameter in ignorant.parameters():
        parameter.data.zero_()  # q = N(0, I) = p(z), and every pixel is 1 with probability ½
    result = evaluate(ignorant, binary(5), k=3, seed=0)
    exact = torch.full((5,), -12 * LOG_2)
    torch.testing.assert_close(result.per_image["elbo"], exact)
    torch.testing.assert_close(result.per_image["reconstruction"], exact)
    torch.testing.assert_close(result.per_image["iwae"], exact)
    assert result.per_image["kl"].tolist() == [0.0] * 5


def test_the_elbo_is_reconstruction_minus_kl_of_each_image():
    per_image = evaluate(model(), binary(7), k=2, seed=0).per_image
    assert torch.equal(per_image["elbo"], per_image["reconstruction"] - per_image["kl"])
    assert (per_image["kl"] > 0).all()


def test_every_test_image_is_evaluated_however_they_are_batched():
    assert len(evaluate(model(), binary(9), k=2_000, seed=0).per_image["elbo"]) == 9


def test_the_same_seed_gives_the_same_evaluation():
    first, again, other = (evaluate(model(), binary(9), k=4, seed=s).per_image for s in (0, 0, 1))
    assert torch.equal(first["iwae"], again["iwae"])
    assert not torch.equal(first["iwae"], other["iwae"])


def test_the_bound_tightens_with_k():
    data = binary(1_000)
    few, many = (evaluate(model(), data, k=k, seed=0) for k in (1, 500))
    gain = many.minus(few)["iwae"]
    assert gain.mean > 4 * gain.standard_error


def test_all_samples_count_however_many_are_decoded_at_a_time(monkeypatch):
    data = binary(7)
    together = evaluate(model(), data, k=3_001, seed=0).per_image
    monkeypatch.setattr("elboroom.evaluation.row_batches.decoded_at_a_time", lambda model, x: 40)
    apart = evaluate(model(), data, k=3_001, seed=0).per_image  # 5 of each image at a time
    for name in ("elbo", "iwae"):
        torch.testing.assert_close(apart[name], together[name], atol=0.2, rtol=0)
    assert (together["ess"] > 300).all()
    assert (together["ess"] <= 3_001).all()


def test_the_share_of_reliable_weights_needs_a_hundred_samples():
    assert "reliable" not in evaluate(model(), binary(5), k=99, seed=0).quality
    found = evaluate(model(), binary(5), k=500, seed=0)
    reliable = found.per_image["k_hat"] < 0.7
    assert reliable.any()
    assert found.quality["reliable"].mean == pytest.approx(reliable.double().mean().item())


def test_progress_counts_every_image():
    counts = []
    evaluate(model(), binary(230), k=2, seed=0, on_images=counts.append)
    assert counts == [100, 100, 30]


def test_bfloat16_changes_the_bound_by_the_rounding_that_is_reported():
    data = load_mnist(split="reference")
    data = replace(data, test=data.test.rows(list(range(120))))
    model = VAE.from_config(ModelConfig(), data.event_shape, generator=torch.Generator())
    exact, fast = (evaluate(model, data, k=50, seed=3, precision=p) for p in ("fp32", "bf16"))
    assert exact.rounding is None
    hundred = torch.randperm(120, generator=stream(3, "rows of an evaluation"))[:100].sort().values
    moved = (fast.per_image["iwae"] - exact.per_image["iwae"])[hundred]
    assert fast.rounding == Estimate.of(moved)
    assert 0 < moved.abs().max() < 0.5


def test_no_samples_are_refused(mnist: Dataset):
    model = VAE.from_config(
        ModelConfig(hidden=(8,)), mnist.event_shape, generator=torch.Generator().manual_seed(0)
    )
    with pytest.raises(UsageError, match="k is 0"):
        evaluate(model, mnist, k=0, seed=0)


def subset_of(
    seed: int = 0, weights: int = 0, error: float | None = 0.02, **more: Any
) -> Evaluation:
    return evaluate(model(weights), binary(350), k=200, k_all=5, seed=seed, error=error, **more)


def test_a_subset_brings_the_bound_of_all_images_without_most_of_the_samples():
    found, full = subset_of(), evaluate(model(), binary(350), k=200, seed=0)
    assert found.subset is not None
    assert found.subset.error is not None
    assert 200 <= found.subset.images <= 350
    apart = found.estimates["iwae"].mean - full.estimates["iwae"].mean
    assert abs(apart) < 4.5 * (found.subset.error + 0.001)
    few = Estimate.of(found.per_image["iwae"]).mean
    assert full.estimates["iwae"].mean - few > 4.5 * found.subset.error
    ess = found.per_image["ess_subset"][found.per_image["stage"] > 0].double()
    assert found.quality["ess"].mean == pytest.approx(ess.mean().item())
    assert full.quality["ess"].mean == pytest.approx(ess.mean().item(), rel=0.05)


def test_by_default_a_subset_may_add_a_quarter_of_the_error_over_images():
    found = subset_of(error=None)
    assert found.subset is not None
    quarter = Estimate.of(found.per_image["iwae"]).standard_error / 4
    assert found.subset.asked_error == pytest.approx(quarter)


def test_a_stored_subset_says_how_it_was_chosen():
    found = subset_of(error=0.5)
    stored = json.loads(as_json(found.to_dict()))
    assert (stored["k"], stored["images"]) == (200, 350)
    assert {"k_all": 5, "images": 200, "pilot": 100, "asked_error": 0.5}.items() <= (
        stored["subset"].items()
    )
    assert "partial" not in stored
    line = "IWAE bound: 5 samples for all images, 200 for 200 random ones (pilot 100), which adds ±"
    assert found.reliability[0].startswith(line)
    assert "of the 200 images" in "".join(found.reliability)


@pytest.mark.parametrize("change", [{"error": 0.0}, {"k_all": 200}, {"rows": 200}])
def test_all_images_have_all_samples_where_a_subset_saves_none(change: dict[str, Any]):
    options = {"k_all": 5, "error": 0.02} | change
    data = binary(options.pop("rows", 350))
    found = evaluate(model(), data, k=200, seed=0, **options)
    assert found.subset is None
    expected = evaluate(model(), data, k=200, seed=0).per_image
    assert torch.equal(found.per_image["iwae"], expected["iwae"])


def test_bits_of_a_subset_are_those_of_the_bound_with_all_samples():
    vae, x = discretized(350)
    x[7], x[9, :, 0] = math.nan, math.nan
    found = evaluate(vae, grey(x), k=60, k_all=5, seed=0, error=1e-6)
    expected = evaluate(vae, grey(x), k=60, seed=0).bits
    assert found.bits is not None
    assert expected is not None
    assert found.bits.mean == pytest.approx(expected.mean, abs=0.01)
    assert found.bits.standard_error == pytest.approx(expected.standard_error, rel=0.02)
    exact = found.per_image["bits_subset"]
    known = exact[~exact.isnan()].double()
    assert len(known) == 349
    assert found.bits.mean == pytest.approx(known.mean().item())


def test_two_subsets_are_compared_in_the_images_that_both_have():
    mine, theirs = subset_of(error=0.02), subset_of(weights=1, error=0.5)
    full = (evaluate(model(w), binary(350), k=200, seed=0) for w in (0, 1))
    expected = next(full).minus(next(full))["iwae"]
    both = mine.minus(theirs)["iwae"]
    for found in (both, mine.minus(evaluate(model(1), binary(350), k=200, seed=0))["iwae"]):
        assert abs(found.mean - expected.mean) < 4.5 * 0.04
        assert expected.standard_error < found.standard_error < 2 * expected.standard_error
    assert mine.minus(mine)["iwae"] == Estimate(0.0, 0.0)
    with pytest.raises(IncomparableError, match="different seeds"):
        mine.minus(subset_of(seed=1))


def test_the_rounding_of_a_subset_is_that_of_its_pilot():
    found = subset_of(error=0.5, precision="bf16")
    exact = subset_of(error=0.5)
    pilot = found.per_image["stage"] == 1
    moved = (found.per_image["iwae_subset"] - exact.per_image["iwae_subset"])[pilot]
    assert found.rounding == Estimate.of(moved)


def test_an_evaluation_that_is_stopped_keeps_the_finished_images():
    asked = iter(range(2))  # each batch is sampled at once here
    found = evaluate(model(), binary(350), k=5, seed=0, stop=lambda: next(asked, None) is None)
    assert found.partial is not None
    assert found.rows is not None
    assert len(found.rows) == len(found.per_image["elbo"]) == len(found.information.mutual) == 200
    whole = evaluate(model(), binary(350), k=5, seed=0)
    assert torch.equal(found.per_image["iwae"], whole.per_image["iwae"][found.rows])
    stored = found.to_dict()
    assert (stored["images"], stored["partial"]["of"]) == (200, 350)
    assert found.notes == ["stopped early: 200 of 350 images, chosen at random"]
    with pytest.raises(IncomparableError, match="stopped early"):
        found.minus(whole)
    with pytest.raises(UsageError, match="some images alone"):
        annealed_likelihood(model(), binary(350), found, images=2, seed=0)


def test_an_evaluation_that_is_stopped_at_once_says_that_nothing_is_known():
    with pytest.raises(EvaluationError, match="nothing is known yet") as error:
        evaluate(model(), binary(350), k=5, seed=0, stop=lambda: True)
    assert "not all samples of the first 100 images were drawn" in str(error.value)


@pytest.mark.parametrize(("presses", "images"), [(150, 100), (50, None), (350, 350)])
def test_ctrl_c_in_python_brings_the_finished_images(
    presses: int, images: int | None, monkeypatch: pytest.MonkeyPatch
):
    one_at_a_time = "elboroom.evaluation.row_batches.decoded_at_a_time"
    monkeypatch.setattr(one_at_a_time, lambda model, x: len(x))
    seen = [0.0]

    def press(images: float) -> None:
        seen[0] += images
        if seen[0] >= presses:
            seen[0] = -math.inf
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(EvaluationInterrupted) as interrupt:
            evaluate(model(), binary(350), k=20, seed=0, on_images=press)
    finally:
        signal.signal(signal.SIGINT, before)
    found = interrupt.value.evaluation
    assert (None if found is None else len(found.per_image["iwae"])) == images


def nulls(content: Any) -> list[str]:
    """Names of values that are null, NaN or infinite, in tables that give no reason."""
    found = []
    for name, value in content.items():
        if isinstance(value, dict):
            found += nulls(value)
        elif (value is None or value != value or value in (math.inf, -math.inf)) and (
            "reason" not in content
        ):
            found.append(name)
    return found


def grey(x: torch.Tensor) -> Dataset:
    part = Part(x, None, Binarisation(missing=bool(x.isnan().any())))
    return Dataset(replace(IDENTITY, test_images=len(x)), part, None, part)


@pytest.mark.parametrize("event", [(1, 3, 4), (12,)])
def test_one_row_has_words_in_place_of_numbers_that_it_does_not_give(event: tuple[int, ...]):
    noun = "image" if len(event) == 3 else "row"
    data = grey(torch.full((1, *event), 0.6).round())
    vae = VAE.from_config(
        ModelConfig(latents=3, hidden=(6,), likelihood="bernoulli"),
        event,
        generator=stream(0, "weights"),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = evaluate(vae, data, k=100, seed=0)
    stored = result.to_dict()
    assert nulls(stored) == []
    assert stored["estimates"]["elbo"]["reason"] == f"one {noun}"
    assert stored["latents"]["reason"] == f"one {noun}"
    assert result.unit == f"nats per {noun}"
    assert f", 1 test {noun}, " in result.title
    text = "\n".join([*map(str, result.estimates.values()), *result.reliability])
    assert "nan" not in text
    assert f"unknown (one {noun})" in text
    assert f"of the 3 latents: unknown (one {noun})" in text


def discretized(rows: int = 20) -> tuple[VAE, torch.Tensor]:
    config = ModelConfig(hidden=(6,), likelihood="discretized-logistic")
    x = torch.randint(0, 256, (rows, 1, 3, 4), generator=stream(0, "x")) / 255
    vae = VAE.from_config(config, (1, 3, 4), generator=stream(0, "weights"), images=x)
    return vae, x


def test_bits_per_dimension_are_of_the_rows_that_have_a_known_pixel():
    vae, x = discretized()
    full = evaluate(vae, grey(x), k=3, seed=0).bits
    x[3], x[5, :, 0] = math.nan, math.nan
    result = evaluate(vae, grey(x), k=3, seed=0)
    bits = result.per_image["bits"]
    assert bits.isnan().nonzero()[:, 0].tolist() == [3]
    known = torch.tensor([0 if i == 3 else 8 if i == 5 else 12 for i in range(20)])
    expected = (-result.per_image["iwae"] / (known * LOG_2))[known > 0].double()

    def check(mean: float):
        assert mean == pytest.approx(expected.mean().item())

    assert result.bits is not None
    assert full is not None
    check(result.bits.mean)
    assert_rejected(lambda: check((-result.per_image["iwae"] / (12 * LOG_2)).mean().item()))
    assert abs(result.bits.mean - full.mean) < 1
    assert "without 1 image wholly missing" in result.reliability[0]
    assert nulls(result.to_dict()) == []


def test_data_without_any_known_pixel_have_no_bits_and_say_so():
    vae, x = discretized(4)
    result = evaluate(vae, grey(torch.full_like(x, math.nan)), k=3, seed=0)
    assert str(result.bits) == "unknown (no image with a known value)"
    assert nulls(result.to_dict()) == []


def test_columns_that_are_wholly_missing_change_no_other_number():
    vae, x = discretized()
    x[:, :, :, 2] = math.nan
    result = evaluate(vae, grey(x), k=5, seed=0)
    assert nulls(result.to_dict()) == []
    assert result.bits is not None
    assert math.isfinite(result.bits.standard_error)


def test_planted_rows_and_their_columns_are_the_unlikeliest():
    r = np.random.default_rng(0)
    x = r.normal(size=(600, 2)) @ r.normal(size=(2, 8)) + 0.1 * r.normal(size=(600, 8))
    x += 50
    planted, columns = np.arange(500, 600) < 510, np.arange(10) % 8
    x[500:510][np.arange(10), columns] += 6 * x.std(0)[columns]
    data = Dataset.from_arrays(x[:400], x_validation=x[400:500], x_test=x[500:])
    config = ModelConfig(hidden=(), likelihood="gaussian")
    vae = VAE.from_config(config, (8,), generator=stream(0, "weights"))
    train(vae, data, TrainConfig(epochs=60, batch_size=50, learning_rate=0.01, threads=1))
    iwae = evaluate(vae, data, k=20, seed=0).per_image["iwae"].numpy()
    assert iwae[planted].max() < iwae[~planted].min()
    found = data.test.x[:10]
    z = infer.laplace(vae, found, generator=stream(0, "z")).mean
    with torch.no_grad():
        log_prob = vae.decode(z[None]).log_prob_per_value(found)[0]
    assert (log_prob.argmin(1) == torch.from_numpy(columns)).float().mean() >= 0.9
