import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from huggingface_hub import ModelCard

from elboroom import Dataset, Run, __version__, save_pretrained
from elboroom.data.tables import Column, Schema
from elboroom.errors import RunError
from elboroom.runs.hub.card_limits import limits
from elboroom.runs.hub.known_data import known_data
from elboroom.runs.hub.markdown import code, markdown, templates
from elboroom.runs.hub.pretrained_config import StoredWeights
from elboroom.training.state import EpochMetrics
from tests.support.explored_runs import people
from tests.support.hub_runs import MAKERS, own_run
from tests.support.repository import ROOT

EVALUATION = {
    "identity": {},
    "part": "test",
    "images": 20,
    "k": 50,
    "seed": 3,
    "unit": "nats per image",
    "kl_sampled": False,
    "estimates": {
        "elbo": {"mean": -10.25, "standard_error": 0.5},
        "kl": {"mean": 2.0, "standard_error": 0.25},
        "iwae": {"mean": -9.75, "standard_error": 0.5},
    },
    "quality": {
        "ess": {"mean": 20.0, "standard_error": 1.0},
        "reliable": {"mean": 0.5, "standard_error": 0.1},
    },
    "latents": {"kl": [], "kl_standard_error": [], "active": 1},
}


def saved(run: Run, folder: Path, **options: Any) -> str:
    save_pretrained(run, folder / "out", **options)
    return (folder / "out" / "README.md").read_text()


def evaluated(run: Run, **changed: Any) -> Run:
    run.results.write_evaluation(run.results.provenance(2) | EVALUATION | changed, {})
    return run


def section(card: str, name: str) -> str:
    return card.split(f"\n## {name}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("name", MAKERS)
def test_the_code_of_a_card_runs(
    runs: dict[str, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys, name: str
):
    card = saved(runs[name], tmp_path)
    table = pd.read_csv(people(tmp_path)[0], dtype=str)
    monkeypatch.chdir(tmp_path / "out")
    namespace: dict[str, Any] = {"table": table}
    blocks = re.findall(r"^```python\n(.*?)^```$", card, re.DOTALL | re.MULTILINE)
    for block in blocks:
        exec(compile(block, name, "exec"), namespace)
    shape = torch.Size([4, *runs[name].event_shape])
    assert capsys.readouterr().out.startswith(f"{shape} ")
    assert len(blocks) == 1 + (name == "table")
    if name == "table":
        assert namespace["z"].shape == (300, 2)


def test_the_front_matter_is_that_of_the_hub(run: Run, tmp_path: Path):
    saved(evaluated(run), tmp_path, license="cc-by-4.0", repo_id="me/my-digits")
    data = ModelCard.load(tmp_path / "out" / "README.md").data
    assert (data.library_name, data.license) == ("elboroom", "cc-by-4.0")
    assert data.pipeline_tag == "unconditional-image-generation"
    version = f"elboroom_version:{__version__}"
    assert data.tags == ["vae", version, "likelihood:bernoulli", "latents:2"]
    assert data.datasets is None
    assert data.model_name == "my-digits"
    found = [(r.metric_type, r.metric_name, r.metric_value) for r in data.eval_results or []]
    assert found == [
        ("elbo", "ELBO (nats per image)", "-10.25 ± 0.50"),
        ("iwae", "IWAE bound, K = 50 (nats per image)", "-9.75 ± 0.50"),
    ]
    first = (data.eval_results or [])[0]
    assert first.metric_args == {"k": 50, "seed": 3}
    assert (first.dataset_type, first.dataset_split) == ("undisclosed", "test")


def test_what_was_not_found_is_not_in_the_front_matter(runs: dict[str, Run], tmp_path: Path):
    card = saved(runs["vectors"], tmp_path)
    data = ModelCard.load(tmp_path / "out" / "README.md").data
    assert (data.license, data.pipeline_tag, data.eval_results) == (None, None, None)
    assert "No licence is stated" in section(card, "Licence")
    assert "These weights were not evaluated. `elboroom evaluate RUN`" in card


def test_mnist_is_known_by_its_values(mnist: Dataset, tmp_path: Path):
    named = known_data(replace(mnist.identity, source="of mine.npz"))
    assert named is not None
    assert named == ("MNIST", "ylecun/mnist")
    assert known_data(replace(mnist.identity, sha256="0" * 64)) is None


def test_an_evaluation_is_shown_with_its_settings(run: Run, tmp_path: Path):
    card = saved(evaluated(run), tmp_path)
    found = section(card, "Evaluation")
    title = "20 images of the test part, threshold binarisation; K = 50 samples of each, seed 3."
    assert title in found
    for row in (
        "| ELBO | -10.25 ± 0.50 |",
        r"| KL(q(z\|x) ‖ p(z)) | 2.00 ± 0.25 |",
        "| IWAE bound, K = 50 | -9.75 ± 0.50 |",
        "| effective sample size of the weights | 20.0 ± 1.0 of 50 |",
        "| active latents | 1 of 2 |",
    ):
        assert row in found
    assert "in nats per image, ± one standard error" in found
    assert "reliable for 50.0% of the images alone" in section(card, "Limits")


def test_a_reliable_evaluation_is_no_limit(run: Run, tmp_path: Path):
    quality = {"reliable": {"mean": 1.0, "standard_error": 0.0}}
    assert "Found in" not in saved(evaluated(run, quality=quality), tmp_path)


@pytest.mark.parametrize(
    "changed",
    [{"quality": []}, {"quality": {"ess": 3}}, {"seed": "x"}, {"estimates": {"elbo": {}}}],
)
def test_an_evaluation_that_is_none_is_told(run: Run, tmp_path: Path, changed: dict[str, Any]):
    with pytest.raises(RunError, match=r"evaluation\.json cannot be read"):
        saved(evaluated(run, **changed), tmp_path)


def test_the_training_is_described_until_the_weights(run: Run, tmp_path: Path):
    card = section(saved(run, tmp_path), "Training")
    assert "| epochs | 2 |" in card
    assert "| steps | 2, of 200 images each; 1 in an epoch |" in card
    assert "| optimiser | adam, learning rate 0.001, constant |" in card
    assert "| training ELBO | -5.25 nats per image, in epoch 2 |" in card
    assert f"elboroom {__version__}, torch {torch.__version__}".replace("_", r"\_") in card
    run.metrics.record(EpochMetrics(3, 9, -1.0, 0, 1.0, -1.0, 1.0, 1e-3, -2.0, 1e4))
    assert "| training ELBO | -5.25 " in section(saved(run, tmp_path), "Training")


def test_findings_of_the_training_are_limits(run: Run):
    weights = StoredWeights(0, "", 4_000, None, 0)
    collapsed = EpochMetrics(10, 4_000, -5.0, -4.99, 0.01, -5.0, 1.0, 1e-3, None, 1e4, skipped=7)
    run.metrics.record(collapsed)
    found = limits(run, weights, None)
    assert found[0].startswith("**Found in training:** posterior collapse: the KL of epoch 10 is")
    assert found[0].endswith("z carries almost no information about x.")
    assert found[1].startswith("**Found in training:** 7 steps changed nothing")
    assert len(limits(run, replace(weights, step=2), None)) == len(found) - 2


def test_a_card_lists_what_is_of_the_data(runs: dict[str, Run], tmp_path: Path):
    held = {name: section(saved(runs[name], tmp_path), "Data") for name in MAKERS}
    assert "5 pseudo-inputs of the prior. **They began as images of" in held["vamp"]
    assert "pseudo-inputs" not in held["mlp"]
    assert "the mean and the spread of its values, 4 of each" in held["vectors"]
    assert "mean and the spread" not in held["mlp"]
    assert "The names of its columns and of all their levels" in held["table"]
    assert "- `region`: category, categorical:3" in held["table"]
    assert runs["mlp"].identity.sha256 in held["mlp"]


def test_a_card_of_own_networks_names_their_code(tmp_path: Path):
    card, name = saved(own_run(tmp_path), tmp_path), "tests.support.own_networks:own_pair"
    assert f'model = from_pretrained(".", network=factory)  # {name}' in card
    assert f"not in this repository: `{name}`." in card
    assert "| networks | of its authors' code |" in card


def test_the_citation_is_that_of_the_project():
    citation = (ROOT / "CITATION.cff").read_text()
    title = re.search(r'^title: "(.*)"$', citation, re.MULTILINE)
    assert title is not None
    source = templates().get_template("card.md.j2").filename
    assert source is not None
    assert f"title = {{{title[1]}}}" in Path(source).read_text()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("age", "`age`"),
        ("a`b", "`` a`b ``"),
        ("a``b", "``` a``b ```"),
        ("a\nb", "`a\\nb`"),
        ("\x1b[31m", "`\\x1b[31m`"),
    ],
)
def test_names_are_code_whatever_they_are(text: str, expected: str):
    assert code(text) == expected


def test_text_is_no_markdown():
    assert markdown("a_b [c](d) <e>\n# f|g") == r"a\_b \[c\](d) \<e\>\\n\# f\|g"


def test_columns_that_are_markdown_stay_within_their_line(
    runs: dict[str, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    name = "x`\n---\n# Not a heading"
    columns = Schema(tuple(Column(n, "real") for n in (name, *map(str, range(60)))))
    monkeypatch.setattr("elboroom.runs.hub.folder.published_columns", lambda run: columns)
    card = saved(runs["table"], tmp_path)
    assert "\n# Not a heading" not in card
    assert "- and 11 more\n" in card
