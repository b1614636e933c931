import pytest

from benchmarks.explorer_clients import Answer, rows_of
from benchmarks.explorer_strokes import Probed


def test_a_movement_waits_for_the_first_posterior_that_knows_of_it():
    shown = [(0.0, 40.0), (41.0, 90.0), (95.0, 150.0)]
    found = Probed([10.0, 41.0, 60.0], shown)
    # That of 10 was asked for at 41; that of 60 at 95.
    assert found.delays == [80.0, 49.0, 90.0]


def test_a_movement_that_was_never_answered_is_an_error():
    with pytest.raises(IndexError):
        _ = Probed([10.0], [(0.0, 40.0)]).delays


def test_answers_are_counted_by_their_status():
    accepted = [Answer(200, 0.001 * (i + 1)) for i in range(100)]
    answers = [*accepted, *20 * [Answer(429, 0.0)], Answer(504, 30.0)]
    times, last, pace, refused, others = rows_of(answers, 10.0)
    assert times.measured == pytest.approx(50.5)
    assert last.measured == pytest.approx(99.99)
    assert last.ok
    assert (pace.measured, refused.measured, others.measured) == (10.0, 2.0, 1.0)
    assert not others.ok
