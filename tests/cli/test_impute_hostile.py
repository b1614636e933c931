"""`elboroom impute` and `score` on tables and options that nobody planned for."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from elboroom.cli.main import main
from tests.support.command import Command

pytestmark = pytest.mark.filterwarnings("always:.*does not know")
SCRIPT = "<script>alert(1)</script>"
QUICK = ("--effort", 0.02, "--quiet")


def gappy(rows: int = 60) -> pd.DataFrame:
    """Return a table with numbers near 1e-9, a column of equal entries, and an odd name."""
    noise = np.random.default_rng(0)
    z = noise.normal(size=rows)
    columns = {
        "nano": 1e-9 * (z + 0.2 * noise.normal(size=rows)),
        SCRIPT: (z + 0.2 * noise.normal(size=rows)).round(3),
        "city": np.where(z > 0, "Bern", "Chur"),
        "same": np.full(rows, "a"),
    }
    gaps = noise.random((len(columns), rows)) < 0.25
    named = zip(columns.items(), gaps, strict=True)
    return pd.DataFrame({name: pd.Series(values).mask(gap) for (name, values), gap in named})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table of ; and decimal commas, its models, and what they filled in."""
    path = tmp_path_factory.mktemp("hostile")
    gappy().to_csv(path / "table.csv", sep=";", decimal=",", index=False)
    words = ["impute", path / "table.csv", "--out", path / "filled.csv", "--draws", 2]
    with pytest.raises(SystemExit) as end:
        main([*map(str, [*words, "--models", path / "models", *QUICK])])
    assert end.value.code == 0
    return path


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep=";", decimal=",")


def test_uncertainty_of_tiny_units_is_kept(trained: Path) -> None:
    found = read(trained / "filled.uncertainty.csv")["nano"].to_numpy(float)
    gaps = np.isnan(gappy()["nano"].to_numpy(float))
    np.testing.assert_array_equal(~np.isnan(found), gaps)
    assert found[gaps].min() > 1e-11
    assert found[gaps].max() < 1e-8


def test_files_beside_the_table_are_written_in_its_way(trained: Path) -> None:
    before, filled = read(trained / "table.csv"), read(trained / "filled.csv")
    uncertainty, draws = (read(trained / f"filled.{n}.csv") for n in ("uncertainty", "draws"))
    assert [*uncertainty.columns] == ["nano", SCRIPT, "city"]
    assert all(map(pd.api.types.is_float_dtype, uncertainty.dtypes))
    assert [*draws.columns] == [".imp", ".id", *before.columns]
    for frame in (filled, draws):
        assert (frame.dtypes[before.columns] == before.dtypes).all()
    assert (draws[".imp"].value_counts() == len(before)).all()


def test_uncertainty_is_of_decimal_points_where_the_table_is(
    trained: Path, elboroom: Command, tmp_path: Path
) -> None:
    gappy().to_csv(tmp_path / "table.csv", index=False)
    words = tmp_path / "table.csv", "--run", trained / "models", "--out", tmp_path / "out.csv"
    assert elboroom("impute", *words).code == 0
    found = pd.read_csv(tmp_path / "out.uncertainty.csv")
    assert all(map(pd.api.types.is_float_dtype, found.dtypes))


def test_columns_that_keep_their_gaps_are_told(
    trained: Path, elboroom: Command, tmp_path: Path
) -> None:
    gaps, run = sum(map(pd.isna, gappy()["same"])), ("--run", trained / "models")
    gappy().assign(more=np.nan).to_csv(tmp_path / "table.csv", index=False)
    words = tmp_path / "table.csv", *run, "--out", tmp_path / "out.csv"
    out = elboroom("impute", *words).out
    assert f"not filled in: same: left out, every known value is a; {gaps} missing" in out
    assert "not filled in: more: left out, the models do not know it; 60 missing" in out
    assert f"Not filled in: same: left out, every known value is a; {gaps} missing" in (
        tmp_path / "out.html"
    ).read_text("utf-8")
    found = elboroom("impute", *words[:-1], tmp_path / "o.csv", "--json")
    assert json.loads(found.out)["not_filled"] == {"same": gaps, "more": 60}


def test_page_escapes_names_and_needs_nothing_else(trained: Path) -> None:
    page = (trained / "filled.html").read_text("utf-8")
    assert SCRIPT not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert not re.search(r"(src|href)=\"(?!data:image/png;base64,)", page)


@pytest.mark.parametrize("rows", [60, 20])
def test_unknown_columns_are_told_once(
    trained: Path, elboroom: Command, tmp_path: Path, rows: int
) -> None:
    gappy().head(rows).assign(more=1).to_csv(tmp_path / "table.csv", index=False)
    words = tmp_path / "table.csv", "--run", trained / "models", "--out", tmp_path / "out.csv"
    assert elboroom("impute", *words).err.count("does not know") == 1


def test_one_row_with_an_unseen_entry_is_scored(
    trained: Path, elboroom: Command, tmp_path: Path
) -> None:
    gappy().head(1).assign(city=None, nano=0.0).to_csv(tmp_path / "one.csv", index=False)
    code, out, _ = elboroom("score", trained / "models", tmp_path / "one.csv")
    assert code == 0
    assert "of 1 row\n" in out


def test_table_without_rows_is_refused(trained: Path, elboroom: Command, tmp_path: Path) -> None:
    empty, out = tmp_path / "empty.csv", tmp_path / "out.csv"
    gappy().head(0).to_csv(empty, index=False)
    for words in (
        ("impute", empty, "--run", trained / "models", "--out", out),
        ("score", trained / "models", empty),
        ("infer", trained / "models/linear", "--data", empty, "--out", tmp_path / "z.npz"),
    ):
        code, _, err = elboroom(*words)
        assert code == 2
        assert "empty.csv has no rows" in err


@pytest.mark.parametrize("command", ["evaluate", "gaps", "complete", "figures", "report", "doctor"])
def test_folder_of_models_is_no_run_but_names_one(
    trained: Path, elboroom: Command, command: str
) -> None:
    code, _, err = elboroom(command, trained / "models")
    assert code == 1
    assert f"give one of them, such as {trained / 'models/linear'}" in err


@pytest.mark.parametrize("option", [("--unused", "city"), ("--effort", 0.5)])
def test_options_of_training_are_refused_with_trained_models(
    trained: Path, elboroom: Command, tmp_path: Path, option: tuple[object, ...]
) -> None:
    words = trained / "table.csv", "--run", trained / "models", "--out", tmp_path / "out.csv"
    code, _, err = elboroom("impute", *words, *option)
    assert code == 2
    assert f"{option[0]} {option[1]} cannot be used" in err


def test_values_that_may_mean_missing_are_told_before_a_table_without_gaps_is_refused(
    elboroom: Command, tmp_path: Path
) -> None:
    frame = gappy()[[SCRIPT]].set_axis(["x"], axis=1).fillna(-999)
    frame.assign(y=range(60)).to_csv(tmp_path / "table.csv", index=False)
    code, _, err = elboroom("impute", tmp_path / "table.csv", "--out", tmp_path / "o.csv")
    assert code == 2
    assert "x.missing = [-999]" in err.split("has no gap to fill in")[0]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--out", "out.html"), "found the suffix '.html'"),
        (("--out", "out.csv", "--draws", "2"), "the table has a column .id"),
        (("--out", "out.csv", "--method", "grid"), "a grid over 3 latent dimensions is too large"),
    ],
)
def test_nothing_is_trained_for_what_cannot_be_written_or_inferred(
    elboroom: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    why: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    gappy().rename(columns={"nano": ".id"}).to_csv("table.csv", index=False)
    code, _, err = elboroom("impute", "table.csv", *options, "--models", "models", *QUICK)
    assert code == 2
    assert why in err
    assert not Path("models").exists()


def test_scores_are_not_worked_out_for_a_file_that_cannot_be_written(
    trained: Path, elboroom: Command, tmp_path: Path
) -> None:
    words = trained / "absent", trained / "table.csv", "--out", tmp_path / "scores.html"
    code, _, err = elboroom("score", *words)
    assert code == 2
    assert "found the suffix '.html'" in err


def test_folder_of_an_interrupted_training_is_no_ensemble(
    trained: Path, elboroom: Command, tmp_path: Path
) -> None:
    shutil.copytree(trained / "models", tmp_path / "models")
    (tmp_path / "models/ensemble.json").unlink()
    code, _, err = elboroom("score", tmp_path / "models", trained / "table.csv")
    assert code == 1
    assert f"give one of them, such as {tmp_path / 'models/linear'}" in err


def test_folder_that_may_not_be_written_to_is_told_before_any_work(
    trained: Path, elboroom: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("elboroom.runs.out_file.os.access", lambda path, mode: False)
    words = trained / "table.csv", "--run", tmp_path / "absent", "--out", tmp_path / "out.csv"
    code, _, err = elboroom("impute", *words)
    assert code == 1
    assert f"you may not write in the folder {tmp_path}" in err


def test_row_of_which_nothing_is_known_has_no_surprise(
    trained: Path, elboroom: Command, tmp_path: Path
) -> None:
    frame = gappy().head(2).assign(**dict.fromkeys(["nano", SCRIPT, "city"], None), same="a")
    frame.to_csv(tmp_path / "table.csv", index=False)
    words = "score", trained / "models", tmp_path / "table.csv"
    assert elboroom(*words).out.count("nothing is known of it") == 2
    least = json.loads(elboroom(*words, "--json").out)["least"]
    assert [row["log_prob"] for row in least] == pytest.approx([0, 0], abs=0.02)
    assert [row["most_surprising"] for row in least] == [None, None]


def test_delimiter_that_is_told_parts_the_cells_of_every_file(
    elboroom: Command, tmp_path: Path
) -> None:
    numbers = [f"{x:.2f}".replace(".", ",") for x in np.random.default_rng(0).normal(size=40)]
    lines = ["a,x;b,y", *(f"{a};{b}" for a, b in zip(numbers, numbers[::-1], strict=True)), ";0,5"]
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "columns.toml").write_text('delimiter = ";"\n')
    files = tmp_path / "table.csv", "--out", tmp_path / "o.csv", "--models", tmp_path / "models"
    code, _, err = elboroom("impute", *files, "--columns", tmp_path / "columns.toml", *QUICK)
    assert code == 0, err
    assert (tmp_path / "o.csv").read_text().splitlines()[:-1] == lines[:-1]
    assert [*read(tmp_path / "o.uncertainty.csv").columns] == ["a,x", "b,y"]
