"""A CSV with gaps becomes a filled CSV by one command, and new rows are filled in and scored."""

import json
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from elboroom.cli import impute as impute_command
from elboroom.cli import score as score_command
from elboroom.cli.main import main
from elboroom.config import ImputeConfig, ScoreConfig
from elboroom.errors import DataError, RunError, UsageError
from elboroom.imputation.folder import FILE, open_folder
from tests.support.json_schemas import faults

QUIET = {"trust": False, "quiet": True}
ROWS, DRAWS = 500, 4


def people(rows: int = ROWS, seed: int = 0) -> pd.DataFrame:
    """Return a table of 12 columns that go together, as text, with 20 % of its entries missing."""
    noise = np.random.default_rng(seed)
    a, b = noise.normal(size=(2, rows))
    e = noise.normal(size=(6, rows))
    days = pd.Timestamp("2021-01-01") + pd.to_timedelta(noise.integers(0, 365, rows), "D")
    table = pd.DataFrame(
        {
            "id": np.arange(1, rows + 1),
            "income": [f"{v:.2f}" for v in np.exp(10 + 0.5 * a + 0.3 * e[0])],
            "bmi": [f"{v:.1f}" for v in 25 + 3 * b + e[1]],
            "weight": [f"{v:.1f}" for v in 75 + 9 * b + 4 * a + 3 * e[1]],
            "kids": noise.poisson(np.exp(0.2 + 0.6 * b)),
            "smoker": np.where(b + 0.5 * e[2] > 0, "yes", "no"),
            "level": np.array(["high", "low", "mid"])[np.digitize(a + 0.3 * e[3], [-0.5, 0.6])],
            "region": noise.choice(["east", "north", "south"], rows),
            "grade": 1 + np.digitize(a + 0.4 * e[4], [-1.0, -0.2, 0.6]),
            "visited": days.strftime("%Y-%m-%d"),
            "score": [f"{v:.2f}" for v in 60 + 10 * a - 5 * b + 3 * e[5]],
            "code": [f"{n:03d}-{n % 7}" for n in range(rows)],
        }
    ).astype(str)
    gaps = noise.random(table.shape) < 0.2
    gaps[:, [0, 11]] = False
    return table.mask(gaps, "")


@dataclass(frozen=True)
class Story:
    """The files of one imputation.

    Attributes:
        folder: where they stand.
        truth: the table that was given.
        printed: what was printed, as JSON.
    """

    folder: Path
    truth: pd.DataFrame
    printed: dict

    def read(self, name: str) -> pd.DataFrame:
        """Read a file as text."""
        return pd.read_csv(self.folder / name, dtype=str, keep_default_na=False)

    @property
    def models(self) -> Path:
        """The folder of the models."""
        return self.folder / "models"


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("story")
    truth = people()
    truth.to_csv(folder / "people.csv", index=False)
    files = [folder / "people.csv", "--out", folder / "filled.csv", "--models", folder / "models"]
    options = ["--draws", DRAWS, "--effort", 0.05, "--quiet", "--json"]
    with pytest.raises(SystemExit) as end, redirect_stdout(StringIO()) as printed:
        main(["impute", *map(str, files), *map(str, options)])
    assert end.value.code == 0
    content = json.loads(printed.getvalue())
    assert faults("impute", content) == []
    return Story(folder, truth, content)


def test_every_gap_is_filled_and_nothing_else_has_changed(story: Story):
    filled, given = story.read("filled.csv"), story.truth
    assert list(filled.columns) == list(given.columns)
    known = given != ""
    assert (filled.where(known, "") == given).all(axis=None)
    assert not (filled == "").any(axis=None)
    original = (story.folder / "people.csv").read_bytes().splitlines()
    complete = known.all(axis=1)
    written = (story.folder / "filled.csv").read_bytes().splitlines()
    assert all(written[i + 1] == original[i + 1] for i in np.flatnonzero(complete))


@pytest.mark.parametrize(
    ("column", "pattern"),
    [
        ("income", r"\d+\.\d\d"),
        ("bmi", r"\d+\.\d"),
        ("kids", r"\d+"),
        ("smoker", "yes|no"),
        ("level", "high|low|mid"),
        ("grade", "[1-4]"),
        ("visited", r"202[0-2]-\d\d-\d\d"),
    ],
)
def test_what_is_filled_in_is_written_as_its_column_is(story: Story, column: str, pattern: str):
    gaps = story.truth[column] == ""
    for name in ("filled.csv", "filled.draws.csv"):
        cells = story.read(name)
        cells = cells[cells[".imp"] != "0"] if ".imp" in cells else cells
        assert cells[column].str.fullmatch(pattern).all(), cells[column][gaps].head()


def test_each_filled_entry_has_a_deviation_or_a_probability(story: Story):
    uncertainty = story.read("filled.uncertainty.csv")
    gaps = story.truth[uncertainty.columns] == ""
    assert ((uncertainty != "") == gaps).all(axis=None)
    for column in ("smoker", "level", "region"):
        assert pd.to_numeric(uncertainty[column][gaps[column]]).between(0, 1).all()
    assert (pd.to_numeric(uncertainty["income"][gaps["income"]]) > 0).all()


def test_draws_are_in_long_form_with_the_table_first(story: Story):
    long = story.read("filled.draws.csv")
    assert list(long.columns[:2]) == [".imp", ".id"]
    assert long[".imp"].value_counts().to_dict() == {str(m): ROWS for m in range(DRAWS + 1)}
    assert (long[long[".imp"] == "0"].iloc[:, 2:].to_numpy() == story.truth.to_numpy()).all()
    draws = [long[long[".imp"] == str(m)]["income"].to_numpy() for m in (1, 2)]
    gaps = (story.truth["income"] == "").to_numpy()
    assert (draws[0][gaps] != draws[1][gaps]).mean() > 0.9
    assert (draws[0][~gaps] == draws[1][~gaps]).all()


def test_the_page_names_each_column_with_its_error_and_coverage(story: Story):
    page = (story.folder / "filled.html").read_text()
    assert "http" not in page.replace("http-equiv", "")
    for check in story.printed["checks"]:
        assert f'<th scope="row">{check["name"]}</th>' in page
        assert check["count"] > 0
    assert len(story.printed["checks"]) == 10
    assert "not to trust" in page


def test_columns_that_go_together_are_predicted(story: Story):
    """`weight` follows from `bmi`; `region` from nothing."""
    checks = {check["name"]: check for check in story.printed["checks"]}
    assert checks["weight"]["error"] < 0.8 * checks["weight"]["usual"]


def test_new_rows_are_filled_in_by_the_trained_models(story: Story, capsys: pytest.CaptureFixture):
    new = people(60, seed=1)
    new[["score", "extra", *new.columns[:-2]]] = new.assign(extra="?")[
        ["score", "extra", *new.columns[:-2]]
    ]
    new = new[[*reversed(new.columns)]]
    table, out = story.folder / "new.csv", story.folder / "new-filled.csv"
    new.to_csv(table, index=False)
    config = ImputeConfig(table=table, out=out, run=story.models)
    with pytest.warns(UserWarning, match="extra"):
        impute_command.impute(config, **QUIET, as_json=False)
    assert "filled in" in capsys.readouterr().out
    filled = story.read("new-filled.csv")
    assert list(filled.columns) == list(new.columns)
    assert not (filled.drop(columns="extra") == "").any(axis=None)


def test_a_category_that_training_never_saw_is_named(story: Story):
    new = people(30, seed=2)
    new.loc[4, "region"] = "west"
    new.to_csv(story.folder / "west.csv", index=False)
    config = ImputeConfig(
        table=story.folder / "west.csv", out=story.folder / "west-filled.csv", run=story.models
    )
    with pytest.raises(DataError, match=r"(?s)region.*west|west.*region"):
        impute_command.impute(config, **QUIET, as_json=False)


def test_rows_are_scored_and_a_planted_outlier_is_found(
    story: Story, capsys: pytest.CaptureFixture
):
    new = people(80, seed=3)
    new.loc[11, "weight"] = "190.0"
    new.to_csv(story.folder / "odd.csv", index=False)
    out = story.folder / "scores.csv"
    config = ScoreConfig(table=story.folder / "odd.csv", out=out, shown=1, draws=100)
    score_command.score(story.models, config, best=False, trust=False, quiet=True, as_json=True)
    [least] = json.loads(capsys.readouterr().out)["least"]
    assert least["row"] == 12
    assert least["most_surprising"]["column"] == "weight"
    scores = pd.read_csv(out)
    assert len(scores) == 80
    assert scores["log_prob"].idxmin() == 11
    assert scores["surprise weight"].idxmax() == 11


def test_a_member_is_a_run_that_scores_alone(story: Story):
    names = json.loads((story.models / FILE).read_text())["weights"]
    member = open_folder(story.models / next(iter(names)))
    assert len(member.ensemble.models) == 1
    assert member.schema.modelled == open_folder(story.models).schema.modelled


def test_files_in_the_way_and_tables_without_a_gap_are_refused(story: Story, tmp_path: Path):
    table = tmp_path / "whole.csv"
    people().replace("", "1").to_csv(table, index=False)
    config = ImputeConfig(table=story.folder / "people.csv", out=story.folder / "filled.csv")
    with pytest.raises(RunError, match="in the way"):
        impute_command.impute(config, **QUIET, as_json=False)
    complete = people().query("bmi != ''")[["id", "bmi"]]
    complete.to_csv(table, index=False)
    with pytest.raises(UsageError, match="no gap"):
        impute_command.impute(
            ImputeConfig(table=table, out=tmp_path / "out.csv"), **QUIET, as_json=False
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["whole.csv"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"weights": {"..": 1.0}}',
        '{"weights": {"a": 0.4}, "columns": []}',
        '{"weights": 1}',
    ],
)
def test_a_damaged_folder_is_an_error_in_words(tmp_path: Path, content: str):
    (tmp_path / FILE).write_text(content)
    with pytest.raises(RunError):
        open_folder(tmp_path)


def test_a_folder_without_models_is_no_run(tmp_path: Path):
    with pytest.raises(RunError, match="is not a run"):
        open_folder(tmp_path)


def test_a_run_of_images_is_no_run_on_a_table(trained: Path):
    with pytest.raises(UsageError, match="not of the columns of one table"):
        open_folder(trained)
