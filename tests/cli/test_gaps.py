"""`elboroom gaps`."""

import json
import re
from pathlib import Path

import pytest

from elboroom import Run, half_mask, infer
from elboroom.cli import gaps as gaps_command
from elboroom.randomness import stream
from tests.support.command import Command
from tests.support.outcomes import error


def test_the_table_has_the_values_of_the_json(elboroom: Command, run: Path):
    options = ["--mask", "top", "--images", "9", "--k", "200"]
    data = json.loads(elboroom("gaps", run, *options, "--json").out)
    outcome = elboroom("gaps", run, *options)
    assert (outcome.code, outcome.err) == (0, "")
    title, *lines = outcome.out.splitlines()
    assert title.strip() == (
        "digits.npz, threshold binarisation, stratified split, 9 test images, top seen, step 12, "
        "K = 200"
    )
    cells = [[c.strip() for c in line.split("│")[1:-1]] for line in lines if "│" in line]
    assert [row[0] for row in cells] == ["encoder", "svi", "svi-full", "svi-mixture"]
    for name, elbo, gap, reliable in cells:
        fit = data["fits"][name]
        assert elbo == f"{fit['elbo']['mean']:.2f} ± {fit['elbo']['standard_error']:.2f}"
        assert gap == f"{fit['gap']['mean']:.3f} ± {fit['gap']['standard_error']:.3f}"
        share = fit["reliable"]
        assert reliable == f"{share['mean']:.0%} ± {share['standard_error']:.0%}"
    for label, found in [
        ("log p(seen)", data["log_evidence"]),
        ("amortisation gap, svi − encoder", data["gaps"]["amortisation"]),
        ("approximation gap, log p(seen) − svi", data["gaps"]["approximation"]),
        ("inference gap, the sum of both", data["gaps"]["inference"]),
    ]:
        value = f"{found['mean']:.3f} ± {found['standard_error']:.3f}"
        assert f"{label}: {value} nats" in lines
    assert lines[-1].startswith("log p(seen) by grid, mean error 0.00")


def test_the_data_are_those_of_the_run(elboroom: Command, run: Path):
    options = ["--mask", "top", "--images", "9", "--k", "2000", "--method", "laplace", "--json"]
    found = json.loads(elboroom("gaps", run, *options).out)
    assert found["identity"]["source"] == "digits.npz"
    asked = {name: found[name] for name in ("part", "images", "mask", "seed", "unit", "k")}
    assert asked == {
        "part": "test",
        "images": 9,
        "mask": "top",
        "seed": 0,
        "unit": "nats per image",
        "k": 2_000,
    }
    assert [*found["fits"]] == ["encoder", "svi", "laplace"]
    data, model = Run(run).load_data(), Run(run).load_model()
    x, mask = data.test.x[:9], half_mask("top", data.event_shape)
    exact = infer.grid(model, x, mask, generator=stream(0, "test"))
    assert found["log_evidence"]["by"] == "grid"
    assert found["log_evidence"]["mean"] == pytest.approx(exact.log_evidence.mean().item())
    gap = exact.log_evidence - infer.exact_elbo(model, x, mask, model.posterior(x, mask))
    assert found["gaps"]["inference"]["mean"] == pytest.approx(gap.mean().item(), abs=0.02)
    gaps = {name: gap["mean"] for name, gap in found["gaps"].items()}
    assert gaps["inference"] == pytest.approx(gaps["amortisation"] + gaps["approximation"])


def test_with_three_latents_the_evidence_is_sampled(elboroom: Command, deep: Path):
    outcome = elboroom("gaps", deep, "--images", "5", "--method", "svi-full")
    assert (outcome.code, outcome.err) == (0, "")
    quality = (
        r"log p\(seen\) by importance sampling, mean error 0\.\d{4} nats per image; "
        r"k̂ < 0\.7 for \d+% of the images"
    )
    assert re.fullmatch(quality, outcome.out.splitlines()[-1])


def test_batches_give_the_result_of_the_whole(
    elboroom: Command, run: Path, monkeypatch: pytest.MonkeyPatch
):
    options = ["gaps", run, "--images", "7", "--json", "--method"]
    whole = json.loads(elboroom(*options).out)
    monkeypatch.setattr(gaps_command, "_ROWS_AT_A_TIME", 3)
    parts = json.loads(elboroom(*options).out)
    assert [*parts["fits"]] == ["encoder", "svi"]
    for quantity in ("mean", "standard_error"):
        value = whole["log_evidence"][quantity]
        assert parts["log_evidence"][quantity] == pytest.approx(value, abs=1e-3)
        gap = whole["gaps"]["inference"][quantity]
        assert parts["gaps"]["inference"][quantity] == pytest.approx(gap, abs=0.05)


def test_one_image_has_no_standard_error(elboroom: Command, run: Path):
    options = ["--images", "1", "--json", "--method"]
    found = json.loads(elboroom("gaps", run, *options).out)
    assert found["log_evidence"]["standard_error"] is None
    assert found["log_evidence"]["reason"] == "one image"
    text = elboroom("gaps", run, *options[:2], "--method").out
    assert "unknown" in text
    assert "nan" not in text


@pytest.mark.parametrize(
    ("options", "option", "expected"),
    [
        (["--k", "99"], "--k 99", "k must be 100 or more"),
        (["--images", "0"], "--images 0", "images must be 1 or more"),
        (["--seed", "-1"], "--seed -1", "seed must be in [0, 2^63)"),
        (
            ["--method", "laplace", "laplace"],
            "--method laplace laplace",
            "method must be different methods",
        ),
    ],
)
def test_an_option_out_of_range_is_refused(
    elboroom: Command, run: Path, options: list[str], option: str, expected: str
):
    what, why, _ = error(elboroom("gaps", run, *options), 2)
    assert (what, why) == (f"{option} cannot be used", expected)


def test_a_method_without_a_bound_is_refused(elboroom: Command, run: Path):
    outcome = elboroom("gaps", run, "--method", "hmc")
    assert (outcome.code, outcome.out) == (2, "")
    assert "hmc" in outcome.err
