"""`--data`: a run meets new data, or its own data at another place."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from elboroom import infer
from elboroom.cli.selection import Selection
from elboroom.config import GapsConfig
from elboroom.errors import DataError
from elboroom.evaluation import evaluate
from elboroom.runs.run import Run
from tests.support.brief_run import brief_run
from tests.support.command import Command
from tests.support.outcomes import error


def table(rows: int, seed: int, columns: int = 6) -> np.ndarray:
    """Draw rows of a linear-Gaussian model of two factors, in float64."""
    r = np.random.default_rng(seed)
    factors = np.random.default_rng(0).normal(size=(2, columns))
    return r.normal(size=(rows, 2)) @ factors + 0.3 * r.normal(size=(rows, columns))


@pytest.fixture
def table_run(tmp_path: Path) -> Run:
    np.save(tmp_path / "a.npy", table(300, seed=1))
    np.save(tmp_path / "b.npy", table(50, seed=2))
    return brief_run(tmp_path / "run", tmp_path / "a.npy")


@pytest.fixture
def b(table_run: Run) -> Path:
    return table_run.path.parent / "b.npy"


def test_new_data_are_evaluated_whole(elboroom: Command, table_run: Run, b: Path, tmp_path: Path):
    out = tmp_path / "e.npz"
    outcome = elboroom("evaluate", table_run.path, "--k", 2_000, "--data", b, "--out", out)
    assert (outcome.code, outcome.err) == (0, "")
    assert "b.npy, values as they are, all 50 " in outcome.out
    assert not (table_run.path / "evaluation.json").exists()
    with np.load(out) as file:
        found = dict(file)
    assert found["row"].tolist() == [*range(50)]
    model, x = table_run.load_model(), np.load(b).astype(np.float32)
    exact = infer.grid(model, x, generator=infer_noise()).log_evidence.numpy()
    assert np.quantile(np.abs(found["iwae"] - exact), 0.9) < 0.2  # a few have heavy tails


def infer_noise() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_new_data_are_inferred_row_by_row(elboroom: Command, table_run: Run, b: Path, out: Path):
    options = ["--data", b, "--method", "grid", "--out", out]
    assert elboroom("infer", table_run.path, *options).code == 0
    with np.load(out) as file:
        found = dict(file)
    x = np.load(b).astype(np.float32)
    exact = infer.grid(table_run.load_model(), x, generator=infer_noise())
    np.testing.assert_allclose(found["mean"], exact.mean, atol=1e-4)
    np.testing.assert_allclose(found["log_evidence"], exact.log_evidence, atol=1e-4)
    summary = json.loads(str(found["summary"]))
    assert (summary["part"], summary["identity"]["source"]) == ("all", "b.npy")


@pytest.mark.parametrize("command", ["gaps", "complete", "figures"])
def test_every_command_on_rows_takes_new_data(
    elboroom: Command, table_run: Run, b: Path, tmp_path: Path, command: str
):
    mask = tmp_path / "m.npy"
    np.save(mask, np.arange(6) < 3)
    options = {
        "gaps": ["--images", 3, "--k", 100, "--method", "--json"],
        "complete": ["--mask", mask, "--json", "--method", "encoder"],
        "figures": ["--only", "latent"],
    }[command]
    outcome = elboroom(command, table_run.path, "--data", b, *options)
    assert (outcome.code, outcome.err) == (0, "")
    if command == "complete":
        assert json.loads(outcome.out)["completions"][7]["name"] == "row 7"
    if command == "figures":  # not in the place of the run's own
        assert outcome.out == f"{table_run.path}/figures/latent-new-b.png and .svg\n"


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_new_data_have_no_parts(elboroom: Command, table_run: Run, b: Path, part: str):
    refused = elboroom("evaluate", table_run.path, "--data", b, "--part", part)
    assert error(refused, 2) == [
        f"--part {part} is not defined for {b}",
        "it is not the data of the run, which alone was split into parts",
        "omit --part: all rows of new data are used",
    ]


def test_all_rows_of_new_data_may_be_asked_for(elboroom: Command, table_run: Run, b: Path):
    options = ["--k", 5, "--data", b, "--json"]
    asked = json.loads(elboroom("evaluate", table_run.path, *options, "--part", "all").out)
    plain = json.loads(elboroom("evaluate", table_run.path, *options).out)
    assert asked["estimates"] == plain["estimates"]
    assert asked["images"] == 50


@pytest.mark.parametrize(
    ("array", "what"),
    [
        (table(9, 3, columns=5), "new.npy does not fit the run"),
        (np.zeros((9, 3, 2)), "new.npy does not fit the run"),
        (np.arange(54, dtype=np.uint8).reshape(9, 6), "the values of new.npy do not mean"),
        (np.array(["a"] * 9), "new.npy"),
    ],
)
def test_data_of_another_shape_or_meaning_are_refused(
    elboroom: Command, table_run: Run, tmp_path: Path, array: np.ndarray, what: str
):
    np.save(tmp_path / "new.npy", array)
    refused = elboroom("evaluate", table_run.path, "--data", tmp_path / "new.npy")
    assert what in error(refused, 2)[0]


def test_the_fix_for_further_arrays_is_one_of_new_data(table_run: Run, tmp_path: Path):
    np.savez(tmp_path / "new.npz", x=table(9, 3), ids=np.arange(9))
    with pytest.raises(DataError, match="save a copy without ids") as refused:
        table_run.choose_part(None, str(tmp_path / "new.npz"))
    assert "--unused" not in str(refused.value)


@pytest.mark.parametrize(("rows", "words"), [(2, "2 of 50 rows"), (50, "all 50 rows")])
def test_some_rows_of_new_data_are_not_called_all(table_run: Run, b: Path, rows: int, words: str):
    options = GapsConfig(data=str(b), images=rows)
    selection = Selection.from_options(table_run, options, mask=None, images=rows)
    assert f", {words}, all seen" in selection.title("step 1")


def test_bytes_stand_for_bytes(elboroom: Command, tmp_path: Path):
    grey = np.random.default_rng(0).integers(0, 256, (60, 4, 4), dtype=np.uint8)
    np.save(tmp_path / "a.npy", grey)
    np.save(tmp_path / "dark.npy", np.minimum(grey, 1))  # 0 and 1 of 255, and not black and white
    run = brief_run(tmp_path / "run", tmp_path / "a.npy")
    with pytest.warns(UserWarning, match=r"dark.npy may be in other units .* in channel 0 most"):
        chosen = run.choose_part(None, str(tmp_path / "dark.npy"))
    assert chosen.rows.x.max() == pytest.approx(1 / 255)


Change = Callable[[Path, Path], Path]


def moved(source: Path, elsewhere: Path) -> Path:
    return Path(shutil.move(source, elsewhere / source.name))


def renamed(source: Path, elsewhere: Path) -> Path:
    return source.rename(source.with_name("renamed.npy"))


def in_another_file_type(source: Path, elsewhere: Path) -> Path:
    np.savez(elsewhere / "a.npz", images=np.load(source))
    source.unlink()
    return elsewhere / "a.npz"


@pytest.mark.parametrize("change", [moved, renamed, in_another_file_type])
def test_data_that_were_moved_are_recognised_and_keep_their_parts(
    elboroom: Command, table_run: Run, tmp_path: Path, change: Change
):
    before = json.loads(elboroom("evaluate", table_run.path, "--k", 5, "--json").out)
    (tmp_path / "elsewhere").mkdir()
    now = change(tmp_path / "a.npy", tmp_path / "elsewhere")
    what, why, fix = error(elboroom("evaluate", table_run.path, "--k", 5), 2)
    assert what == f"the data of {table_run.path} is no longer at {tmp_path / 'a.npy'}"
    assert why.endswith(f"its SHA-256 begins {table_run.identity.sha256[:16]}")
    assert "--data" in fix
    found = json.loads(elboroom("evaluate", table_run.path, "--k", 5, "--json", "--data", now).out)
    assert found["part"] == "test"
    assert found["estimates"] == before["estimates"]
    assert (table_run.path / "evaluation.json").exists()
    train = ["--part", "train", "--json", "--data", now]
    assert json.loads(elboroom("evaluate", table_run.path, "--k", 5, *train).out)["images"] == 270


def test_a_report_of_data_that_were_moved_is_made(elboroom: Command, tmp_path: Path):
    np.save(tmp_path / "a.npy", table(40, seed=1))
    run = brief_run(tmp_path / "run", tmp_path / "a.npy")
    now = renamed(tmp_path / "a.npy", tmp_path)
    assert "--data" in error(elboroom("report", run.path), 2)[2]
    outcome = elboroom("report", run.path, "--data", now)
    assert (outcome.code, outcome.err) == (0, "")
    assert (run.path / "report.html").exists()


def test_a_report_is_never_of_other_data(elboroom: Command, table_run: Run, b: Path):
    what, why, _ = error(elboroom("report", table_run.path, "--data", b), 2)
    assert what.startswith(f"the data of {table_run.path} has changed")
    assert "sha256" in why


def test_figures_that_need_no_data_are_drawn_without(
    elboroom: Command, digits: Path, tmp_path: Path
):
    source = Path(shutil.copy(digits, tmp_path / "mine.npz"))
    run = brief_run(tmp_path / "run", source)
    source.unlink()
    names = ["samples", "manifold", "traversal", "curves"]
    outcome = elboroom("figures", run.path, "--only", *names)
    assert (outcome.code, outcome.err) == (0, "")
    assert re.findall(r"figures/(\w+).png", outcome.out) == names
    refused = elboroom("figures", run.path, "--only", "latent")
    assert error(refused, 2)[0].startswith(f"the data of {run.path} is no longer at")


def test_figures_that_need_data_are_left_out_where_all_are_asked_for(
    elboroom: Command, table_run: Run, tmp_path: Path
):
    (tmp_path / "a.npy").unlink()
    outcome = elboroom("figures", table_run.path)
    assert (outcome.code, outcome.err) == (0, "")
    left_out = [line for line in outcome.out.splitlines() if "is no longer at" in line]
    assert left_out[0].startswith("left out: latent, because the data of ")
    assert "--data" in left_out[0]
    assert (table_run.path / "figures" / "curves.png").exists()


def test_any_part_is_evaluated_from_python(table_run: Run):
    data, model = table_run.load_data(), table_run.load_model()
    parts = {name: evaluate(model, data, k=5, seed=0, part=name) for name in ("train", "all")}
    assert [len(found.per_image["elbo"]) for found in parts.values()] == [270, 300]
    assert [found.part for found in parts.values()] == ["train", "all"]
    test = evaluate(model, data, k=5, seed=0)
    assert (test.part, len(test.per_image["elbo"])) == ("test", 30)


@pytest.mark.parametrize("there", [(), ("ids",), ("ids", "day")])
def test_new_data_need_not_have_the_arrays_that_the_run_leaves_unused(
    elboroom: Command, tmp_path: Path, there: tuple[str, ...]
):
    arrays = {"x": table(60, seed=1), "ids": np.arange(60), "day": np.arange(60)}
    np.savez(tmp_path / "a.npz", **arrays)
    run = brief_run(tmp_path / "run", tmp_path / "a.npz", data={"unused": ("ids", "day")})
    x = table(9, seed=2)
    x[0, 0] = np.nan
    np.savez(tmp_path / "b.npz", x=x, **{name: arrays[name] for name in there})
    options = ["--data", tmp_path / "b.npz", "--quiet", "--out", tmp_path / "filled.npz"]
    outcome = elboroom("complete", run.path, *options)
    assert outcome.code == 0, outcome.err
    filled = np.load(tmp_path / "filled.npz")["mean"]
    assert np.array_equal(filled[1:], x[1:])
    assert np.isfinite(filled).all()
