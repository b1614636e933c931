import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from elboroom import Run, save_pretrained
from elboroom.data.tables import Schema
from elboroom.errors import UsageError
from elboroom.figures.gallery import FIGURES, OF_ROWS
from elboroom.runs.hub import folder
from elboroom.runs.hub.folder import FILES
from tests.support.command import Command
from tests.support.explored_runs import people
from tests.support.hub_runs import MAKERS, published_run
from tests.support.outcomes import error


def names(path: Path) -> list[str]:
    return sorted(inner.name for inner in path.iterdir())


def test_a_folder_has_what_the_run_has(run: Run, tmp_path: Path):
    save_pretrained(run, tmp_path / "new" / "out")
    expected = ["README.md", "config.json", "evaluation.json", "model.safetensors", "samples.png"]
    assert names(tmp_path / "new" / "out") == expected
    found = json.loads((tmp_path / "new/out/evaluation.json").read_text())
    assert found["estimates"] == {"elbo": {"mean": -1.5, "standard_error": 0.25}}


@pytest.mark.parametrize("name", MAKERS)
def test_a_folder_has_no_path_and_no_name_of_a_file(
    runs: dict[str, Run], tmp_path: Path, name: str
):
    save_pretrained(runs[name], tmp_path / "out")
    source = Path(runs[name].config.data.source)
    for path in (tmp_path / "out").iterdir():
        assert path.name in FILES
        content = path.read_bytes()
        for private in (source.parent, source.name, source.stem, Path.home(), runs[name].path):
            assert str(private).encode() not in content, path.name


def test_the_evaluation_does_not_name_the_file_of_the_data(run: Run, tmp_path: Path):
    found = run.results.read_evaluation()
    assert found is not None
    identity = run.identity.to_dict()
    assert identity["source"] == "my.npy"
    run.results.write_evaluation(found | {"identity": identity}, {})
    save_pretrained(run, tmp_path / "out")
    kept = json.loads((tmp_path / "out/evaluation.json").read_text())["identity"]
    assert kept == {name: value for name, value in identity.items() if name != "source"}


def test_figures_and_evaluations_of_other_weights_stay(run: Run, tmp_path: Path):
    run.results.write_figure("manifold", Figure(figsize=(1, 1)), 1)
    evaluation = run.results.read_evaluation()
    assert evaluation is not None
    run.results.write_evaluation(evaluation | run.results.provenance(1), {})
    save_pretrained(run, tmp_path / "out")
    expected = ["README.md", "config.json", "model.safetensors", "samples.png"]
    assert names(tmp_path / "out") == expected
    assert "is of other weights, and is not shown" in (tmp_path / "out/README.md").read_text()


def test_figures_that_show_rows_stay(run: Run, tmp_path: Path):
    for name in FIGURES:
        run.results.write_figure(name, Figure(figsize=(1, 1)), 2)
    save_pretrained(run, tmp_path / "out")
    shown = {path.stem for path in (tmp_path / "out").glob("*.png")}
    assert shown == set(FIGURES) - set(OF_ROWS)
    card = (tmp_path / "out/README.md").read_text()
    assert all(f"]({name}.png)" in card for name in shown)


def test_the_columns_of_a_table_encode_as_those_of_the_run(runs: dict[str, Run], tmp_path: Path):
    run, (source, _) = runs["table"], people(tmp_path)
    save_pretrained(run, tmp_path / "out")
    table, schema = pd.read_csv(source, dtype=str), run.data.schema
    assert schema is not None
    published = Schema.of(table, tmp_path / "out/columns.toml")
    assert np.array_equal(published.encode(table), schema.encode(table), equal_nan=True)
    assert published.modelled == schema.modelled
    assert [column.why for column in published.columns] == [""] * len(schema.modelled)


def test_columns_that_the_model_leaves_out_are_not_published(tmp_path: Path):
    table = pd.DataFrame({"patient": [f"name {n}" for n in range(60)], "age": [*range(60)]})
    table["height"] = [1.0 + n / 100 for n in range(60)]
    table.to_csv(tmp_path / "t.csv", index=False)
    run = published_run(tmp_path / "run", tmp_path / "t.csv")
    assert run.data.schema is not None
    assert [c.name for c in run.data.schema.columns] == ["patient", "age", "height"]
    save_pretrained(run, tmp_path / "out")
    for path in (tmp_path / "out").iterdir():
        assert b"patient" not in path.read_bytes()
        assert b"name 5" not in path.read_bytes()


def test_an_earlier_folder_is_replaced_and_nothing_else(run: Run, tmp_path: Path):
    save_pretrained(run, tmp_path / "out")
    (tmp_path / "out" / "curves.png").write_bytes(b"of an earlier model")
    save_pretrained(run, tmp_path / "out")
    assert not (tmp_path / "out" / "curves.png").exists()
    assert names(tmp_path) == ["out", "run"]
    (tmp_path / "empty").mkdir()
    save_pretrained(run, tmp_path / "empty")
    (tmp_path / "out" / ".git").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"model_type": "bert"}')
    for path, told in (
        (tmp_path / "out", "found .git"),
        (tmp_path / "out" / "README.md", "found README.md"),
        (tmp_path / "other", "found a model of another library"),
        (run.path, "found .lock, checkpoints, config.toml"),
    ):
        with pytest.raises(UsageError, match="is in the way") as caught:
            save_pretrained(run, path)
        assert told in caught.value.why


def test_an_interrupted_writer_keeps_an_earlier_folder(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    save_pretrained(run, tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def interrupted(path: Path, content: bytes) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(folder, "write_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_pretrained(run, tmp_path / "out", license="mit")
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert names(tmp_path) == ["out", "run"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"license": "MIT License"}, "an identifier in small letters"),
        ({"license": ""}, "an identifier in small letters"),
    ],
)
def test_what_cannot_be_written_is_told(run: Run, tmp_path: Path, options, told):
    with pytest.raises(UsageError) as caught:
        save_pretrained(run, tmp_path / "out", **options)
    assert told in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_path_in_place_of_a_run_is_told(run: Run, tmp_path: Path):
    with pytest.raises(UsageError, match="open one: Run"):
        save_pretrained(run.path, tmp_path / "out")  # type: ignore[arg-type]


def test_the_command_writes_a_folder(run: Run, tmp_path: Path, elboroom: Command):
    options = "export", run.path, "--to", "hub", "--out"
    assert elboroom(*options, tmp_path / "out") == (0, f"{tmp_path / 'out' / 'README.md'}\n", "")
    save_pretrained(run, tmp_path / "again" / "out")
    for path in (tmp_path / "out").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / "out" / path.name).read_bytes()
    what, why, _ = error(elboroom(*options, tmp_path / "x", "--data", "mnist"), 2)
    assert what == "--data mnist cannot be used"
    assert "hub" in why
