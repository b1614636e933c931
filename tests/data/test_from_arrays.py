"""Arrays and tensors in memory are read by the checks and the rules of an .npz."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch

from elboroom import (
    VAE,
    Config,
    DataConfig,
    Dataset,
    ModelConfig,
    Run,
    TrainConfig,
    evaluate,
    load_data,
    resolve,
    train,
)
from elboroom.errors import DataError, UsageError

RANDOM = np.random.default_rng(0)
TABLE = RANDOM.normal(size=(50, 4))
BITS = RANDOM.random((50, 5, 5)) < 0.4
LABELS = np.array(["cat", "dog"])[np.arange(50) % 2]


@pytest.mark.parametrize(
    "x",
    [TABLE, TABLE.tolist(), torch.tensor(TABLE), torch.tensor(TABLE, requires_grad=True)],
    ids=["float64", "lists", "tensor", "tensor with a gradient"],
)
def test_arrays_of_any_sort_are_the_rows_of_the_same_npz(tmp_path: Path, x: Any):
    np.savez(tmp_path / "t.npz", x_train=TABLE, y_train=LABELS)
    expected = load_data(DataConfig(str(tmp_path / "t.npz"), validation=8))
    data = Dataset.from_arrays(x, y_train=LABELS, config=DataConfig(validation=8))
    assert data.identity.sha256 == expected.identity.sha256
    assert data.identity.drawn_rows == expected.identity.drawn_rows
    for name in ("train", "validation", "test"):
        a, b = data.part(name), expected.part(name)
        assert torch.equal(a.x, b.x)
        assert a.labels is not None
        assert b.labels is not None
        assert torch.equal(a.labels, b.labels)
        assert a.classes == b.classes == ("cat", "dog")


@pytest.mark.parametrize(
    ("x", "kind"),
    [
        (BITS, "binary"),
        (torch.tensor(BITS), "binary"),
        (torch.tensor(BITS).to(torch.bfloat16), "binary"),
        (BITS.astype(np.int64), "binary"),
        (torch.randint(0, 256, (50, 3, 5, 5), dtype=torch.uint8), "bytes"),
        (TABLE.astype(np.float16), "real"),
    ],
)
def test_the_values_keep_their_meaning(x: Any, kind: str):
    assert Dataset.from_arrays(x).kind == kind


def test_each_part_is_the_array_that_was_given():
    data = Dataset.from_arrays(
        TABLE[:30],
        TABLE[30:40],
        np.arange(30) % 2,
        np.arange(10) % 2,
        x_validation=TABLE[40:],
        y_validation=np.ones(10, int),
        class_names=["no", "yes"],
    )
    expected = torch.tensor(TABLE).float()
    assert torch.equal(data.train.x, expected[:30])
    assert torch.equal(data.test.x, expected[30:40])
    assert torch.equal(data.part("validation").x, expected[40:])
    assert data.part("validation").classes == ("no", "yes")
    assert data.part("validation").labels is not None


def test_masked_arrays_masks_and_nan_are_the_same_gaps():
    holes = RANDOM.random(TABLE.shape) < 0.2
    gaps = Dataset.from_arrays(np.where(holes, np.nan, TABLE))
    assert gaps.train.missing
    for data in (
        Dataset.from_arrays(np.ma.masked_array(TABLE, holes)),
        Dataset.from_arrays(TABLE, mask=~holes),
        Dataset.from_arrays(torch.tensor(TABLE), mask=torch.tensor(~holes)),
    ):
        assert data.identity == gaps.identity
        assert torch.equal(data.train.x.nan_to_num(9), gaps.train.x.nan_to_num(9))


def test_a_masked_array_hides_what_its_mask_and_another_one_hide():
    masked = np.ma.masked_array(TABLE, np.broadcast_to(np.arange(4) == 0, TABLE.shape))
    mask = np.broadcast_to(np.arange(4) != 3, TABLE.shape)
    known = Dataset.from_arrays(masked, mask=mask).train.x.isnan().all(0)
    assert known.tolist() == [True, False, False, True]


def test_later_changes_of_an_array_do_not_change_the_data():
    x = TABLE.astype(np.float32)
    data = Dataset.from_arrays(x, x)
    before = data.train.x.clone()
    x[:] = 0
    assert torch.equal(data.train.x, before)


def test_rows_of_one_group_stay_together():
    subject = np.repeat(np.arange(10), 5)
    data = Dataset.from_arrays(TABLE, groups=subject, config=DataConfig(validation=10))
    for part in data.parts.values():
        rows = np.isin(subject, subject[part.numbers])
        np.testing.assert_array_equal(np.flatnonzero(rows), part.numbers)
    assert sorted(len(part) for part in data.parts.values()) == [5, 10, 35]


def test_groups_may_be_in_a_file(tmp_path: Path):
    np.save(tmp_path / "who.npy", np.repeat(np.arange(10), 5))
    config = DataConfig(group_by=str(tmp_path / "who.npy"))
    found = Dataset.from_arrays(TABLE, config=config)
    assert found.identity == Dataset.from_arrays(TABLE, groups=np.arange(50) // 5).identity


@pytest.mark.parametrize(
    ("arrays", "what"),
    [
        ({"x_train": TABLE, "x_test": TABLE[:, :2]}, "differ in shape"),
        ({"x_train": TABLE, "y_train": np.arange(49)}, "do not fit"),
        ({"x_train": TABLE, "mask": BITS}, "does not fit"),
        ({"x_train": np.array([["a", "b"]])}, "cannot be used"),
        ({"x_train": np.where(TABLE > 2, np.inf, TABLE)}, "cannot be used"),
        ({"x_train": np.zeros((9, 4))}, "equal"),
        ({"x_train": TABLE[:1]}, "one row cannot be split"),
        ({"x_train": TABLE, "groups": np.arange(7)}, "do not fit"),
        ({"x_train": TABLE, "groups": np.zeros(50)}, "one group cannot be split"),
    ],
)
def test_arrays_that_an_npz_may_not_hold_are_refused(arrays: dict[str, Any], what: str):
    with pytest.raises(DataError, match=what):
        Dataset.from_arrays(**arrays)


NOT_DATA = [TABLE, torch.tensor(TABLE), torch.utils.data.TensorDataset(torch.ones(3)), "my.npy"]


@pytest.mark.parametrize("found", NOT_DATA, ids=lambda found: type(found).__name__)
def test_what_is_no_dataset_is_refused_with_the_call_that_makes_one(tmp_path: Path, found: Any):
    generator = torch.Generator().manual_seed(0)
    model = VAE.from_config(
        ModelConfig(hidden=(3,), likelihood="bernoulli"), (4,), generator=generator
    )
    config = Config(train=TrainConfig(epochs=1))
    entries: list[Any] = [
        lambda: train(model, found, config.train),
        lambda: evaluate(model, found, k=5, seed=0),
        lambda: resolve(config, found),
        lambda: Run.create(tmp_path / "run", config, found),
        lambda: load_data(found),
    ]
    for entry in entries:
        with pytest.raises(UsageError) as error:
            entry()
        expected = (
            "DataConfig(source='my.npy')" if isinstance(found, str) else "Dataset.from_arrays("
        )
        assert expected in error.value.fix
        assert error.value.what.startswith(f"found a {type(found).__name__}")
    assert not (tmp_path / "run").exists()


def test_a_config_or_a_part_in_the_place_of_a_dataset_is_refused():
    data = Dataset.from_arrays(TABLE)
    for found, fix in ((DataConfig(), "load_data(config)"), (data.test, "give the Dataset")):
        with pytest.raises(UsageError, match="expected a Dataset") as error:
            resolve(Config(), found)  # type: ignore[arg-type]
        assert fix in error.value.fix


TENSORS = torch.utils.data.TensorDataset(torch.tensor(TABLE))


@pytest.mark.parametrize(
    ("given", "fix"),
    [
        ("x.npy", "load_data"),
        ({"x": 1}, "one array"),
        ([[1.0], [1.0, 2.0]], "equal rows"),
        ((TABLE, TABLE), "its arrays one by one"),
        ((TABLE, LABELS), "its arrays one by one"),
        (torch.utils.data.TensorDataset(torch.ones(9, 4)), "Dataset.from_rows(dataset)"),
        (torch.utils.data.DataLoader([1]), "Dataset.from_rows(loader.dataset)"),  # type: ignore[arg-type]
        (scipy.sparse.csr_matrix(TABLE), "toarray"),
        (torch.tensor(TABLE).to_sparse(), "one array of numbers"),
        (torch.ones(9, 4, device="meta"), "one array of numbers"),
        (object(), "one array of numbers"),
    ],
    ids=lambda given: type(given).__name__,
)
def test_what_is_no_array_is_refused(given: Any, fix: str):
    with pytest.raises(DataError, match="x_train is not an array") as error:
        Dataset.from_arrays(given)
    assert fix in error.value.fix


def test_names_of_classes_and_groups_may_be_tuples():
    data = Dataset.from_arrays(TABLE, y_train=(0,) * 50, class_names=("cat",), groups=(1, 2) * 25)
    assert data.train.classes == ("cat",)


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_a_matrix_is_a_table():
    x = np.random.default_rng(0).normal(size=(30, 3))
    assert Dataset.from_arrays(np.matrix(x)).event_shape == (3,)


def test_few_rows_have_no_validation_part_and_it_is_said():
    data = Dataset.from_arrays(np.arange(24.0).reshape(12, 2), config=DataConfig(validation="auto"))
    assert data.validation is None
    assert data.reading is not None
    assert "too few rows for a validation part" in data.reading.chosen["test"]


def test_the_share_of_whole_groups_is_said():
    x = np.random.default_rng(0).normal(size=(100, 2))
    data = Dataset.from_arrays(x, groups=np.repeat([0, 1], 50))
    assert data.reading is not None
    assert data.reading.chosen["test"].startswith("50 % of the rows")


def test_options_that_are_no_data_config_are_refused():
    for config in ({"validation": 2}, Config(), "none"):
        with pytest.raises(UsageError, match="expected a DataConfig"):
            Dataset.from_arrays(np.eye(4), config=config)  # type: ignore[arg-type]
