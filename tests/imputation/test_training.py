"""Training of the models of a table, their weights, and the checks of columns."""

from dataclasses import replace

import pytest
import torch

from elboroom.config import DataConfig
from elboroom.data import Dataset
from elboroom.errors import UsageError
from elboroom.imputation import training
from elboroom.imputation.column_checks import ColumnCheck, check_columns
from elboroom.imputation.recipe import recipe
from elboroom.imputation.training import ensemble_of, entry_scores, train_ensemble
from tests.imputation import tables

NAMES = ("number", "count", "binary", "category", "ordinal")


@pytest.fixture(scope="module")
def mixed() -> tuple[Dataset, dict]:
    data, columns = tables.mixed()
    configs = recipe(DataConfig(), len(data.train), columns, effort=0.1)
    return data, train_ensemble(data, configs)


def test_the_models_of_the_recipe_are_weighed(mixed: tuple[Dataset, dict]):
    _, members = mixed
    assert set(members) <= {"linear", "mixture", "network"}
    assert sum(weight for _, weight in members.values()) == pytest.approx(1)


def test_each_withheld_entry_has_a_score(mixed: tuple[Dataset, dict]):
    data, members = mixed
    model, _ = next(iter(members.values()))
    scores = entry_scores(model, data.validation)
    assert len(scores) == int(data.validation.withheld.sum())
    assert scores.isfinite().all()


def test_models_of_a_long_table_are_weighed_by_the_same_rows(
    mixed: tuple[Dataset, dict], monkeypatch: pytest.MonkeyPatch
):
    data, members = mixed
    whole = [entry_scores(model, data.validation) for model, _ in members.values()]
    monkeypatch.setattr(training, "_MOST_ROWS", 20)
    some = [entry_scores(model, data.validation) for model, _ in members.values()]
    assert {len(scores) for scores in some} == {len(some[0])}
    assert 20 <= len(some[0]) < len(whole[0])


def test_columns_are_checked_by_entries_of_the_test_part(mixed: tuple[Dataset, dict]):
    """Columns that go together are predicted better than by their mean or mode."""
    data, members = mixed
    checks = check_columns(ensemble_of(members), data.test, NAMES, seed=0)
    assert [check.name for check in checks] == list(NAMES)
    assert [check.count for check in checks] == data.test.withheld.sum(0).tolist()
    assert all(check.error < check.usual for check in checks if check.name != "count")
    assert checks[3].coverage_90 is None
    assert 0.7 < checks[0].coverage_90 <= 1


def test_steps_follow_the_effort():
    columns = ("gaussian",) * 30
    full, tenth = (recipe(DataConfig(), 10_000, columns, effort=e) for e in (1.0, 0.1))
    assert full["linear"].train.resolved_epochs == 10  # of 40 steps
    assert tenth["linear"].train.resolved_epochs == 1
    assert full["linear"].model.latents == 12
    with pytest.raises(UsageError, match="effort"):
        recipe(DataConfig(), 100, columns, effort=0.0)


def test_data_without_withheld_entries_are_refused():
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)).numpy()
    with pytest.raises(UsageError, match="no entries are withheld"):
        train_ensemble(Dataset.from_arrays(x), {})


GOOD = ColumnCheck("age", "gaussian", 400, 1.0, 2.0, 0.5, 0.9, None)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, []),
        ({"count": 5}, ["only 5 entries"]),
        ({"error": None}, ["not known"]),
        ({"error": 1.99}, ["no better than its mean"]),
        ({"coverage_90": 0.7}, ["cover 70 %"]),
        ({"coverage_90": 0.99}, ["cover 99 %"]),
        ({"coverage_90": 0.86}, []),
        ({"coverage_90": None, "confidence": 0.9, "error": 0.4, "usual": 0.5}, ["90 %", "60 %"]),
        ({"confidence": 0.5, "error": 0.5, "usual": 0.5}, ["most frequent level"]),
    ],
)
def test_a_column_is_doubted_for_a_reason(changes: dict, words: list[str]):
    doubts = "; ".join(replace(GOOD, **changes).doubts)
    assert all(word in doubts for word in words)
    assert bool(doubts) == bool(words)
