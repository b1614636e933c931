"""Parquet, Arrow and Feather as Hugging Face and pandas write them, and what is refused."""

import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from elboroom import DataConfig, load_data
from elboroom.data import load_new
from elboroom.data.formats.registry import read_data
from elboroom.errors import DataError, UsageError

pa = pytest.importorskip("pyarrow")
feather = pytest.importorskip("pyarrow.feather")
parquet = pytest.importorskip("pyarrow.parquet")

DIE = np.random.default_rng(0)
GREY = DIE.integers(0, 256, (20, 6, 5), dtype=np.uint8)
CLASSES = ["dog", "cat"]
PLAIN = DataConfig(binarisation="none")


def encoded(image: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind)
    return buffer.getvalue()


def noted(table: Any, **features: Any) -> Any:
    """Add the note that `datasets` writes into the schema."""
    return table.replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )


def pictures(images: Sequence[np.ndarray], labels: Sequence[int | None]) -> Any:
    """Make the table that `datasets` writes of pictures with labels."""
    rows = [{"bytes": encoded(x), "path": f"{n}.png"} for n, x in enumerate(images)]
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    table = pa.table({"image": pa.array(rows, kind), "label": pa.array(labels, pa.int64())})
    label = {"names": CLASSES, "_type": "ClassLabel"}
    return noted(table, image={"_type": "Image"}, label=label)


def streamed(table: Any, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=7)


WRITERS = {
    "parquet": lambda table, path: parquet.write_table(table, path, row_group_size=7),
    "zstd": lambda table, path: parquet.write_table(table, path, compression="zstd"),
    "version 1": lambda table, path: parquet.write_table(table, path, data_page_version="2.0"),
    "stream": streamed,
    "feather": lambda table, path: feather.write_feather(table, path, compression="zstd"),
    "unpacked": lambda table, path: feather.write_feather(table, path, compression="uncompressed"),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_pictures_are_read_with_classes_and_names(tmp_path: Path, writer: str):
    path = tmp_path / "my"
    WRITERS[writer](pictures(GREY, [0, 1] * 10), path)
    source = read_data(path, DataConfig())
    np.testing.assert_array_equal(source.train.images, GREY[:, None])
    assert source.classes == ("dog", "cat")
    assert source.train.labels is not None
    assert source.train.labels.tolist() == [0, 1] * 10
    assert source.train.files == tuple(f"{n}.png" for n in range(20))


def test_pictures_are_prepared_by_the_recipe_of_folders(tmp_path: Path):
    colours = DIE.integers(0, 256, (4, 9, 12, 3), dtype=np.uint8)
    table = pictures([*colours, GREY[0]], [0] * 5)
    parquet.write_table(table, tmp_path / "my.parquet")
    (tmp_path / "folder").mkdir()
    for number, row in enumerate(table.column("image").to_pylist()):
        (tmp_path / "folder" / f"{number}.png").write_bytes(row["bytes"])
    options = DataConfig(size="8x4", crop="pad", background="#102030")
    found, expected = (read_data(tmp_path / n, options) for n in ("my.parquet", "folder"))
    np.testing.assert_array_equal(found.train.images, expected.train.images)
    assert found.train.images.shape == (5, 3, 4, 8)
    with pytest.raises(DataError, match=r"4 of 12 × 9, such as 0\.png; 1 of 5 × 6") as error:
        read_data(tmp_path / "my.parquet", DataConfig())
    assert "--size 64" in error.value.fix


def test_a_broken_picture_is_named_or_left_out(tmp_path: Path):
    rows = [encoded(GREY[0]), b"no picture", None, encoded(GREY[1])]
    parquet.write_table(pa.table({"img": rows, "subject": [7, 7, 8, 9]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"a\.parquet/a\.parquet:1") as error:
        read_data(tmp_path / "a.parquet", DataConfig())
    assert "it is no JPEG, PNG" in error.value.why
    source = read_data(tmp_path / "a.parquet", DataConfig(broken="skip"))
    np.testing.assert_array_equal(source.train.images, GREY[:2, None])
    assert source.train.files == ("a.parquet:0", "a.parquet:3")
    assert any("the table has no bytes of it" in note for note in source.notes)
    assert "left out the columns subject" in source.notes
    with pytest.raises(DataError, match="groups subject do not fit the training rows"):
        read_data(tmp_path / "a.parquet", DataConfig(broken="skip", group_by="subject"))


def test_the_groups_of_pictures_are_a_column(tmp_path: Path):
    table = pictures(GREY, [0, 1] * 10).append_column("patient", [["b", "a"] * 10])
    parquet.write_table(table, tmp_path / "my.parquet")
    data = load_data(DataConfig(str(tmp_path / "my.parquet"), group_by="patient"))
    assert len({row % 2 for row in data.test.numbers}) == 1


def shards(folder: Path, **parts: tuple[int, list[int | None]]) -> Path:
    """Write the parts as `datasets` pushes them, each in two shards."""
    (folder / "data").mkdir(parents=True)
    (folder / "README.md").write_text("---\n")
    for part, (start, labels) in parts.items():
        table = pictures(GREY[start : start + len(labels)], labels)
        for shard, rows in enumerate((table[:2], table[2:])):
            parquet.write_table(rows, folder / f"data/{part}-{shard:05}-of-00002.parquet")
    return folder


def test_shards_of_parts_are_found_by_their_names(tmp_path: Path):
    path = shards(
        tmp_path / "hf", train=(0, [0, 1] * 3), validation=(6, [1, -1, 0]), test=(9, [-1] * 4)
    )
    source = read_data(path, DataConfig())
    assert source.validation is not None
    assert source.test is not None
    for part, rows in (
        (source.train, GREY[:6]),
        (source.validation, GREY[6:9]),
        (source.test, GREY[9:13]),
    ):
        np.testing.assert_array_equal(part.images, rows[:, None])
    assert source.classes == ("dog", "cat", "unlabelled")
    assert source.validation.labels is not None
    assert source.validation.labels.tolist() == [1, 2, 0]
    assert source.test.labels is None
    alone = read_data(shards(tmp_path / "one", test=(0, [0, 1] * 3)), DataConfig())
    assert (len(alone.train), alone.test) == (6, None)


def test_folders_of_parts_are_read_and_unclear_ones_refused(tmp_path: Path):
    path = shards(tmp_path / "hf", train=(0, [0, 1] * 3), test=(6, [1, 0, 1]))
    (path / "data/train-00001-of-00002.parquet").rename(tmp_path / "kept")
    with pytest.raises(DataError, match="found 1 shards data/train-…; their names promise 2"):
        read_data(path, DataConfig())
    (tmp_path / "kept").rename(path / "data/more.parquet")
    (path / "data/train-00000-of-00002.parquet").rename(path / "data/train.parquet")
    with pytest.raises(DataError, match=r"data/more.parquet \(no part, or several\)"):
        read_data(path, DataConfig())
    (path / "train").mkdir()
    (path / "data/more.parquet").rename(path / "train/more.parquet")
    assert len(read_data(path, DataConfig()).train) == 6
    (path / "train/link.parquet").symlink_to(tmp_path / "kept")
    with pytest.raises(DataError, match=r"link\.parquet is a link"):
        read_data(path, DataConfig())


def test_other_columns_in_a_shard_are_refused(tmp_path: Path):
    parquet.write_table(pa.table({"a": [1.0, 2.0]}), tmp_path / "train.parquet")
    parquet.write_table(pa.table({"a": [1, 2]}), tmp_path / "test.parquet")
    with pytest.raises(
        DataError, match=r"columns of test\.parquet are not those of train"
    ) as error:
        read_data(tmp_path, PLAIN)
    assert error.value.why == "a is double in train.parquet, and int64 in test.parquet"


def table_of(**columns: Any) -> Any:
    return pa.table({name: pa.array(values) for name, values in columns.items()})


@pytest.mark.parametrize("writer", WRITERS)
def test_columns_of_numbers_are_a_table_with_names(tmp_path: Path, writer: str):
    x = DIE.normal(size=(90, 2)).round(2)
    whole, flag = np.arange(90) % 7, np.arange(90) % 2 == 0
    path = tmp_path / "my"
    table = table_of(
        a=x[:, 0], b=x[:, 1].astype(np.float32), c=whole, y=flag, target=["u", "v"] * 45
    )
    WRITERS[writer](table, path)
    source = read_data(path, PLAIN)
    expected = np.stack([x[:, 0], x[:, 1].astype(np.float32), whole, flag], axis=1)
    np.testing.assert_array_equal(source.train.images, expected.astype(np.float32))
    assert (source.classes, source.columns) == (("u", "v"), ("a", "b", "c", "y"))
    assert source.uses == "a, b, c, y as rows, target as labels"


def test_missing_numbers_become_nan_and_notes_name_columns(tmp_path: Path):
    table = table_of(a=[1.5, None, 2.0], b=[1, 2, None], c=[True, None, False], d=[3, 3, 3])
    parquet.write_table(table, tmp_path / "my.parquet")
    data = load_data(DataConfig(str(tmp_path / "my.parquet"), split="standard"))
    nan = np.nan
    expected = [[1.5, 1, 1, 3], [nan, 2, nan, 3], [2, nan, 0, 3]]
    np.testing.assert_array_equal(data.part("all").x, np.float32(expected))
    assert data.reading is not None
    assert any("column d never varies, from 3" in note for note in data.reading.notes)


@pytest.mark.parametrize("kind", ["f4", "u1", "f8", "i2"])
@pytest.mark.parametrize("shape", [(7,), (4, 3), (2, 3, 4)])
def test_lists_of_numbers_are_arrays(tmp_path: Path, shape: tuple[int, ...], kind: str):
    x = (100 * DIE.random((300, *shape))).astype(kind)
    table = table_of(pixel_values=x.tolist(), label=[1, 2, 3] * 100)
    parquet.write_table(table, tmp_path / "my.parquet")
    source = read_data(tmp_path / "my.parquet", PLAIN)
    expected = x if len(shape) != 2 else x[:, None]
    np.testing.assert_array_equal(source.train.images, expected.astype(np.float32))
    assert source.classes == ("1", "2", "3")
    assert (
        source.uses == f"pixel_values as {'rows' if len(shape) == 1 else 'images'}, label as labels"
    )


def test_a_mask_and_lists_of_fixed_size_are_read(tmp_path: Path):
    x, known = np.arange(12.0).reshape(4, 3), np.arange(12).reshape(4, 3) % 5 != 0
    fixed = [pa.FixedSizeListArray.from_arrays(pa.array(a.ravel()), 3) for a in (x, known)]
    parquet.write_table(pa.table(fixed, ["data", "mask"]), tmp_path / "my.parquet")
    source = read_data(tmp_path / "my.parquet", PLAIN)
    np.testing.assert_array_equal(source.train.images, np.where(known, x, np.nan).astype("f4"))


def refusal(path: Path, table: Any, **options: Any) -> UsageError:
    parquet.write_table(table, path / "my.parquet")
    with pytest.raises(UsageError) as error:
        read_data(path / "my.parquet", DataConfig(binarisation="none", **options))
    return error.value


def test_what_would_not_be_used_is_named(tmp_path: Path):
    table = table_of(a=[1, 2], name=["x", "y"], day=np.array(["2020-01-01"] * 2, "M8[s]"))
    error = refusal(tmp_path, table)
    assert error.what == "my.parquet has columns that would not be used: name, day"
    assert error.fix.endswith("leave them out: --unused name day")
    source = read_data(tmp_path / "my.parquet", DataConfig(unused=("name", "day")))
    assert source.columns == ("a",)
    assert "left out the columns name, day" in source.notes
    assert "has no array z to leave unused" in refusal(tmp_path, table, unused=("z",)).what
    assert "has no images and no numbers" in refusal(tmp_path, table_of(a=["x"])).what
    twice = refusal(tmp_path, table_of(a=[1, 2], label=[0, 1], target=[0, 1]))
    assert twice.fix == "name those to leave out: --unused target"
    assert "2 columns for the images" in refusal(tmp_path, table_of(a=[[1]], b=[[1]])).what
    assert "lists differ in length" in refusal(tmp_path, table_of(a=[[1.0], [1.0, 2.0]])).why
    none = pa.table({"image": pa.array([], pa.binary())})
    assert refusal(tmp_path, none).why == "it has none"
    assert "it has no rows" in refusal(tmp_path, pa.table({"a": pa.array([], pa.float32())})).why
    assert "--size 4 cannot be used" in refusal(tmp_path, table_of(a=[1.0, 2.0]), size="4").what
    strange = noted(table_of(a=[1, 2], b=[0, 5]), b={"_type": "ClassLabel", "names": CLASSES})
    assert refusal(tmp_path, strange).why == "it has labels 0 to 5 of 2 classes"
    large = table_of(a=DIE.random(3_000))
    assert "does not fit into --memory 1e-05" in refusal(tmp_path, large, memory=1e-5).what


def test_the_index_of_pandas_is_left_out(tmp_path: Path):
    table = table_of(a=[1.0, 2.0], __index_level_0__=[5, 6])
    parquet.write_table(table, tmp_path / "my.parquet")
    source = read_data(tmp_path / "my.parquet", PLAIN)
    assert source.columns == ("a",)
    assert "left out the columns __index_level_0__" in source.notes


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in [name for name in sys.modules if name.startswith("elboroom.data.formats.table")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    error = refusal(tmp_path, table_of(a=[1.0, 2.0]))
    assert error.fix == "install it: pip install 'elboroom[arrow]'"


def test_parts_of_numbers_keep_their_rows_labels_and_groups(tmp_path: Path):
    for part, start in (("train", 0), ("validation", 6), ("test", 9)):
        rows = np.arange(start, start + (6 if part == "train" else 3))
        text = [None if n == 7 else "ab"[n % 2] for n in rows.tolist()]
        table = table_of(a=rows / 2, b=rows**2, who=[f"p{n // 2}" for n in rows], label=text)
        parquet.write_table(table, tmp_path / f"{part}.parquet")
    source = read_data(tmp_path, DataConfig(group_by="who"))
    assert source.validation is not None
    assert source.test is not None
    assert source.test.labels is not None
    assert source.validation.images.tolist() == [[3, 36], [3.5, 49], [4, 64]]
    assert source.test.labels.tolist() == [1, 0, 1]
    assert source.train.groups is not None
    assert source.train.groups.tolist() == [0, 0, 1, 1, 2, 2]
    assert source.classes == ("a", "b", "unlabelled")
    assert source.validation.labels is not None
    assert source.validation.labels.tolist() == [0, 2, 0]


def test_new_rows_with_columns_in_another_order_are_refused(tmp_path: Path):
    table = table_of(a=DIE.normal(size=30), b=DIE.normal(size=30))
    own, same, other = (tmp_path / f"{name}.parquet" for name in ("own", "same", "other"))
    parquet.write_table(table, own)
    parquet.write_table(table[:9], same)
    parquet.write_table(table[:9].select(["b", "a"]), other)
    config = DataConfig(str(own))
    data = load_data(config)
    found = load_new(str(same), config, data.identity, data.event_shape)
    np.testing.assert_array_equal(found.test.x, data.part("all").x[:9])
    with pytest.raises(DataError, match=r"columns of other\.parquet are not those of the run's"):
        load_new(str(other), config, data.identity, data.event_shape)
