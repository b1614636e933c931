"""Rows that an object of Python gives one by one are read as arrays and folders of pictures are."""

from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path
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


SAME: dict[str, Iterable[Any]] = {
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


BAD: dict[str, tuple[Any, str]] = {
    "an array": (X, "Dataset.from_arrays(x_train)"),
    "a loader": (DataLoader(TensorDataset(X)), "Dataset.from_rows(loader.dataset)"),
    "a path": ("data.npz", "load_data(DataConfig(source=…))"),
    "parts": ({"train": X}, "Dataset.from_rows(parts['train'], parts['test'])"),
    "nothing": ([], "give at least one row"),
    "three fields": ([(1, 2, 3)], "(x, y) for x, y, *_ in dataset"),
    "other columns": ([{"image": 1, "id": 2}], "dataset.select_columns(['image', 'label'])"),
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


def test_options_that_do_not_fit_the_rows_are_refused():
    with pytest.raises(UsageError, match="--size 4 cannot be used with rows"):
        Dataset.from_rows(X.tolist(), config=DataConfig(size="4"))
    with pytest.raises(DataError, match="does not fit into --memory"):
        Dataset.from_rows(map(Known().__getitem__, count()), config=DataConfig(memory=1e-6))
    with pytest.raises(UsageError, match="expected a DataConfig"):
        Dataset.from_rows(X.tolist(), config={"size": 4})  # type: ignore[arg-type]
