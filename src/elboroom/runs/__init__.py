"""The run folder: everything about a run, in files that people and programs can read."""

from elboroom.runs.run import RUNS, Run

__all__ = ["RUNS", "Run"]
