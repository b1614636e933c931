"""Options of the data."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from elboroom.config.checks import require, require_choices

BinarisationName = Literal["threshold", "dynamic", "static", "none"]
Split = Literal["standard", "reference"]


@dataclass(frozen=True)
class DataConfig:
    """Which images, made binary how, split how: the identity of the data; and how they are held."""

    source: Annotated[str, tyro.conf.arg(name="data")] = "mnist"
    """`mnist` (embedded), or the path of a .npy or .npz array of images, or of a folder of PNG
    pictures, which may be in folders of classes, and these in folders train and test."""
    binarisation: BinarisationName = "threshold"
    """threshold: x > 0.5. dynamic: a fresh Bernoulli draw at every visit in training, the test set
    drawn once from a fixed seed. static: everything drawn once from a fixed seed. none: as is."""
    split: Split = "standard"
    """standard: the data's own train and test parts (a tenth held out where it has no test part).
    reference: the first 10,000 rows of train, tested on the next 10,000."""
    validation: int = 0
    """Images taken from the end of the training part to watch training by; 0 takes none."""
    memory: float = 2.0
    """GiB that the images may take; while they are read that is twice their size. A larger .npy
    stays on disk and is read a batch at a time, for the same result; a larger .npz or folder is
    refused."""

    def __post_init__(self) -> None:
        require_choices(self, binarisation=BinarisationName, split=Split)
        require(self.validation >= 0, "validation", self.validation, "0 or more")
        require(self.memory >= 0, "memory", self.memory, "0 or more")

    def with_absolute_path(self) -> "DataConfig":
        """The same data, named so that it is found from any working directory."""
        is_file = self.source != "mnist"
        return replace(self, source=str(Path(self.source).resolve())) if is_file else self
