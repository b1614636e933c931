"""Tables of columns are data like others: read, split, described, and met again by a run."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from elboroom import (
    Config,
    DataConfig,
    Dataset,
    ModelConfig,
    Run,
    TrainConfig,
    load_data,
    train_run,
)
from elboroom.data import read_frame, table_bytes
from elboroom.data.summary import summary
from elboroom.errors import DataError, RunError
from elboroom.runs import columns_file

RANDOM = np.random.default_rng(0)
N = 60
TABLE = pd.DataFrame(
    {
        "id": np.arange(N),
        "age": RANDOM.integers(0, 91, N),
        "height": RANDOM.normal(170, 10, N).round(1),
        "sex": RANDOM.choice(["f", "m"], N),
        "site": np.arange(N) % 12,
    }
).mask(RANDOM.random((N, 5)) < 0.1)
TABLE[["id", "site"]] = np.stack([np.arange(N), np.arange(N) % 12], 1)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    TABLE.to_csv("t.csv", index=False)


def test_a_csv_is_data_with_the_names_of_its_columns():
    data = load_data(DataConfig("t.csv", validation=6))
    assert data.event_shape == (4,)
    assert [len(part) for part in data.parts.values()] == [48, 6, 6]
    assert data.reading is not None
    assert data.reading.schema is not None
    assert data.reading.schema.modelled == ("age", "height", "sex", "site")
    assert data.identity.values == "real"
    whole = data.part("all").x.numpy()
    np.testing.assert_array_equal(np.isnan(whole), TABLE.drop(columns="id").isna())
    np.testing.assert_array_equal(whole[:, 0], TABLE["age"].astype("f4"))


def test_the_summary_speaks_of_columns_and_not_of_one_likelihood():
    data = load_data(DataConfig("t.csv"))
    lines = summary(data, ModelConfig(likelihood="gaussian"), asked="auto")
    share = 100 * TABLE.drop(columns="id").isna().to_numpy().mean()
    assert lines[:3] == [
        "read: t.csv: 60 rows of 4 values",
        f"values: {share:.3g} % missing; each column is encoded by its type",
        "column id: left out, identifier: it counts the rows, from 0",
    ]
    missing = int(TABLE["sex"].isna().sum())
    assert f"column sex: binary, two values: f, m; {missing} missing; bernoulli" in lines
    assert not [line for line in lines if "one likelihood" in line]


def test_parquet_is_a_table_of_columns_if_that_is_asked():
    TABLE.to_parquet("t.parquet")
    read = load_data(DataConfig("t.parquet", columns="auto")).reading
    assert read is not None
    assert read.schema == load_data(DataConfig("t.csv")).reading.schema  # type: ignore[union-attr]
    with pytest.raises(DataError, match="columns"):
        load_data(DataConfig("t.parquet"))
    np.save("x.npy", np.eye(9))
    with pytest.raises(DataError, match=r"x\.npy is no table of columns"):
        load_data(DataConfig("x.npy", columns="auto"))


def test_types_are_said_by_a_file_whose_path_is_kept_whole():
    Path("spec.toml").write_text('site.type = "category"\nage.type = "real"\n')
    config = DataConfig("t.csv", columns="spec.toml")
    read = load_data(config).reading
    assert read is not None
    assert read.schema is not None
    assert [c.type for c in read.schema.columns] == ["ignore", "real", "real", "binary", "category"]
    assert config.with_absolute_path().columns == str(Path("spec.toml").resolve())
    assert DataConfig("t.csv", columns="auto").with_absolute_path().columns == "auto"


def test_a_delimiter_is_found_or_told():
    text = "a|b,c\n1.5|2,x\n2.5|3,y\n3.5|4,x\n"
    Path("p.csv").write_text(text)
    found = load_data(DataConfig("p.csv", split="standard"))
    assert [c.name for c in found.reading.schema.columns] == ["a|b", "c"]  # type: ignore[union-attr]
    Path("spec.toml").write_text('delimiter = "|"\n"b,c".type = "ignore"\n')
    told = load_data(DataConfig("p.csv", split="standard", columns="spec.toml"))
    assert told.reading.schema.modelled == ("a",)  # type: ignore[union-attr]
    frame = read_frame("p.csv", delimiter="|")
    assert table_bytes(frame, "p.csv", "p.csv", delimiter="|").decode() == text
    Path("spec.toml").write_text('delimiter = "||"\n')
    with pytest.raises(DataError, match=r"the delimiter '\|\|' cannot be used"):
        load_data(DataConfig("p.csv", columns="spec.toml"))


def test_columns_are_left_out_and_groups_are_kept_together():
    data = load_data(DataConfig("t.csv", unused=("height",), group_by="site", validation=10))
    assert data.reading is not None
    assert data.reading.schema is not None
    lines = data.reading.schema.lines()
    assert "height: left out, by --unused" in lines
    assert "site: left out, by --group-by, which it is for" in lines
    sites = [{row % 12 for row in part.numbers.tolist()} for part in data.parts.values()]
    assert sum(map(len, sites)) == len(set.union(*sites)) == 12
    with pytest.raises(DataError, match="no array weight to leave unused"):
        load_data(DataConfig("t.csv", unused=("weight",)))


def test_values_of_columns_are_not_made_binary():
    with pytest.raises(DataError, match="--binarisation threshold cannot be used"):
        load_data(DataConfig("t.csv", binarisation="threshold"))


@pytest.mark.parametrize("kind", [lambda frame: frame, pl.from_pandas, lambda f: f.to_dict("list")])
def test_a_frame_is_data_too(kind: Any):
    data = Dataset.from_frame(
        kind(TABLE[:50]), kind(TABLE[TABLE.columns[::-1]][50:]), columns={"site": "category"}
    )
    assert len(data.test) == 10
    np.testing.assert_array_equal(data.test.x[:, 1].numpy(), TABLE["height"][50:].astype("f4"))
    assert data.reading is not None
    assert data.reading.schema is not None
    assert data.reading.schema.likelihoods[-1] == "categorical:12"


def test_a_part_in_other_units_is_told_by_the_name_of_its_column():
    other = TABLE.assign(height=TABLE["height"] / 100)
    data = Dataset.from_frame(pd.concat([TABLE] * 3), other)
    assert data.reading is not None
    assert "in column height most rows are outside 98 %" in data.reading.notes[-1]
    assert "(column height: " in data.reading.notes[-1]


# Runs


def trained(folder: Path, data: Dataset, source: str) -> Run:
    model = ModelConfig(likelihood="gaussian", hidden=(4,), latents=2)
    train = TrainConfig(epochs=1, batch_size=10)
    run = Run.create(folder / "run", Config(DataConfig(source), model, train=train), data)
    train_run(run, data)
    return Run(run.path)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return trained(tmp_path, load_data(DataConfig("t.csv")), "t.csv")


def test_a_run_keeps_its_columns(run: Run):
    data = load_data(DataConfig("t.csv"))
    assert data.reading is not None
    assert run.data.schema == data.reading.schema
    assert run.load_data().identity == data.identity


def test_a_run_on_other_data_has_none(tmp_path: Path):
    arrays = Dataset.from_arrays(RANDOM.normal(size=(40, 4)))
    assert trained(tmp_path, arrays, "mnist").data.schema is None
    assert not (tmp_path / "run" / columns_file.FILE).exists()


def test_new_data_are_read_by_the_columns_of_the_run(run: Run):
    new = TABLE[["sex", "site", "height", "age"]][:7].assign(more="x", age=1)  # constant, and few
    new.to_csv("new.csv", index=False)
    told = "new.csv has columns that the model does not know, which are passed over: more"
    with pytest.warns(UserWarning, match=f"^{re.escape(told)}$"):
        chosen = run.choose_part(source="new.csv")
    expected = new[["age", "height", "sex", "site"]].replace({"f": 0, "m": 1})
    np.testing.assert_array_equal(chosen.rows.x.numpy(), expected.astype("f4"))
    new[:1].drop(columns="more").to_csv("one.csv", index=False)
    assert len(run.choose_part(source="one.csv").rows) == 1


def test_new_data_without_a_column_or_with_another_level_are_refused_by_name(run: Run):
    TABLE.drop(columns="age").to_csv("new.csv", index=False)
    with pytest.raises(DataError, match="the table lacks columns: age"):
        run.choose_part(source="new.csv")
    TABLE.assign(sex="x").to_csv("new.csv", index=False)
    with pytest.raises(DataError, match="column sex cannot be used") as error:
        run.choose_part(source="new.csv")
    assert error.value.why == "found x; its levels are f, m"
    np.save("new.npy", RANDOM.normal(size=(9, 4)))
    with pytest.raises(DataError, match=r"new\.npy is no table of columns"):
        run.choose_part(source="new.npy")


def test_the_own_data_in_another_file_are_recognised(run: Run):
    TABLE.to_excel("moved.xlsx", index=False)
    assert run.load_data("moved.xlsx").identity.sha256 == run.identity.sha256


def test_the_columns_of_a_run_do_not_depend_on_the_file_that_said_them(tmp_path: Path):
    Path("spec.toml").write_text('site.type = "category"\n')
    config = DataConfig("t.csv", columns="spec.toml")
    data = load_data(config)
    model = ModelConfig(likelihood="gaussian", hidden=(4,), latents=2)
    run = Run.create(tmp_path / "run", Config(config, model), data)
    Path("spec.toml").unlink()
    assert run.load_data().identity == data.identity


def test_a_run_starts_from_weights_of_the_same_columns_alone(run: Run, tmp_path: Path):
    other = TABLE.assign(sex=TABLE["sex"].replace({"m": "x"}))
    model = ModelConfig(likelihood="gaussian", hidden=(4,), latents=2)
    train = TrainConfig(epochs=1, batch_size=10)
    config = Config(DataConfig("u.csv"), model, train=train, init_from=str(run.path))
    for name, table, fits in (("same", TABLE[::-1], True), ("other", other, False)):
        table.to_csv("u.csv", index=False)
        data = load_data(DataConfig("u.csv"))
        new = Run.create(tmp_path / name, config, data)
        if fits:
            new.new_training(data)
            continue
        with pytest.raises(RunError, match="are of other columns") as error:
            new.new_training(data)
        assert error.value.why.startswith("sex differs")


@pytest.mark.parametrize("content", [b"\xff", b"x = = 1", b"every-column-is-here = true\n[x]\n"])
def test_damaged_columns_of_a_run_are_an_error_of_the_run(run: Run, content: bytes):
    (run.path / columns_file.FILE).write_bytes(content)
    with pytest.raises(RunError, match=r"columns\.toml cannot be read"):
        run.load_data()
