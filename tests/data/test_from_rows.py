"""Rows that an object of Python gives one by one are read as arrays and folders of pictures are."""

import io
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from elboroom import DataConfig, Dataset, load_data
from elboroom.errors import DataError, UsageError

DIE = np.random.default_rng(0)
X = torch.tensor(DIE.normal(size=(30, 4)), dtype=torch.float32)
Y = torch.arange(30) % 3
GREY = DIE.integers(0, 256, (20, 6, 5), dtype=np.uint8)
NAMES = ["c", "b", "a"]


class Known(torch.utils.data.Dataset[Any]):
    """A map-style dataset: it has a length, and takes any number as an index."""

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        return X[number % 30], number % 3

    def __len__(self) -> int:
        return 30


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter(zip(X, Y, strict=True))


SAME: dict[str, Any] = {
    "a torch dataset": Known(),
    "tensors": TensorDataset(X, Y),
    "a stream": Stream(),
    "mappings": [{"values": x, "label": y} for x, y in zip(X, Y.tolist(), strict=True)],
    "lists": [(x.tolist(), y) for x, y in zip(X, Y, strict=True)],
}


@pytest.mark.parametrize("kind", SAME)
def test_rows_are_those_of_arrays(kind: str):
    found = Dataset.from_rows(SAME[kind], class_names=NAMES, name="arrays")
    expected = Dataset.from_arrays(X, y_train=Y, class_names=NAMES)
    assert found.identity == expected.identity
    for name, part in expected.parts.items():
        assert torch.equal(found.parts[name].x, part.x)
        assert found.parts[name].labels.equal(part.labels)  # type: ignore[union-attr]
    assert found.train.classes == tuple(NAMES)


def test_parts_and_rows_without_labels_are_taken():
    data = Dataset.from_rows(iter(X[:20]), X[20:25].tolist(), validation=[(x,) for x in X[25:]])
    assert {name: len(part) for name, part in data.parts.items()} == {
        "train": 20,
        "validation": 5,
        "test": 5,
    }
    assert torch.equal(data.test.x, X[20:25])
    assert data.train.labels is None
    some = [(x, None if n % 5 == 0 else str(n % 2)) for n, x in enumerate(X)]
    assert Dataset.from_rows(some).train.classes == ("0", "1", "unlabelled")


def pictures() -> list[dict[str, Any]]:
    """Give rows as `datasets.Dataset` gives them: pictures of Pillow by the names of columns."""
    return [{"image": Image.fromarray(x), "label": n % 2} for n, x in enumerate(GREY)]


def test_pictures_are_prepared_as_those_of_a_folder(tmp_path: Path):
    rows = pictures()
    rows[3]["image"] = Image.new("RGBA", (9, 7), (255, 0, 0, 128))
    for row, number in zip(rows, range(20), strict=True):
        (tmp_path / f"{row['label']}").mkdir(exist_ok=True)
        row["image"].save(tmp_path / f"{row['label']}" / f"{number:02}.png")
    options = {"size": "4", "background": "black", "split": "standard"}
    found = Dataset.from_rows(rows, config=DataConfig(**options))  # type: ignore[arg-type]
    folder = load_data(DataConfig(str(tmp_path), **options))  # type: ignore[arg-type]
    order = np.argsort([row["label"] for row in rows], kind="stable")
    assert torch.equal(found.part("all").x[order], folder.part("all").x)
    assert found.event_shape == (3, 4, 4)
    assert found.reading is not None
    assert found.reading.notes[0] == (
        "1 picture blended over black where not opaque: row 3 of train"
    )


def test_dark_pictures_keep_255_for_white():
    rows = [Image.fromarray((GREY[n] < 99).astype(np.uint8)) for n in range(20)]
    data = Dataset.from_rows(rows, config=DataConfig(binarisation="none"))
    assert data.part("all").x.max() == np.float32(1 / 255)


class ClassLabel:
    """The kind of a column of labels, as `datasets` has it."""

    num_classes, names = 3, NAMES


class Featured(list[dict[str, Any]]):
    """Rows that say the kinds of their columns, as a `datasets.Dataset` does."""

    features: Mapping[str, object] | None = MappingProxyType({"kind": ClassLabel(), "image": 0})


def featured(labels: Iterable[object]) -> Featured:
    """Give pictures whose column of labels has no usual name."""
    rows = zip(pictures(), labels, strict=False)
    return Featured({"image": row["image"], "kind": label} for row, label in rows)


def test_class_names_are_those_that_the_rows_say():
    data = Dataset.from_rows(featured([0, 2, -1, None, 1] * 4))
    assert data.train.classes == ("c", "b", "a", "unlabelled")
    labels = data.part("all").labels
    assert labels is not None
    assert labels.tolist() == [0, 2, 3, 3, 1] * 4
    assert Dataset.from_rows(featured([2, 1] * 10)).train.classes == tuple(NAMES)
    named = Dataset.from_rows(featured([2, 1] * 10), class_names=["x", "y", "z"])
    assert named.train.classes == ("x", "y", "z")
    with pytest.raises(DataError, match="it has labels 3 to 3 of 3 classes"):
        Dataset.from_rows(featured([3] * 20))


def test_parts_that_say_other_classes_are_refused():
    other = featured([0, 1] * 10)
    other.features = {"kind": type("Label", (), {"num_classes": 2, "names": ["b", "c"]})()}
    with pytest.raises(DataError, match="other names of classes"):
        Dataset.from_rows(featured([0, 1] * 10), other)


def encoded(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def test_encoded_pictures_are_those_that_they_decode_to():
    rows = pictures()
    files = [{"bytes": encoded(row["image"]), "path": "/etc/passwd"} for row in rows]
    expected = Dataset.from_rows(rows).identity
    beside = [{"image": f, "label": r["label"]} for f, r in zip(files, rows, strict=True)]
    assert Dataset.from_rows(beside).identity == expected
    pairs = [(file["bytes"], row["label"]) for file, row in zip(files, rows, strict=True)]
    assert Dataset.from_rows(pairs).identity == expected


def test_encoded_pictures_that_are_broken_may_be_left_out():
    files: list[Any] = [encoded(row["image"]) for row in pictures()]
    files[3], files[5], files[7] = files[3][:-30], {"bytes": None, "path": "5.png"}, None
    with pytest.raises(DataError, match="row 3 of train"):
        Dataset.from_rows(files)
    data = Dataset.from_rows(files, config=DataConfig(broken="skip"))
    assert len(data.part("all")) == 17
    assert data.reading is not None
    assert data.reading.notes[0].startswith("3 pictures left out, which cannot be read: row 3 of")


def test_fields_beside_a_picture_are_left_out_in_words():
    rows = [{"id": n, "caption": "a", **row} for n, row in enumerate(pictures())]
    data = Dataset.from_rows(rows)
    assert data.identity == Dataset.from_rows(pictures()).identity
    assert data.reading is not None
    assert data.reading.notes == ("left out the fields id, caption",)


def test_options_name_the_fields_of_groups_and_those_to_leave_out():
    rows = [{"x": x, "pair": n // 3, "day": n, "label": 0} for n, x in enumerate(X)]
    config = DataConfig(unused=("day", "label"), group_by="pair")
    data = Dataset.from_rows(rows, config=config)
    assert data.train.classes is None
    held_out, trained = (set((part.numbers // 3).tolist()) for part in (data.test, data.train))
    assert held_out
    assert not held_out & trained
    with pytest.raises(DataError, match="has no array night to leave unused"):
        Dataset.from_rows(rows, config=DataConfig(unused=("day", "pair", "night")))


def test_labels_that_are_no_classes_are_left_out_in_words():
    for labels in (pictures(), [Image.fromarray(x) for x in GREY], [[1]] * 9 + [[1, 2]] * 11):
        data = Dataset.from_rows(list(zip(X[:20], labels, strict=True)))
        assert data.train.classes is None
        assert data.reading is not None
        assert "are not classes, and are left out: found objects" in data.reading.notes[0]


class Broken(Known):
    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        if number == 7:
            raise OSError("truncated")
        return super().__getitem__(number)


def test_an_error_of_the_dataset_tells_the_row():
    with pytest.raises(OSError, match="truncated") as error:
        Dataset.from_rows(Broken())
    assert error.value.__notes__ == ["raised by a Broken that was asked for row 7 of train"]


class Endless(torch.utils.data.Dataset[Any]):
    def __getitem__(self, number: int) -> torch.Tensor:
        return X[number % 30]


BAD: dict[str, tuple[Any, str]] = {
    "an array": (X, "Dataset.from_arrays(x_train)"),
    "a loader": (DataLoader(TensorDataset(X)), "Dataset.from_rows(loader.dataset)"),
    "a path": ("data.npz", "load_data(DataConfig(source=…))"),
    "parts": ({"train": X}, "Dataset.from_rows(parts['train'], parts['test'])"),
    "nothing": ([], "give at least one row"),
    "no length": (Endless(), "a torch Dataset with a length"),
    "a number": (5, "an object whose items are rows"),
    "None": (None, "an object whose items are rows"),
    "rows of None": ([None], "an array or a picture for each row"),
    "pairs as lists": ([[X[0], 1]], "((x, y) for x, y in dataset)"),
    "numbers by name": ([{"age": 1, "dose": 2.0}], "a table in Parquet"),
    "no values": ([{"label": 1}], "under a name such as image or x"),
    "three fields": ([(1, 2, 3)], "(x, y) for x, y, *_ in dataset"),
    "other columns": ([{"image": X[0], "id": 2}], "DataConfig(unused=('id',))"),
    "two labels": ([{"x": X[0], "y": 0, "label": 2}], "DataConfig(unused=('label',))"),
    "unequal rows": ([X[0], X[1, :3]], "arrays to one shape"),
    "both": ([X, Image.fromarray(GREY[0])], "make all rows alike"),
    "some labels": ([(X[0], 1), X[1]], "a label with each or with none"),
    "objects": ([object()], "give one array of numbers"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_row_is_refused_with_a_fix(kind: str):
    rows, fix = BAD[kind]
    with pytest.raises(DataError) as error:
        Dataset.from_rows(rows)
    assert fix in error.value.fix


def test_names_of_classes_need_labels_and_a_list():
    for rows, names in ((X.tolist(), NAMES), (Known(), "cba")):
        with pytest.raises(DataError, match="class_names cannot be used"):
            Dataset.from_rows(rows, class_names=names)


def test_options_that_do_not_fit_the_rows_are_refused():
    with pytest.raises(UsageError, match="--size 4 cannot be used with rows"):
        Dataset.from_rows(X.tolist(), config=DataConfig(size="4"))
    with pytest.raises(DataError, match="does not fit into --memory"):
        Dataset.from_rows(map(Known().__getitem__, count()), config=DataConfig(memory=1e-6))
    with pytest.raises(UsageError, match="expected a DataConfig"):
        Dataset.from_rows(X.tolist(), config={"size": 4})  # type: ignore[arg-type]
