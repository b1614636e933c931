import base64
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from elboroom import Run
from elboroom.runs.report import EvaluationSummary, render

EVALUATION = {
    "k": 7,
    "unit": "nats per image",
    "kl_sampled": False,
    "estimates": {
        "elbo": {"mean": -101.234, "standard_error": 0.5},
        "iwae": {"mean": -99.0, "standard_error": 0.25},
    },
}


class Page(HTMLParser):
    """The tags, attributes and texts of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(" ".join(data.split()))


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Run:
    run = Run(Path(shutil.copytree(trained, tmp_path / "brave")))
    run.results.write_evaluation(run.results.provenance(12) | EVALUATION, {})
    run.results.write_figure("samples", Figure(figsize=(1, 1)), 12)
    run.results.write_figure("complete-top", Figure(figsize=(1, 1)), 12)
    return run


def test_nothing_is_fetched_and_nothing_runs(run: Run):
    html = render(run)
    page = Page(html)
    assert not re.search(r"https?://|url\(|@import", html)
    assert not {"script", "link", "iframe", "object", "base"} & set(page.tags)
    sources = [value for name, value in page.attributes if name in ("src", "href", "srcset")]
    assert [str(source)[:22] for source in sources] == ["data:image/png;base64,"]


def test_the_figures_are_within_the_page_byte_for_byte(run: Run):
    png = base64.b64encode(run.results.figures()["samples"].read_bytes()).decode()
    assert f'src="data:image/png;base64,{png}"' in render(run)


def test_only_figures_with_a_caption_are_shown(run: Run):
    ids = [value for name, value in Page(render(run)).attributes if name == "id"]
    assert ids == ["samples"]


def test_a_name_that_looks_like_html_is_shown_as_it_is(tmp_path: Path, run: Run):
    bold = Run(Path(shutil.copytree(run.path, tmp_path / "<b>bold")))
    html = render(bold)
    assert "<h1>&lt;b&gt;bold</h1>" in html
    assert "b" not in Page(html).tags


def test_the_evaluation_is_shown_with_its_errors_and_its_k(run: Run):
    texts = Page(render(run)).texts
    assert texts[texts.index("ELBO") + 1] == "-101.23 ± 0.50"
    assert texts[texts.index("IWAE bound, K = 7") + 1] == "-99.00 ± 0.25"


def test_levels_of_a_ladder_are_shown_with_their_use(run: Run):
    kl = {"mean": 15.451, "standard_error": None, "reason": "one image"}
    level = {"shape": [8, 7, 7], "active": 46, "kl": kl}
    content = run.results.provenance(12) | EVALUATION | {"images": 1}
    texts = Page(render(run, content | {"latents": {"levels": [level]}})).texts
    place = texts.index("8 × 7 × 7")
    cells = [text for text in texts[place : place + 6] if text]
    assert cells[:3] == ["8 × 7 × 7", "46 of 392", "15.45 ± unknown (one image)"]
    assert "Levels, from coarse to fine" not in Page(render(run)).texts


def test_data_binarisation_split_and_epochs_are_named(run: Run):
    line = "digits.npz · threshold binarisation · stratified split · trained for 2 epochs"
    assert line in Page(render(run)).texts


def test_every_option_is_listed(run: Run):
    texts = Page(render(run)).texts
    assert texts[texts.index("batch size") + 1] == "50"
    assert texts[texts.index("hidden") + 1] == "(16,)"
    assert texts[texts.index("seed") + 1] == "0"


def test_a_run_without_evaluation_or_figures_is_still_a_page(trained: Path, tmp_path: Path):
    bare = Run(Path(shutil.copytree(trained, tmp_path / "bare")))
    (bare.path / "evaluation.json").unlink(missing_ok=True)
    shutil.rmtree(bare.path / "figures", ignore_errors=True)
    page = Page(render(bare))
    assert "bare" in page.texts
    assert not any("standard error" in text for text in page.texts)
    assert "img" not in page.tags


@pytest.mark.parametrize("noun", ["image", "row"])
def test_an_evaluation_of_one_row_says_why_it_has_no_error(noun: str):
    one = {"elbo": {"mean": -1.5, "standard_error": None}}
    summary = EvaluationSummary(3, 5, one, f"nats per {noun}", False, images=1)
    assert summary.rows == [("ELBO", f"-1.50 ± unknown (one {noun})")]
