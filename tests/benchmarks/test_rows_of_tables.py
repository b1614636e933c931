import pytest

from benchmarks.tables import calibration, errors
from benchmarks.tables.cases import Case, Score


def scored(error, energy=1.0, inside=0.9):
    return Score(error, inside - 0.4, inside, energy, 1.0)


FOUND = {
    (Case("iris", "mcar20", 0), "elboroom"): scored(0.2, 1.0, 0.85),
    (Case("iris", "mcar20", 0), "knn"): scored(0.1),
    (Case("iris", "mcar20", 0), "mice"): scored(0.3, 2.0),
    (Case("iris", "mcar20", 1), "elboroom"): scored(0.2, 9.0, 0.87),  # a split without MICE
    (Case("iris", "mcar20", 1), "knn"): scored(0.1),
    (Case("iris", "mar30", 0), "elboroom"): scored(0.2, 2.0, 0.86),
    (Case("iris", "mar30", 0), "knn"): scored(0.3),
    (Case("iris", "mar30", 0), "mice"): scored(0.4, 2.0),
    (Case("wine", "mcar20", 0), "elboroom"): scored(0.1, 3.0, 0.97),  # a table without MICE
    (Case("wine", "mcar20", 0), "knn"): scored(0.2),
}


def measured(rows):
    return {row.what: row.values for row in rows}


def test_methods_are_ranked_where_all_ran_that_ran_there():
    found = measured(errors.rows(FOUND))
    where = "3 tables × patterns"
    assert found[f"place by mean rank of the error, {where}, 3 splits in all"] == [1]
    rank = "mean rank of the error, "
    assert found[f"{rank}{where}: elboroom"] == [pytest.approx(4 / 3)]  # 2, 1, 1
    assert found[f"{rank}{where}: KNNImputer"] == [pytest.approx(5 / 3)]  # 1, 2, 2
    [mice] = [values for what, values in found.items() if "2 tables × patterns" in what]
    assert mice == [3.0]


def test_methods_that_ran_all_splits_are_ranked_on_all():
    found = measured(errors.rows(FOUND))
    where = "without IterativeImputer, sample_posterior (MICE), 20 seeds, 3 tables × patterns"
    assert found[f"place by mean rank of the error, {where}, 4 splits in all"] == [1]
    assert found[f"mean rank of the error, {where}: KNNImputer"] == [pytest.approx(5 / 3)]
    alike = {key: score for key, score in FOUND.items() if key[1] != "mice"}
    assert not [what for what in measured(errors.rows(alike)) if "without" in what]


def test_ours_is_beside_the_best_peer_of_the_table():
    found = measured(errors.rows(FOUND))
    best = "error over that of the best peer, KNNImputer"
    assert found[f"iris, mcar20: {best}"] == [pytest.approx(2.0)] * 2
    assert found[f"wine, mcar20: {best}"] == [pytest.approx(0.5)]


def test_intervals_are_judged_by_their_distance_from_the_level():
    found = {row.what: row for row in calibration.rows(FOUND)}
    iris = found["iris: 90 % intervals, distance from 90 %, elboroom"]
    assert iris.values == [pytest.approx(4.0)]
    assert iris.ok
    assert not found["wine: 90 % intervals, distance from 90 %, elboroom"].ok
    assert found["wine: 50 % intervals hold hidden numbers, elboroom"].values == [pytest.approx(57)]


def test_energy_scores_are_compared_in_the_cases_that_both_ran():
    found = measured(calibration.rows(FOUND))
    [ratio] = [values for what, values in found.items() if what.startswith("iris: energy")]
    assert ratio == [pytest.approx(3 / 4)]
    [share] = [values for what, values in found.items() if what.startswith("share of 1 tables")]
    assert share == [1.0]
