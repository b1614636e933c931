"""The choice of threads, on a machine that is made of numbers."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from torch import Tensor

from elboroom.config import DataConfig, ModelConfig, ObjectiveConfig, TrainConfig
from elboroom.data import Dataset, load_data
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.training.loop import train
from elboroom.training.speed.fast_steps import fastest_step
from elboroom.training.speed.threads import (
    AdaptiveThreadsStep,
    is_core_taken,
    product_seconds,
    restore_thread_count,
    thread_choices,
)
from elboroom.training.state import new_state
from elboroom.training.step import Step

Machine = Callable[[int, int], float]
"""Seconds of a step, given the number of threads and of the step."""
QUICK = TrainConfig(epochs=3, batch_size=64, evaluate_every=1, device="cpu", precision="fp32")


def used(machine: Machine, steps: int) -> list[int]:
    """The threads of each step on `machine`, where all are 2."""
    now, chosen = 0.0, []
    choices = thread_choices(2, lambda: now)
    threads = next(choices)
    for step in range(steps):
        chosen.append(threads)
        now += machine(threads, step)
        threads = choices.send(machine(threads, step))
    return chosen


def quiet(threads: int, step: int) -> float:
    return 0.01 / threads


def busy(threads: int, step: int) -> float:
    return {1: 0.01, 2: 0.04}[threads]


def short(threads: int, step: int) -> float:
    return {1: 0.0019, 2: 0.0013}[threads]


def stalled(threads: int, step: int) -> float:
    """Beside another process most short steps are fast, and a few wait until it yields a core."""
    return 0.15 if threads == 2 and step % 47 == 0 else short(threads, step)


def seconds(machine: Machine, chosen: list[int]) -> float:
    return sum(machine(threads, step) for step, threads in enumerate(chosen))


def test_a_quiet_machine_gives_all_threads_after_one_trial():
    chosen = used(quiet, 1_000)
    assert chosen.count(1) == 12  # a step, and a turn of a tenth of a second
    assert set(chosen[100:]) == {2}


@pytest.mark.parametrize("machine", [busy, stalled])
def test_a_busy_machine_costs_little_more_than_one_thread_would(machine: Machine):
    chosen = used(machine, 20_000)
    assert seconds(machine, chosen) < 1.05 * seconds(machine, [1] * 20_000)


@pytest.mark.parametrize(("free", "taken"), [(quiet, busy), (short, stalled)])
def test_a_core_that_is_taken_later_is_noticed_within_seconds(free: Machine, taken: Machine):
    chosen = used(lambda n, step: (free if step < 1_000 else taken)(n, step), 3_000)
    assert set(chosen[500:1_000]) == {2}
    assert chosen[-1_000:].count(1) > 950
    alone = sum(taken(1, step) for step in range(1_000, 3_000))
    assert seconds(taken, chosen) - seconds(taken, chosen[:1_000]) < 1.05 * alone + 1


def test_a_core_that_is_free_again_is_used_again():
    chosen = used(lambda n, step: (busy if step < 1_000 else quiet)(n, step), 5_000)
    assert chosen[500:1_000].count(2) < 20
    assert set(chosen[-1_000:]) == {2}


@pytest.mark.parametrize("every", [7, 100])
def test_hiccups_change_nothing(every: int):
    chosen = used(lambda n, step: 10.0 if step % every == 0 else quiet(n, step), 1_000)
    assert set(chosen[150:]) == {2}


def test_a_hiccup_in_a_trial_is_not_taken_for_a_busy_core():
    chosen = used(lambda n, step: 10.0 if step == 10 else quiet(n, step), 1_000)
    assert set(chosen[60:]) == {2}


def test_turns_of_long_steps_are_single_steps():
    chosen = used(lambda n, step: 1.0 / n, 100)
    assert chosen == [2] * (3 + 2) + [1] * 2 + [2] * 93


def test_a_slower_machine_that_stays_so_is_tried_once():
    chosen = used(lambda n, step: (1 if step < 500 else 3) * quiet(n, step), 2_000)
    assert chosen.count(1) == 12 + 5


def test_a_slow_down_is_measured_against_the_best_time():
    def machine(threads: int, step: int) -> float:
        slow_at_first_and_taken_at_last = {1: 0.03, 2: 0.015}, {1: 0.01, 2: 0.014}
        if 50 <= step < 1_000:
            return quiet(threads, step)
        return slow_at_first_and_taken_at_last[step >= 1_000][threads]

    assert used(machine, 1_500)[1_200:].count(1) > 285


def test_equal_times_give_all_threads():
    assert set(used(lambda n, step: 0.01 if n == 2 else 0.0095, 500)[100:]) == {2}


@restore_thread_count()
def fails() -> None:
    torch.set_num_threads(torch.get_num_threads() + 1)
    raise ZeroDivisionError


def test_the_number_of_threads_is_restored_even_after_an_error():
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError):
        fails()
    assert torch.get_num_threads() == before


def test_a_product_is_timed_by_the_given_threads_and_its_median_returned():
    seen, ticks = [], iter([0, 90, 0, 5, 0, 1, 0, 2, 0, 4, 0, 3])

    def clock() -> float:
        seen.append(torch.get_num_threads())
        return next(ticks)

    before = torch.get_num_threads()
    assert product_seconds(2, clock) == 3  # of 5, 1, 2, 4, 3: the first is not counted
    assert set(seen) == {2}
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("of_all", "taken"), [(0.5, False), (0.89, False), (0.91, True), (40.0, True)]
)
def test_threads_that_gain_nothing_mean_that_a_core_is_taken(of_all: float, taken: bool):
    assert is_core_taken(of_all, 1.0) is taken


@pytest.fixture(scope="module")
def digits() -> Dataset:
    """500 real digits to train on, 300 to test on."""
    data = load_data(DataConfig(split="reference"))
    train, test = data.train.rows(list(range(500))), data.test.rows(list(range(300)))
    return replace(data, train=train, test=test)


def new_model(data: Dataset) -> VAE:
    config = ModelConfig(hidden=(100,))
    return VAE.from_config(config, data.event_shape, generator=stream(0, "weights"))


def weights_after(data: Dataset, config: TrainConfig) -> Tensor:
    model = new_model(data)
    train(model, data, config)
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@restore_thread_count()
def test_steps_that_choose_their_threads_compute_the_same(digits: Dataset):
    torch.set_num_threads(2)
    config = replace(QUICK, epochs=6, threads=2)
    fixed, chosen = (
        weights_after(digits, config),
        weights_after(digits, replace(config, threads="auto")),
    )
    torch.testing.assert_close(chosen, fixed, rtol=1e-4, atol=1e-5)
    assert torch.get_num_threads() == 2


def test_a_timed_step_is_told_all_that_it_is_taken_with():
    step, rows = Mock(), torch.arange(3)
    AdaptiveThreadsStep(step, torch.get_num_threads())(rows, 0.1, 0.2, False)
    step.step.assert_not_called()
    step.assert_called_once_with(rows, 0.1, 0.2, False)


@restore_thread_count()
@pytest.mark.parametrize(
    ("threads", "most", "kind"), [("auto", 2, AdaptiveThreadsStep), ("auto", 1, Step), (2, 2, Step)]
)
def test_only_a_free_choice_of_several_threads_is_made_by_timing(
    digits: Dataset, threads: Any, most: int, kind: type
):
    torch.set_num_threads(most)
    model, config = new_model(digits), replace(QUICK, threads=threads)
    state, objective = new_state(model), ObjectiveConfig()
    step = Step(model, digits.train, state, TrainConfig(), objective, torch.float32)
    assert type(fastest_step(step, state, config, 1)) is kind
