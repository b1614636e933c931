"""The trackers that have a name, each in a folder of its own in the run folder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from elboroom.config import TrackerName
from elboroom.errors import UsageError, missing_library, named
from elboroom.runs.tracking.mlflow import MLflow
from elboroom.runs.tracking.tensorboard import TensorBoard
from elboroom.runs.tracking.tracker import Tracker
from elboroom.runs.tracking.wandb import WeightsAndBiases


@dataclass(frozen=True)
class _Kind:
    """A tracker with a name.

    Attributes:
        make: makes it for a run folder.
        libraries: what it imports when it starts.
    """

    make: Callable[[Path], Tracker]
    libraries: tuple[str, ...]


_KINDS: dict[TrackerName, _Kind] = {
    "tensorboard": _Kind(TensorBoard, ("tensorboardX",)),
    "wandb": _Kind(WeightsAndBiases, ("wandb",)),
    "mlflow": _Kind(MLflow, ("mlflow", "sqlalchemy", "alembic")),
}


def require_trackers(track: Sequence[TrackerName | Tracker]) -> None:
    """Check that each is a tracker, or the name of one whose libraries are installed.

    Raises:
        UsageError: if one is not.
    """
    if isinstance(track, str) or not isinstance(track, Sequence):
        raise _no_tracker(track, "a sequence of trackers", 'give a list: track=["tensorboard"]')
    for each in track:
        if isinstance(each, str) and each in _KINDS:
            _require_libraries(each)
        elif isinstance(each, str) or not isinstance(each, Tracker):
            names = ", ".join(_KINDS)
            fix = "give a name, or an object that has start, log, figure and finish"
            raise _no_tracker(each, f"one of {names}, or a tracker of your own", fix)


def _no_tracker(found: object, expected: str, fix: str) -> UsageError:
    shown = repr(found) if isinstance(found, str) else named(found)
    why = f"found {shown}; expected {expected}"
    return UsageError("this track cannot be used", why=why, fix=fix)


def _require_libraries(name: TrackerName) -> None:
    for library in _KINDS[name].libraries:
        if find_spec(library) is None:
            raise missing_library(f"--track {name} cannot be used", library, name)


def trackers_of(run: Path, track: Sequence[TrackerName | Tracker]) -> list[Tracker]:
    """Return the trackers of a run, whose folder is given; a name that is repeated counts once.

    Raises:
        UsageError: as in `require_trackers`.
    """
    require_trackers(track)
    found = list[Tracker]()
    for place, each in enumerate(track):
        if not isinstance(each, str):
            found.append(each)
        elif each not in track[:place]:
            found.append(_KINDS[each].make(run))
    return found
