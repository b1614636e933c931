"""The steps of a training by time, planned anew from time to time by the seconds of a step."""

import json
from dataclasses import asdict, dataclass, replace

from elboroom.device import world

_WINDOW = 0.005  # the share of the time after which the rest is planned anew
_WINDOW_STEPS = 100  # the most steps until then
_NEWEST = 0.5  # the weight of the newest seconds a step in their average


@dataclass(frozen=True)
class TimePlan:
    """The plan of a training by time, as it was made after some step.

    The share of the training that has passed rises by as much with each step, and is 1 at the end.
    What follows it, such as the learning rate, so ends with the time on a machine whose speed
    varies, too. All numbers are part of the training state, as floats, also those of steps.

    Attributes:
        minutes: minutes of the whole training.
        step: number of steps after which the plan was made.
        seconds: seconds that had passed then.
        share: share of the training that had passed then.
        pace: seconds a step, averaged over the newest ones; 0 before a step was timed.
        end: number of steps after which the training ends.
        review: number of steps after which the rest is planned anew.
        first_end: the first `end`, which decisions at the start of each part follow.
    """

    minutes: float
    step: float = 0.0
    seconds: float = 0.0
    share: float = 0.0
    pace: float = 0.0
    end: float = 0.0
    review: float = 0.0
    first_end: float = 0.0

    def share_after(self, step: int) -> float:
        """Return the share of the training that has passed after some steps, in [0, 1]."""
        if step >= self.end:
            return 1.0
        # s(n) = s₀ + (1 − s₀) (n − n₀) / (N − n₀), also for steps n < n₀ that are rolled back
        passed = (step - self.step) / max(1, self.end - self.step)
        return max(0.0, self.share + (1 - self.share) * passed)

    def started(self, pace: float, seconds: float, *, kept: float, most: float) -> "TimePlan":
        """Return the plan before the first step.

        Args:
            pace: seconds a step, as timed.
            seconds: seconds that have passed.
            kept: steps whose time is kept for what follows the last one.
            most: the most steps of the training; it has one at least.
        """
        plan = replace(self, pace=pace, seconds=seconds).planned(kept, most)
        end, review = max(1.0, plan.end), max(1.0, plan.review)
        return replace(plan, end=end, review=review, first_end=end)

    def revised(self, step: int, seconds: float, *, kept: float, most: float) -> "TimePlan":
        """Return the plan after more steps, whose time has been measured.

        Args:
            step: number of steps.
            seconds: seconds that have passed after them.
            kept: as in `started`.
            most: as in `started`.
        """
        newest = (seconds - self.seconds) / (step - self.step)
        pace = (1 - _NEWEST) * self.pace + _NEWEST * newest
        share = self.share_after(step)
        return replace(self, step=step, seconds=seconds, share=share, pace=pace).planned(kept, most)

    def planned(self, kept: float, most: float) -> "TimePlan":
        """Return the plan with as many more steps as fit into the time that is left."""
        left = (60 * self.minutes - self.seconds) / self.pace - kept
        end = min(most, self.step + max(0, round(left)))
        window = round(min(_WINDOW_STEPS, max(1, _WINDOW * 60 * self.minutes / self.pace)))
        return replace(self, end=end, review=min(end, self.step + window))


def plan_of_first(plan: TimePlan) -> TimePlan:
    """Return the plan of the first of several processes, whose clock decides for all."""
    return TimePlan(**json.loads(world().bytes_of(json.dumps(asdict(plan)).encode())))
