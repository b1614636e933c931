"""Options of the data."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from elboroom.config.checks import require, require_choices
from elboroom.config.kinds import BINARISATIONS, FORMATS, SPLITS, BinarisationName, Split, listed
from elboroom.config.typed_tables import require_types

MNIST = "mnist"
"""The name of the embedded data."""


@dataclass(frozen=True)
class DataConfig:
    """The images, how they are binarised and split, and how they are held in memory."""

    source: Annotated[
        str, arg(name="data", help=listed("mnist, which is embedded, or a path.", FORMATS))
    ] = MNIST
    binarisation: Annotated[
        BinarisationName, arg(help=listed("How pixels become 0 or 1.", BINARISATIONS))
    ] = "auto"
    split: Annotated[Split, arg(help=listed("Parts for training and testing.", SPLITS))] = "auto"
    validation: int | Literal["auto"] = 0
    """Rows of the training part to watch training by instead: drawn as --split says, or the last
    rows of mnist. auto takes a tenth, unless the data bring a validation part."""
    group_by: str | None = None
    """Array of the .npz, or path of a .npy, with one value for each training row, such as the
    subject. Rows of one value stay together when a part is drawn."""
    unused: tuple[str, ...] = ()
    """Arrays of the file that are left out; any other that has no known name is an error."""
    memory: float = 2.0
    """Budget for the images in GiB; reading needs twice their size at its peak. A larger .npy stays
    on disk and is read in batches, with the same result. A larger .npz or folder is refused."""

    def __post_init__(self) -> None:
        require_types(self)
        require_choices(self, binarisation=BinarisationName, split=Split)
        some = self.validation == "auto" or self.validation >= 0
        require(some, "validation", self.validation, "auto, or 0 or more")
        require(self.memory >= 0, "memory", self.memory, "0 or more")

    def resolved(self) -> "DataConfig":
        """Return the same data, with "auto" replaced by the names that it stands for."""
        is_mnist = self.source == MNIST
        binarisation, split = ("threshold", "standard") if is_mnist else ("none", "stratified")
        return replace(
            self,
            binarisation=binarisation if self.binarisation == "auto" else self.binarisation,
            split=split if self.split == "auto" else self.split,
        )

    @property
    def path(self) -> Path:
        """The file or the folder of data that are not embedded; `~` is expanded."""
        return Path(self.source).expanduser()

    def with_absolute_path(self) -> "DataConfig":
        """Return the same data, named so that it is found from any working directory."""
        if self.source == MNIST:
            return self
        group_by = self.group_by
        if group_by is not None and group_by.endswith(".npy"):
            group_by = str(Path(group_by).expanduser().resolve())
        return replace(self, source=str(self.path.resolve()), group_by=group_by)
