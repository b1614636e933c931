"""Training by time, on a clock that goes on by what each step is said to take."""

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle, pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from elboroom.config import ModelConfig, ObjectiveConfig, TrainConfig
from elboroom.data import Dataset, Identity, Part
from elboroom.errors import UsageError
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.runs import checkpoints
from elboroom.training import trainer
from elboroom.training.limits import time_budget
from elboroom.training.loop import train
from elboroom.training.state import TrainState, new_state
from elboroom.training.step import Step

CONFIG = TrainConfig(
    epochs="auto",
    minutes=10.0,
    batch_size=10,
    schedule="cosine",
    learning_rate=0.01,
    device="cpu",
    precision="fp32",
    evaluate_every=3,
)


class Clock:
    """The seconds that steps have taken, of which the next takes `pace(now)`."""

    def __init__(self) -> None:
        self.now, self.pace = 0.0, (lambda now: 1.0)
        self.totals = list[Tensor]()

    def timed(self, step: Step, *others: Any) -> "TimedStep":
        return TimedStep(step, self)


class TimedStep:
    """A step that lets the clock go on."""

    def __init__(self, step: Step, clock: Clock) -> None:
        self.step, self.noise, self.clock = step, step.noise, clock

    def __call__(self, *given: Any) -> Tensor:
        self.clock.now += self.clock.pace(self.clock.now)
        totals = self.step(*given)
        self.clock.totals.append(totals)
        return totals


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    watch = SimpleNamespace(perf_counter=lambda: found.now)
    monkeypatch.setattr(time_budget, "time", watch)
    monkeypatch.setattr(trainer, "time", SimpleNamespace(perf_counter=watch.perf_counter))
    monkeypatch.setattr(trainer, "fastest_step", found.timed)
    return found


def data_of(images: int) -> Dataset:
    x = (torch.rand(images, 4, generator=stream(0, "bits")) < 0.5).float()
    return Dataset(
        Identity("bits", "", "none", "standard", 2), Part(x, None), None, Part(x[:2], None)
    )


def new_model() -> VAE:
    config = ModelConfig(latents=1, hidden=(3,))
    return VAE.from_config(config, (4,), generator=stream(0, "weights"))


def trained(config: TrainConfig = CONFIG, images: int = 500, **options: Any) -> TrainState:
    return train(new_model(), data_of(images), config, **options)


def busy_later(now: float) -> float:
    return 1.0 if now < 200 else 3.0


def busy_at_first(now: float) -> float:
    return 4.0 if now < 200 else 0.5


def busy_now_and_then() -> Callable[[float], float]:
    paces = cycle([0.2] * 150 + [2.0] * 40)
    return lambda now: next(paces)


@pytest.mark.parametrize(
    "pace",
    [lambda now: 1.0, busy_later, busy_at_first, busy_now_and_then()],
    ids=["steady", "busy later", "busy at first", "busy now and then"],
)
def test_a_training_takes_its_minutes_and_its_schedule_ends_with_them(
    clock: Clock, pace: Callable[[float], float]
):
    clock.pace = pace
    state = trained()
    assert 0.97 * 600 < clock.now < 1.01 * 600
    assert state.seconds == clock.now
    last = state.history[-1]
    assert (last.step, last.progress) == (state.step, 1.0)
    assert last.learning_rate < 0.01 * CONFIG.learning_rate
    assert last.held_out_elbo is not None


def test_progress_is_that_of_the_clock_while_the_pace_is_steady(clock: Clock):
    shares = [m.progress for m in trained().history]
    # 600 s, of which timing took 6; 50 steps an epoch
    assert shares[:-1] == pytest.approx([50 * n / 594 for n in range(1, len(shares))], rel=0.01)


def test_progress_rises_with_each_step_up_to_the_last(clock: Clock):
    """The last steps are faster than planned."""
    clock.pace = lambda now: 0.2 if now < 59.5 else 0.01
    shares, config = list[float](), replace(CONFIG, minutes=1.0)

    def on_step(state: TrainState) -> None:
        assert state.plan is not None
        shares.append(state.plan.share_after(state.step))

    trained(config, on_step=on_step)
    assert len(shares) > 250
    assert all(before < after for before, after in pairwise([*shares, 1.0]))


def test_the_last_epoch_may_end_within_it(clock: Clock):
    state = trained(replace(CONFIG, minutes=1.2))  # 72 s, of which timing takes 6
    assert [(m.epoch, m.step) for m in state.history] == [(1, 50), (2, 66)]
    rest = torch.stack(clock.totals[-16:]).sum(0) / 160
    assert state.history[-1].bound == pytest.approx(rest[0].item())
    assert state.history[-1].kl == pytest.approx(rest[2].item())


def test_the_rows_of_a_last_epoch_that_ends_with_a_small_batch_count_once(clock: Clock):
    state = trained(replace(CONFIG, minutes=14 / 15), 495)  # 56 s, of which timing takes 6
    assert [(m.epoch, m.step) for m in state.history] == [(1, 50)]
    expected = torch.stack(clock.totals[-50:]).sum(0) / 495
    assert state.history[-1].bound == pytest.approx(expected[0].item())


def test_one_step_is_taken_however_short_the_time_is():
    state = trained(replace(CONFIG, minutes=1e-9))
    assert [(m.step, m.progress) for m in state.history] == [(1, 1.0)]


def test_the_epochs_asked_for_are_the_most(clock: Clock):
    state = trained(replace(CONFIG, epochs=3))
    assert [(m.epoch, m.step) for m in state.history] == [(1, 50), (2, 100), (3, 150)]
    assert [m.progress for m in state.history] == pytest.approx([1 / 3, 2 / 3, 1])
    assert state.history[-1].learning_rate < 0.01 * CONFIG.learning_rate


def test_time_is_kept_for_the_last_evaluation(clock: Clock):
    x = data_of(500).train
    held_out = Dataset(Identity("bits", "", "none", "standard", 2), x, None, x)
    train(new_model(), held_out, CONFIG)
    assert clock.now == pytest.approx(600 - 50 / 3, abs=1)


@pytest.mark.parametrize("end", [0, 1, 37, 299, 550])
def test_a_training_resumes_bit_for_bit_from_a_checkpoint(clock: Clock, end: int):
    clock.pace = busy_later
    whole, data = new_model(), data_of(500)
    expected = train(whole, data, CONFIG)
    clock.now = 0.0
    model, resumed = new_model(), new_model()
    first = train(model, data, CONFIG, stop=lambda: clock.now >= 6 + end)
    state = new_state(resumed, CONFIG)
    checkpoints.restore(checkpoints.capture(model, first), resumed, state)
    state.history = first.history
    clock.now += 1_000  # time between the parts does not count
    clock.pace = lambda now: busy_later(now - 1_000)
    state = train(resumed, data, CONFIG, state=state)
    assert (state.step, state.plan) == (expected.step, expected.plan)
    assert state.history == expected.history
    for mine, theirs in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("forged", [{"share": math.nan}, {"end": math.inf}])
def test_a_checkpoint_whose_plan_is_not_finite_is_refused(clock: Clock, forged: dict[str, float]):
    model = new_model()
    state = train(model, data_of(500), CONFIG, stop=lambda: clock.now > 30)
    assert state.plan is not None
    state.plan = replace(state.plan, **forged)
    with pytest.raises(ValueError, match="not finite"):
        checkpoints.restore(checkpoints.capture(model, state), model, new_state(model, CONFIG))


def test_steps_that_were_rolled_back_have_used_their_time(clock: Clock):
    data, faults = data_of(500), iter([True])

    def pace(now: float) -> float:
        if now > 150 and next(faults, False):
            with torch.no_grad():
                next(model.parameters()).fill_(torch.nan)
        return 1.0

    clock.pace, model = pace, new_model()
    with pytest.warns(UserWarning, match="rollback 1 of 5"):
        state = train(model, data, CONFIG)
    assert 0.97 * 600 < clock.now < 1.01 * 600
    assert state.step < 560  # of 594 without the rollback
    assert state.history[-1].progress == 1


def test_the_model_is_timed_by_a_copy(clock: Clock):
    model, data = new_model(), data_of(500)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    empty = new_state(model, CONFIG).plan
    assert empty is not None
    plan, seconds = time_budget.start_plan(empty, model, data, CONFIG, ObjectiveConfig())
    assert (seconds, plan.seconds, plan.pace, plan.end) == (6.0, 6.0, 1.0, 594)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(("minutes", "expected"), [(2.0, 1.2), (600.0, 5.0)])
def test_timing_takes_seconds_of_any_training(clock: Clock, minutes: float, expected: float):
    clock.pace, model, data = lambda now: 0.01, new_model(), data_of(500)
    config = replace(CONFIG, minutes=minutes)
    empty = new_state(model, config).plan
    assert empty is not None
    _, seconds = time_budget.start_plan(empty, model, data, config, ObjectiveConfig())
    assert seconds == pytest.approx(expected, abs=0.02)


def test_what_is_maximised_is_what_is_timed(clock: Clock, monkeypatch: pytest.MonkeyPatch):
    seen = list[ObjectiveConfig]()

    def watched(step: Step, *others: Any) -> TimedStep:
        seen.append(step.objective)
        return clock.timed(step)

    monkeypatch.setattr(trainer, "fastest_step", watched)
    objective = ObjectiveConfig(objective="iwae", k=5)
    train(new_model(), data_of(20), replace(CONFIG, minutes=1e-9), objective=objective)
    assert seen == [objective, objective]


def test_rises_that_did_not_end_are_told_at_the_end():
    config = replace(CONFIG, minutes=1.0, warmup=9.0, learning_rate_warmup=2.0, schedule="constant")
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        trained(config)
    said = [str(w.message) for w in found if "training ends at" in str(w.message)]
    assert [line.partition(",")[0] for line in said] == [
        "training ends at β = 0.12",
        "training ends at a learning rate of 0.0054",
    ]


@pytest.mark.parametrize("other", [{"minutes": 9.0}, {"minutes": None, "epochs": 40}])
def test_a_state_of_other_minutes_is_refused(other: dict[str, Any]):
    state = trained(replace(CONFIG, minutes=1.0))
    with pytest.raises(UsageError, match="another model"):
        trained(replace(CONFIG, **other), state=state)
