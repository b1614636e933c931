"""The schedule of a run: batches, learning rate and KL warm-up of each step."""

from typing import Any

import pytest
import torch

from elboroom.config import TrainConfig
from elboroom.data import Part
from elboroom.training.progress import Progress
from elboroom.training.schedule import Schedule, kl_warmup, learning_rate, steps_per_epoch
from elboroom.training.time_plan import TimePlan

IMAGES = Part(torch.zeros(10, 1, 2, 2), None)
after = Progress.of_epochs


def epoch_of_rows(schedule: Schedule, epoch: int) -> torch.Tensor:
    """All rows of an epoch in their order."""
    steps = range(epoch * schedule.steps_per_epoch, (epoch + 1) * schedule.steps_per_epoch)
    return torch.cat([schedule.step(number)[0] for number in steps])


@pytest.mark.parametrize(("batch_size", "steps"), [(1, 10), (4, 3), (5, 2), (10, 1), (99, 1)])
def test_an_epoch_has_the_batches_that_visit_every_image(batch_size: int, steps: int):
    config = TrainConfig(batch_size=batch_size)
    assert steps_per_epoch(config, IMAGES) == Schedule(config, IMAGES).steps_per_epoch == steps


def test_an_epoch_visits_every_image_once_in_an_order_of_its_own():
    schedule = Schedule(TrainConfig(batch_size=4), IMAGES)
    first, second = epoch_of_rows(schedule, 0), epoch_of_rows(schedule, 1)
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(10))
    assert not torch.equal(first, second)


def test_a_step_does_not_depend_on_the_steps_before_it():
    config = TrainConfig(batch_size=4, epochs=3, schedule="cosine", warmup=2)
    steps = [Schedule(config, IMAGES).step(number) for number in (7, 2)]
    again = Schedule(config, IMAGES)
    for number, (rows, *others) in zip((7, 2), steps, strict=True):
        found = again.step(number)
        assert torch.equal(found[0], rows)
        assert list(found[1:]) == others


def test_epochs_are_counted_from_1_and_end_with_their_last_step():
    schedule = Schedule(TrainConfig(batch_size=4), IMAGES)
    assert [schedule.epoch_of(step) for step in range(7)] == [1, 1, 1, 2, 2, 2, 3]
    assert [schedule.ends_epoch(steps) for steps in range(1, 7)] == [False, False, True] * 2


def test_beta_rises_linearly_over_the_warmup():
    config = TrainConfig(warmup=4)
    assert [kl_warmup(config, after(t, config)) for t in (0, 1, 4, 9)] == [0.0, 0.25, 1.0, 1.0]
    assert kl_warmup(TrainConfig(), after(0, TrainConfig())) == 1.0


@pytest.mark.parametrize(
    ("options", "moved"), [({}, 0), ({"flip": True}, 15), ({"zoom": 0.1, "augment_until": 0.6}, 9)]
)
def test_images_are_moved_for_a_share_of_the_steps(options: dict[str, Any], moved: int):
    schedule = Schedule(TrainConfig(epochs=5, batch_size=4, **options), IMAGES)
    assert [schedule.step(number)[3] for number in range(15)] == [n < moved for n in range(15)]


def test_the_cosine_schedule_falls_to_zero_and_the_constant_one_does_not():
    cosine = TrainConfig(epochs=10, schedule="cosine", learning_rate=0.1)
    rates = [learning_rate(cosine, after(t, cosine)) for t in (0, 5, 10)]
    assert rates == pytest.approx([0.1, 0.05, 0.0])
    constant = TrainConfig(learning_rate=0.1)
    assert learning_rate(constant, after(7.5, constant)) == 0.1


def test_the_one_cycle_schedule_rises_over_a_tenth_and_falls_to_zero():
    config = TrainConfig(epochs=10, schedule="one-cycle", learning_rate=0.1)
    rates = [learning_rate(config, after(t, config)) for t in (0, 0.25, 1, 5.5, 10)]
    assert rates == pytest.approx([0.0, 0.025, 0.1, 0.05, 0.0])


@pytest.mark.parametrize(
    ("schedule", "expected"), [("constant", [0.0, 0.05, 0.1, 0.1]), ("cosine", [0, 0.05, 0.1, 0])]
)
def test_the_learning_rate_rises_over_its_warmup_and_then_follows_the_schedule(schedule, expected):
    config = TrainConfig(epochs=10, schedule=schedule, learning_rate=0.1, learning_rate_warmup=2.0)
    assert [learning_rate(config, after(t, config)) for t in (0, 1, 2, 10)] == pytest.approx(
        expected
    )
    middle = {"constant": 0.1, "cosine": 0.05}[schedule]
    assert learning_rate(config, after(6, config)) == pytest.approx(middle)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize(("warmup", "last"), [(4.0, 0.1), (8.0, 0.05)])
def test_a_learning_rate_may_rise_to_the_end(schedule, warmup, last):
    config = TrainConfig(
        epochs=4, schedule=schedule, learning_rate=0.1, learning_rate_warmup=warmup
    )
    assert learning_rate(config, after(4, config)) == pytest.approx(last)


PLAN = TimePlan(minutes=1.0, pace=1.0, end=60, review=60)


def test_a_training_by_time_follows_its_plan():
    config = TrainConfig(
        batch_size=4, minutes=1.0, schedule="one-cycle", warmup="auto", flip=True, augment_until=0.5
    )
    schedule = Schedule(config, IMAGES, PLAN)
    found = [schedule.step(number)[1:] for number in (0, 3, 6, 15, 29, 30, 33)]
    rates, warmups, moved = zip(*found, strict=True)
    assert rates[:3] == pytest.approx([0, 5e-4, 1e-3])
    assert rates[-1] == pytest.approx(5e-4)  # half of the fall, from the tenth on
    assert warmups == pytest.approx([0, 0.2, 0.4, 1, 1, 1, 1])
    assert moved == (True, True, True, True, True, False, False)


@pytest.mark.parametrize(("schedule", "last"), [("constant", 0.1), ("cosine", 0.0)])
def test_warm_ups_of_some_epochs_are_those_of_a_training_by_time_too(schedule, last):
    options: dict[str, Any] = {"warmup": 5.0, "learning_rate_warmup": 2.0, "learning_rate": 0.1}
    config = TrainConfig(batch_size=4, minutes=1.0, schedule=schedule, **options)
    steps = Schedule(config, IMAGES, PLAN)  # 20 epochs of 3 steps
    assert [steps.step(n)[1] for n in (0, 3, 6)] == pytest.approx([0, 0.05, 0.1])
    assert learning_rate(config, steps.progress_after(60)) == pytest.approx(last)
    assert [steps.step(n)[2] for n in (0, 3, 15, 30)] == pytest.approx([0, 0.2, 1, 1])
    by_epochs = Schedule(TrainConfig(batch_size=4, epochs=20, schedule=schedule, **options), IMAGES)
    for number in range(60):
        assert by_epochs.step(number)[1:] == pytest.approx(steps.step(number)[1:])
