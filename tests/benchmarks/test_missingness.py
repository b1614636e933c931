import math

import numpy as np
import pytest

from benchmarks.tables import missingness

ROWS, COLUMNS = 4_000, 6
X = np.random.default_rng(0).standard_normal((ROWS, COLUMNS)) * [1, 10, 1, 3, 0.1, 1] + 5


@pytest.mark.parametrize(("pattern", "share"), [("mcar20", 0.2), ("mcar50", 0.5)])
def test_each_entry_is_hidden_with_the_share(pattern, share):
    hidden = missingness.mask(X, pattern, 0)
    error = math.sqrt(share * (1 - share) / hidden.size)
    assert hidden.mean() == pytest.approx(share, abs=4 * error + 0.5**COLUMNS)


@pytest.mark.parametrize("pattern", missingness.PATTERNS)
def test_a_split_is_fixed_and_another_differs(pattern):
    first = missingness.mask(X, pattern, 0)
    assert (first == missingness.mask(X, pattern, 0)).all()
    assert (first != missingness.mask(X, pattern, 1)).any()


def test_every_row_and_column_keeps_an_entry():
    hidden = missingness.mask(X[:, :2], "mcar50", 0)
    assert not hidden.all(axis=1).any()
    assert not missingness.mask(X[:2].repeat(9, axis=1), "mcar50", 0).all(axis=0).any()


def test_the_rule_hides_half_of_the_columns_by_a_logistic_of_the_others():
    probabilities = missingness.by_a_rule(X, np.random.default_rng(3), 0.3)
    seen = (probabilities == 0).all(axis=0)
    assert seen.sum() == COLUMNS // 2
    assert probabilities[:, ~seen].mean(axis=0) == pytest.approx(0.3)
    logits = np.log(probabilities[:, ~seen] / (1 - probabilities[:, ~seen]))
    design = np.column_stack([np.ones(ROWS), X[:, seen]])
    _, residual, *_ = np.linalg.lstsq(design, logits)
    assert residual == pytest.approx(0.0, abs=1e-12)
    assert logits.std(axis=0) == pytest.approx(1.0)


def test_what_the_rule_hides_has_its_probabilities():
    hidden = missingness.mask(X, "mar30", 0)
    share = hidden.mean(axis=0)
    error = math.sqrt(0.3 * 0.7 / ROWS)
    assert sorted(share)[: COLUMNS // 2] == [0] * (COLUMNS // 2)
    assert share[share > 0] == pytest.approx(0.3, abs=4 * error)
