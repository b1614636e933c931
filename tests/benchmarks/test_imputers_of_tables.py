import numpy as np
import pytest

from benchmarks.peers.table_task import Filled, Numbers, Task, answer, drawn, point
from benchmarks.tables import imputers, memory
from benchmarks.tables.gaussian import Gaussian

TYPES = ["real", "category", "binary", "ordinal"]
WHOLE = np.array([[1.0, 2.0, 0.0, 3.0], [5.0, 0.0, 1.0, 0.0], [9.0, 1.0, 1.0, 1.0]])


def task_of(x):
    return Task(x, TYPES, np.array([0, 3, 2, 4]), 2, 0)


def test_a_table_as_numbers_and_back():
    x = WHOLE.copy()
    x[1, 1] = x[0, 0] = np.nan
    numbers = Numbers(task_of(x))
    encoded = numbers.encoded()
    assert encoded[:, 0] == pytest.approx([np.nan, -1, 1], nan_ok=True)
    indicators = np.array([[0, 0, 1], [np.nan] * 3, [0, 1, 0]])
    np.testing.assert_array_equal(encoded[:, 1:4], indicators)
    np.testing.assert_array_equal(encoded[:, 4], WHOLE[:, 2])
    filled = np.nan_to_num(encoded, nan=0.0) + 0.1
    filled[1, 3] = 0.2
    expected = [[7.2, 2, 0], [5.2, 2, 1], [9.2, 1, 1]]
    np.testing.assert_allclose(numbers.decoded(filled)[:, :3], expected)


def test_draws_become_means_and_the_commonest_levels():
    x = WHOLE.copy()
    x[0] = np.nan
    draws = WHOLE + np.array([[[0, 0, 1, 0]], [[3, -2, 0, 0]], [[3, -2, 1, 1]]])
    found = drawn(task_of(x), draws)
    assert found.mean[0] == pytest.approx([3, 0, 1, 3 + 1 / 3])
    np.testing.assert_array_equal(found.mean[1:], WHOLE[1:])
    np.testing.assert_array_equal(found.draws[:, 1:], [WHOLE[1:]] * 3)


def test_a_task_is_answered_beside_it(tmp_path):
    x = np.where(WHOLE == 9, np.nan, WHOLE)
    task_of(x).write(tmp_path / "task.npz")
    paths = (str(tmp_path / "task.npz"), str(tmp_path / "filled.npz"))
    answer(lambda task: point(task, np.full(task.x.shape, 7.0)), paths)
    found = Filled.read(paths[1])
    np.testing.assert_array_equal(found.mean, np.where(WHOLE == 9, 7.0, WHOLE))
    assert found.draws.shape == (0, 3, 4)
    assert found.seconds > 0


def test_a_measurement_is_made_once_for_each_version_of_elboroom(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_FILE", tmp_path / "tables" / "results.jsonl")
    monkeypatch.setattr(imputers, "version", lambda method: version * (method == imputers.OURS))
    made, version = [], "a"

    def measured(method, what):
        return memory.remembered(method, what, lambda: made.append(method) or len(made))

    asked = [(method, {"n": n}) for method in ("elboroom", "knn") for n in (1, 2)]
    assert [measured(*a) for a in asked] == [1, 2, 3, 4]
    assert [measured(*a) for a in asked] == [1, 2, 3, 4]
    version = "b"
    assert [measured(*a) for a in asked] == [5, 6, 3, 4]


def test_the_conditional_mean_of_a_gaussian_by_its_precision():
    rng = np.random.default_rng(0)
    gaussian = Gaussian.drawn(5, rng)
    x = gaussian.sample(3, rng)
    hidden = np.array([[True, False, True, False, False], [True] * 5, [False] * 5])
    found = gaussian.conditional_mean(x, hidden)
    precision = np.linalg.inv(gaussian.covariance)
    h, s = [0, 2], [1, 3, 4]
    # μ_h − Λ_hh⁻¹ Λ_hs (x_s − μ_s)
    pull = precision[np.ix_(h, s)] @ (x[0, s] - gaussian.mean[s])
    expected = gaussian.mean[h] - np.linalg.solve(precision[np.ix_(h, h)], pull)
    assert found[0, h] == pytest.approx(expected)
    np.testing.assert_array_equal(found[0, s], x[0, s])
    np.testing.assert_array_equal(found[1:], [gaussian.mean, x[2]])
