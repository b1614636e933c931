"""Options of the data."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from elboroom.config.checks import require, require_choices
from elboroom.config.kinds import (
    BINARISATIONS,
    BROKEN,
    COLOURS,
    CROPS,
    FORMATS,
    SPLITS,
    BinarisationName,
    Broken,
    Colour,
    Crop,
    Split,
    listed,
)
from elboroom.config.options_table import Options
from elboroom.config.typed_tables import require_types

MNIST = "mnist"
"""The name of the embedded data."""
_SIZE = r"([1-9][0-9]{0,4})(?:x([1-9][0-9]{0,4}))?"  # at most 99,999, of one digit at least
_OF_PICTURES = ("size", "crop", "colour", "background", "broken")

SizeOption = Annotated[
    str | None,
    arg(
        help="Width and height of pictures, N or WxH. None keeps them, and needs pictures of one "
        "size."
    ),
]
CropOption = Annotated[
    Crop, arg(help=listed("The way to --size from another ratio of width and height.", CROPS))
]
ColourOption = Annotated[Colour, arg(help=listed("Channels of pictures.", COLOURS))]
BackgroundOption = Annotated[
    str,
    arg(
        help="Colour behind pixels of pictures that are not opaque, and beside pictures that "
        "--crop pad fits in: a name, or #rrggbb."
    ),
]
BrokenOption = Annotated[Broken, arg(help=listed("Pictures that cannot be read.", BROKEN))]


@dataclass(frozen=True)
class DataConfig(Options):
    """The images, how they are binarised and split, and how they are held in memory.

    Example:
        >>> from elboroom import DataConfig
        >>> config = DataConfig(source="faces.npz", validation=500)  # for `load_data`
        >>> config.split, config.resolved().split, DataConfig().resolved().split
        ('auto', 'stratified', 'standard')
    """

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
    withhold: float = 0.0
    """Share of the known entries of a table that is withheld from training, in place of rows: half
    of them watch it, and half test it. Every row is in each part."""
    group_by: str | None = None
    """Array or column of the file, or path of a .npy, with one value for each training row, such as
    the subject. Rows of one value stay together when a part is drawn."""
    unused: tuple[str, ...] = ()
    """Arrays or columns of the file that are left out; any other without a use is an error."""
    columns: str | None = None
    """Types of the columns of a table: the path of a TOML file of lines such as age.type = "count",
    or auto, by which they are found. CSV, TSV and Excel are always read so; Parquet and Arrow if
    this is given."""
    size: SizeOption = None
    crop: CropOption = "centre"
    colour: ColourOption = "auto"
    background: BackgroundOption = "white"
    broken: BrokenOption = "stop"
    memory: float = 2.0
    """Budget for the images in GiB; reading needs twice their size at its peak. A larger .npy,
    and a larger folder of them, stays on disk and is read in batches, with the same result. A
    larger .npz, folder of pictures or archive is refused."""

    def __post_init__(self) -> None:
        require_types(self)
        require_choices(self, binarisation=BinarisationName, split=Split)
        require_choices(self, crop=Crop, colour=Colour, broken=Broken)
        some = self.validation == "auto" or self.validation >= 0
        require(some, "validation", self.validation, "auto, or 0 or more")
        require(0 <= self.withhold < 1, "withhold", self.withhold, "in [0, 1)")
        require(self.memory >= 0, "memory", self.memory, "0 or more")
        is_size = self.size is None or re.fullmatch(_SIZE, self.size)
        require(bool(is_size), "size", self.size, "N or WxH in pixels, such as 64 or 64x48")
        is_used = self.size is not None or self.crop == "centre"
        require(is_used, "crop", self.crop, "centre without --size, since nothing is then cut")
        is_colour = re.fullmatch(r"#[0-9a-fA-F]{6}|[a-z]+", self.background)
        require(bool(is_colour), "background", self.background, "a name such as white, or #rrggbb")

    @property
    def picture_size(self) -> tuple[int, int] | None:
        """Width and height that pictures are brought to; None if they keep theirs."""
        found = None if self.size is None else re.fullmatch(_SIZE, self.size)
        return None if found is None else (int(found[1]), int(found[2] or found[1]))

    @property
    def picture_options(self) -> list[str]:
        """Options that prepare pictures, as a command line names them, if they are not default."""
        default = DataConfig()
        asked = [n for n in _OF_PICTURES if getattr(self, n) != getattr(default, n)]
        return [f"--{name} {getattr(self, name)}" for name in asked]

    def without_picture_options(self) -> "DataConfig":
        """Return the same options, with those that prepare pictures as by default."""
        default = DataConfig()
        return replace(self, **{name: getattr(default, name) for name in _OF_PICTURES})

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
        columns = self.columns
        if columns not in (None, "auto"):
            columns = str(Path(columns).expanduser().resolve())
        paths = {"group_by": group_by, "columns": columns}
        return replace(self, source=str(self.path.resolve()), **paths)
