"""Numbers on the screen, against those that the library computes here."""

import json

import pytest
import torch
from playwright.sync_api import expect

from elboroom import infer
from elboroom.cli.main import main
from elboroom.explorer.api.completion import CompletionRequest, completion
from elboroom.randomness import stream
from tests.support.screen_numbers import fixed, significant, with_error

PLANES = pytest.mark.parametrize(
    "name", ["colour", *(pytest.param(name, marks=pytest.mark.full) for name in ("plane", "conv"))]
)
ROW, DRAWS = 3, 12


def half_seen(explored):
    x = explored.part.x[ROW]
    seen = torch.zeros_like(x, dtype=torch.bool)
    seen[:, :3] = True
    return x, seen


def exact_posterior(explored, x, seen):
    return infer.grid(explored.model, x[None], seen[None], generator=stream(0, "test"))


def expect_evidence(visitor, text):
    expect(visitor.page.locator(".evidence .number")).to_have_text(text)


@PLANES
def test_the_evidence_is_that_of_the_grid(visitor, explored, name):
    one = explored[name]
    visitor.open(f"{name}/complete?row={ROW}")
    expect_evidence(visitor, fixed(exact_posterior(one, *half_seen(one)).log_evidence, 2))
    expect(visitor.page.locator(".evidence")).to_contain_text("nats, exact")


@PLANES
def test_the_quality_of_a_fit_is_its_exact_kl(visitor, explored, name):
    one = explored[name]
    x, seen = half_seen(one)
    q = infer.encoder(one.model, x[None], seen[None], generator=stream(0, "test")).q
    kl = exact_posterior(one, x, seen).kl(q).item()
    visitor.open(f"{name}/complete?row={ROW}")
    visitor.page.get_by_label("Method").select_option("encoder")
    expect(visitor.page.locator(".quality b")).to_have_text(f"{significant(kl)} nats")
    expect(visitor.page.locator(".ellipse-key")).to_contain_text(f" = {significant(kl, 2)} nats")
    expect(visitor.page.locator(".quality .mark")).to_have_text("poor")


@pytest.mark.parametrize(("name", "method"), [("space", "laplace"), ("ladder", "encoder")])
def test_an_estimate_has_its_error_and_its_quality(visitor, explored, name, method):
    one = explored[name]
    x, seen = (values.flatten().tolist() for values in half_seen(one))
    asked = {"method": method, "axes": "pca", "draws": DRAWS}
    found = completion(one, CompletionRequest(x=x, seen=[int(s) for s in seen], **asked))
    assert found.log_evidence is not None
    value, error = found.log_evidence.value, found.log_evidence.standard_error
    visitor.open(f"{name}/complete?row={ROW}&method={method}")
    expect_evidence(visitor, f"{fixed(value, 2)} ± {fixed(error, 2)}")
    expect(visitor.page.locator(".evidence")).to_contain_text("nats, estimated")
    expected = [f"{significant(check.value)} {check.unit}".strip() for check in found.quality]
    expect(visitor.page.locator(".quality b")).to_have_text(expected)


@pytest.mark.parametrize("name", [pytest.param("plane", marks=pytest.mark.full), "space"])
def test_a_row_has_the_mean_and_the_deviation_of_its_posterior(visitor, explored, name):
    one = explored[name]
    q = one.model.posterior(one.part.x[ROW : ROW + 1])
    mean, std = q.mean[0].detach(), q.log_std[0].detach().exp()
    visitor.open(f"{name}/map?row={ROW}")
    expected = [
        f"z{'₁₂₃₄₅'[i]} = {fixed(mean[i], 2)} ± {fixed(std[i], 2)}" for i in range(len(mean))
    ]
    expect(visitor.page.locator(".row-card .fact")).to_have_text(
        [f"class {int(one.part.labels[ROW])}", *expected]
    )


def test_an_evaluation_and_its_difference_are_shown_to_the_digits_of_the_error(visitor, explored):
    found = [evaluated(explored[name]) for name in ("plane", "space")]
    visitor.open("plane/run?compare=space")
    elbo = visitor.page.get_by_role("row", name="ELBO", exact=False).first.locator("td")
    one, other = (each["estimates"]["elbo"] for each in found)
    error = (one["standard_error"] ** 2 + other["standard_error"] ** 2) ** 0.5
    shown = [with_error(each["mean"], each["standard_error"]) for each in (one, other)]
    expect(elbo).to_have_text([*shown, with_error(other["mean"] - one["mean"], error)])


def evaluated(explored):
    """Run `elboroom evaluate`, unless that was done."""
    path = explored.run.path / "evaluation.json"
    if not path.exists():
        with pytest.raises(SystemExit):
            main(["evaluate", str(explored.run.path), "--k", "5", "--quiet"])
    return json.loads(path.read_text())
