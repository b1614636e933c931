"""TensorBoard: an event file in the run folder."""

import math
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elboroom.runs.atomic import make_folder
from elboroom.runs.tracking.png import png
from elboroom.runs.tracking.tracker import Status, Value

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SUFFIX = ".elboroom"
_SECONDS = 1.0  # between two syncs to the disk, which may take longer than an epoch
_COMPARED = ("elbo", "held_out_elbo")  # the columns of the HParams page


class TensorBoard:
    """The event file RUN/tensorboard, for `tensorboard --logdir RUN/tensorboard`.

    A resumed training writes it anew, with all epochs, so that no epoch is in it twice, and none is
    lost.

    Args:
        run: the run folder.
    """

    def __init__(self, run: Path) -> None:
        self._folder = run.resolve() / "tensorboard"
        self._file: Any = None
        self._synced = -math.inf

    def start(self, config: Mapping[str, Value], name: str) -> int:
        """Write the options to a new event file, and ask for all epochs."""
        summary = import_module("tensorboardX.summary")
        self._open()
        *begin, _ = summary.hparams(dict(config), dict.fromkeys(_COMPARED))
        rows = [f"| {option} | {value} |" for option, value in config.items()]
        table = summary.text(f"config of {name}", "\n".join(["| option | value |", "|-|-|", *rows]))
        for each in (*begin, table):
            self._write(each, 0)
        return 0

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Write a point of each curve."""
        summary = import_module("tensorboardX.proto.summary_pb2").Summary
        points = [summary.Value(tag=name, simple_value=y) for name, y in metrics.items()]
        self._write(summary(value=points), step)

    def figure(self, name: str, figure: "Figure", step: int) -> None:
        """Write a figure as PNG."""
        from PIL import Image  # loaded with matplotlib, and not before training

        summary, buffer = import_module("tensorboardX.proto.summary_pb2").Summary, png(figure)
        width, height = Image.open(buffer).size
        image = summary.Image(width=width, height=height, encoded_image_string=buffer.getvalue())
        self._write(summary(value=[summary.Value(tag=name, image=image)]), step)

    def finish(self, status: Status) -> None:
        """Close the file."""
        self._file.close()

    def _open(self) -> None:
        """Open a new file, and delete those that it replaces."""
        # SummaryWriter would write in a thread, whose queue blocks for good once a disk is full.
        writer = import_module("tensorboardX.event_file_writer").EventsWriter
        make_folder(self._folder)
        before = list(self._folder.glob(f"events.out.tfevents.*{_SUFFIX}"))
        for path in before:
            path.unlink()
        self._file = writer(str(self._folder / "events"), _SUFFIX)
        if before:
            self._forget()

    def _forget(self) -> None:
        """Let a TensorBoard that is open forget what it has read."""
        event = import_module("tensorboardX.proto.event_pb2")
        begins = event.SessionLog(status=event.SessionLog.START)
        self._file.write_event(event.Event(wall_time=time.time(), step=0, session_log=begins))

    def _write(self, summary: Any, step: int) -> None:
        event = import_module("tensorboardX.proto.event_pb2").Event
        self._file.write_event(event(wall_time=time.time(), step=step, summary=summary))
        if time.monotonic() - self._synced > _SECONDS:
            self._file.flush()
            self._synced = time.monotonic()
