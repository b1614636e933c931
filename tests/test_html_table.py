"""Results as a notebook shows them: whole HTML, nothing injected, nothing raised, no tensors."""

import inspect
import json
from collections.abc import Mapping
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from elboroom import Config, Dataset, Run, TrainConfig, evaluate, half_mask, infer
from elboroom.evaluation import annealed_likelihood, certify, gaps
from elboroom.exports import NetworkExport
from elboroom.html_table import MOST_ROWS, Folded, Shown, Summary, Table
from elboroom.imputation import Imputation, RowScores
from elboroom.training.metrics import History
from tests.support.reference import SECTIONS, listed

LEFT = {"Bernoulli", "ElboroomError", "EvaluationInterrupted", "KeptDraws", "KeptTiles"}
"""Classes of the reference of which there is nothing to show; errors are their messages."""
VOID = {"img"}


class Balanced(HTMLParser):
    """A parser that takes only elements that are closed, and heading cells that say of what."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open, self.text, self.seen = list[str](), "", set[str]()
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        if tag == "th":
            assert dict(attrs)["scope"] in ("row", "col")
        if tag == "img":
            assert dict(attrs)["alt"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def things(trained: Path) -> Mapping[str, Any]:
    """One result of each kind, of a small run."""
    run = Run(trained)
    data, model, noise = run.load_data(), run.load_model(), torch.Generator().manual_seed(0)
    found = evaluate(model, data, k=3, seed=0)
    x, mask = data.test.x[:3], half_mask("top", (1, 8, 8)).expand(3, 1, 8, 8)
    annealing = {"distributions": 3, "chains": 2}
    split = gaps(model, x, mask, generator=noise, methods=(), k=20)
    chains = {"chains": 2, "warmup": 2, "draws": 8}
    kinds: dict[str, dict[str, int]] = {"encoder": {}, "sir": {}, "hmc": chains, "ais": annealing}
    posteriors = {
        name: getattr(infer, name)(model, x, mask, generator=noise, **options)
        for name, options in kinds.items()
    }
    q = posteriors["encoder"]
    score = infer.completion_score(model, x, mask, q, generator=noise, draws=50)
    completion = infer.complete(model, x, mask, q, draws=2, generator=noise)
    annealed = annealed_likelihood(model, data, found, images=2, seed=0, **annealing)
    certificate = certify(model, rows=2, generator=noise, **annealing)
    values = torch.rand(3, 2)
    return posteriors | {
        "run": run,
        "config": run.config,
        "data": data,
        "part": data.train,
        "identity": data.identity,
        "reading": data.reading,
        "model": model,
        "state": run.load_training(data)[1],
        "metrics": run.metrics.history()[-1],
        "history": run.metrics.history(),
        "evaluation": found,
        "estimate": found.estimates["elbo"],
        "information": found.information,
        "gaps": split,
        "evidence": split.evidence,
        "fit": split.fits["svi"],
        "annealed": annealed,
        "certificate": certificate,
        "grid": infer.grid(model, x, mask, generator=noise),
        "density": q.q,
        "completion": completion,
        "score": score,
        "imputation": Imputation(values, values, values, values[None]),
        "scores": RowScores(values[:, 0], values[:, 1], values[:, 1]),
        "export": NetworkExport((Path("encoder.onnx"), Path("model.json")), "ONNX", 1e-7),
    }


def test_every_class_of_the_reference_is_shown():
    named = [
        getattr(import_module(module), name)
        for module, names in SECTIONS
        for name in listed(names)
        if module != "elboroom.estimators"  # which scikit-learn shows
    ]
    classes = {kind.__name__: kind for kind in named if inspect.isclass(kind)}
    assert {n for n, kind in classes.items() if not hasattr(kind, "_repr_html_")} == LEFT


def test_results_are_whole_small_and_without_tensors(things: Mapping[str, Any]):
    for name, thing in things.items():
        html = thing._repr_html_()
        text = Balanced(html).text
        assert type(thing).__name__ in text, name
        assert "cannot" not in text, name
        assert "tensor(" not in text + repr(thing), name
        assert len(html) < 30_000, name


def test_numbers_are_written_as_the_command_line_writes_them(things: Mapping[str, Any]):
    found = things["evaluation"]
    assert f"<td>{found.estimates['elbo']}</td>" in found._repr_html_()
    assert f"ELBO {found.estimates['elbo']}; " in repr(found)
    assert "nats per image, ± one standard error" in repr(found)
    for line in found.reliability:
        assert line.replace("<", "&lt;") in found._repr_html_()


def test_a_completion_is_a_picture(things: Mapping[str, Any]):
    html = things["completion"]._repr_html_()
    assert 'alt="3 images: what was seen, the mean, 2 draws"' in html
    assert "50.0% of the values" in html


def test_chains_that_have_not_mixed_are_named(things: Mapping[str, Any]):
    assert "not reliable: R̂ ≥ 1.01 for" in repr(things["hmc"])
    assert "not reliable" not in repr(things["encoder"])


def test_a_broken_run_says_what_cannot_be_read(run: Path):
    (run / "metrics.jsonl").write_text("garbage\n")
    (run / "evaluation.json").write_text("{")
    text = Balanced(Run(run)._repr_html_()).text
    assert text.count("cannot be read") == 2
    assert "metrics.jsonl" in text
    assert "step 12" in text  # the rest is shown


def test_an_evaluation_of_another_form_is_no_error(run: Path):
    (run / "evaluation.json").write_text(json.dumps({"k": 1, "estimates": [3]}))
    assert "cannot be read" in Balanced(Run(run)._repr_html_()).text


def test_a_summary_that_fails_is_shown_as_that():
    class Broken(Shown):
        def _summary(self) -> Summary:
            raise KeyError("<b>")

    shown = Broken()
    assert repr(shown) == "<Broken: cannot be shown KeyError: '<b>'>"
    assert "KeyError: &#x27;&lt;b&gt;&#x27;" in shown._repr_html_()


HOSTILE = '<script>alert(1)</script>"\x1b[2J'


def test_names_cannot_inject_anything():
    table = Table((HOSTILE, "b"), [(HOSTILE, HOSTILE)], HOSTILE)
    summary = Summary(HOSTILE, {HOSTILE: HOSTILE}, [table, Folded(HOSTILE, table)], [HOSTILE])
    html = summary.html(HOSTILE)
    parsed = Balanced(html)
    assert "script" not in parsed.seen
    assert parsed.text.count("<script>alert(1)</script>") == 14
    assert "\x1b" not in html + summary.text(HOSTILE)


def test_names_of_a_data_set_cannot_inject_anything():
    x = torch.rand(20, 3)
    y = torch.arange(20) % 2
    data = Dataset.from_arrays(x, y_train=y, class_names=[HOSTILE, "b"], name=HOSTILE)
    assert Balanced(data._repr_html_()).seen.isdisjoint({"script"})
    assert "\x1b" not in data._repr_html_() + repr(data)


def test_long_tables_are_cut(things: Mapping[str, Any]):
    history = History([things["metrics"]] * 1_000)
    html = history._repr_html_()
    assert html.count("<tr>") == MOST_ROWS + 1
    assert "the last 20 of 1,000" in html


def test_a_config_names_the_options_that_were_changed():
    html = Config(train=TrainConfig(epochs=3))._repr_html_()
    assert "<summary>train: epochs = 3</summary>" in html
    assert "<summary>data: all by default</summary>" in html
    assert repr(TrainConfig(epochs=3)).startswith("TrainConfig(epochs=3, ")  # as before
