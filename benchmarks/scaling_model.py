"""A model of the pace of several processes: the time of a step, and that of its reduction."""

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Link:
    """The connections between processes.

    Attributes:
        latency: seconds of a message, however small.
        bandwidth: bytes that a process sends in a second.
        hops: the number of messages one after the other for R processes: "ring", 2 (R − 1), or
            "tree", 2 log₂ R.
    """

    latency: float
    bandwidth: float
    hops: str = "ring"

    @classmethod
    def measured(cls, processes: int, small: float, size: int, whole: float) -> "Link":
        """Return the link by which a small reduction and one of `size` bytes took these seconds."""
        sent = 2 * (processes - 1) / processes * size
        return cls(small / (2 * (processes - 1)), sent / max(whole - small, 1e-9))

    def seconds(self, size: float, processes: int) -> float:
        """Return the time of a reduction: NVIDIA, *Performance reported by NCCL tests*, AllReduce.

        To that time the messages that wait for each other are added.
        """
        if processes == 1:
            return 0.0
        steps = 2 * (processes - 1) if self.hops == "ring" else 2 * math.log2(processes)
        # 2 (R − 1) / R of the bytes leave each process
        return steps * self.latency + 2 * (processes - 1) / processes * size / self.bandwidth


@dataclass(frozen=True)
class Pace:
    """The steps of one process.

    Attributes:
        fixed: seconds of a step that do not depend on its rows: launches, optimiser.
        of_row: seconds that each row adds.
        gradient: bytes of the gradient.
    """

    fixed: float
    of_row: float
    gradient: int

    @classmethod
    def measured(cls, times: Mapping[int, float], gradient: int) -> "Pace":
        """Return the pace by the seconds of steps of two sizes."""
        few, many = sorted(times)
        of_row = (times[many] - times[few]) / (many - few)
        return cls(max(0.0, times[few] - few * of_row), of_row, gradient)

    def seconds(self, batch: int, processes: int, link: Link) -> float:
        """Return the time of a step whose batch some processes share."""
        # T(R) = t₀ + ⌈B / R⌉ t₁ + r(R)
        rows = math.ceil(batch / processes)
        return self.fixed + rows * self.of_row + link.seconds(self.gradient, processes)

    def efficiency(self, batch: int, processes: int, link: Link) -> float:
        """Return T(1) / (R T(R)), the share of the processes that is not wasted."""
        one = self.seconds(batch, 1, link)
        return one / (processes * self.seconds(batch, processes, link))
