"""The option of the trackers of a training."""

from typing import Annotated

from tyro.conf import arg

from elboroom.config.kinds import TRACKERS, TrackerName, listed

TrackOption = Annotated[
    tuple[TrackerName, ...],
    arg(
        help=listed(
            "Also log each epoch, the options, and at the end figures, in the run folder. Give it "
            "again with --resume. Each needs the extra of its name.",
            TRACKERS,
        )
    ),
]
