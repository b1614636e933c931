"""A run keeps what its training values usually are, and tells new data in other units."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from elboroom import Config, DataConfig, load_data
from elboroom.config import ModelConfig
from elboroom.errors import RunError
from elboroom.runs import training_values
from elboroom.runs.run import Run

TABLE = np.random.default_rng(0).normal(20, 5, (200, 3))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", TABLE)
    config = Config(DataConfig("x.npy"), ModelConfig(2, (4,), likelihood="gaussian"))
    return Run.create("run", config, load_data(config.data))


def test_new_data_in_other_units_are_told_with_the_column(run: Run):
    np.save("new.npy", np.c_[TABLE[:30, :2], 1.8 * TABLE[:30, 2] + 32])
    told = "new.npy may be in other units than the data that run was trained on: in column 2 most"
    with pytest.warns(UserWarning, match=told):
        run.choose_part(source="new.npy")


def test_rows_of_the_run_itself_are_not_told(run: Run):
    np.save("test.npy", run.load_data().test.x)
    np.save("moved.npy", TABLE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for source in (None, "moved.npy", "test.npy"):
            run.choose_part(source=source)


def test_a_run_from_before_the_file_compares_nothing(run: Run):
    (run.path / training_values.FILE).unlink()
    np.save("new.npy", 1000 * TABLE[:30])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run.choose_part(source="new.npy")


@pytest.mark.parametrize(
    ("arrays", "why"),
    [
        ({"quantiles": np.zeros((21, 3), "f4")}, "known"),
        ({"quantiles": np.zeros((21, 9), "f4"), "known": np.ones(9, int)}, "of shape (21, 9)"),
        ({"quantiles": np.zeros((21, 3), "f8"), "known": np.ones(3, int)}, "found float64"),
        ({"quantiles": np.zeros((21, 3), "f4"), "known": -np.ones(3, int)}, "outside 0 to"),
    ],
)
def test_a_file_that_does_not_fit_is_named(run: Run, arrays: dict[str, np.ndarray], why: str):
    np.savez(run.path / training_values.FILE, **arrays)
    np.save("new.npy", TABLE[:9] + 1)
    with pytest.raises(RunError) as error:
        run.choose_part(source="new.npy")
    assert error.value.what == f"run/{training_values.FILE} cannot be read"
    assert why in error.value.why


def test_a_run_that_was_killed_before_its_config_was_written_may_be_made_again(run: Run):
    (run.path / "config.toml").unlink()
    Run.create("run", run.config, run.load_data())


def test_any_quantiles_of_the_right_types_are_taken_without_a_crash(run: Run):
    die, data = np.random.default_rng(0), run.load_data()
    special = np.array([np.nan, np.inf, -np.inf, 0, 3e38, 20, 21], "f4")
    for _ in range(40):
        arrays = {"quantiles": die.choice(special, (21, 3)), "known": die.integers(0, 1025, 3)}
        arrays["known"][0] = die.integers(0, 3)
        np.savez(run.path / training_values.FILE, **arrays)
        found = training_values.read(run.path, (3,)).differences(data.test)
        assert all(words.startswith("in column") for words in found)
