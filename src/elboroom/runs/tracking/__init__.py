"""Trackers: curves, figures and options of a training in the tools that compare runs.

A tracker is told of each epoch that metrics.jsonl has; the run folder does without one.
"""

from elboroom.runs.tracking.tracker import Status, Tracker, Value

__all__ = ["Status", "Tracker", "Value"]
