"""Options of the data."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from elboroom.config.checks import require, require_choices
from elboroom.config.kinds import BINARISATIONS, FORMATS, SPLITS, BinarisationName, Split, listed


@dataclass(frozen=True)
class DataConfig:
    """The images, how they are binarised and split, and how they are held in memory."""

    source: Annotated[
        str, arg(name="data", help=listed("mnist, which is embedded, or a path.", FORMATS))
    ] = "mnist"
    binarisation: Annotated[
        BinarisationName, arg(help=listed("How pixels become 0 or 1.", BINARISATIONS))
    ] = "threshold"
    split: Annotated[Split, arg(help=listed("Parts for training and testing.", SPLITS))] = (
        "standard"
    )
    validation: int = 0
    """Images taken from the end of the training part as a validation part."""
    unused: tuple[str, ...] = ()
    """Arrays of the file that are left out; any other that has no known name is an error."""
    memory: float = 2.0
    """Budget for the images in GiB; reading needs twice their size at its peak. A larger .npy stays
    on disk and is read in batches, with the same result. A larger .npz or folder is refused."""

    def __post_init__(self) -> None:
        require_choices(self, binarisation=BinarisationName, split=Split)
        require(self.validation >= 0, "validation", self.validation, "0 or more")
        require(self.memory >= 0, "memory", self.memory, "0 or more")

    @property
    def path(self) -> Path:
        """The file or the folder of data that are not embedded; `~` is expanded."""
        return Path(self.source).expanduser()

    def with_absolute_path(self) -> "DataConfig":
        """Return the same data, named so that it is found from any working directory."""
        is_file = self.source != "mnist"
        return replace(self, source=str(self.path.resolve())) if is_file else self
