"""Readers from which a check is taken out: the corpus must find each of them."""

import json
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from safetensors.torch import load

from elboroom import untrusted
from elboroom.config import typed_tables
from elboroom.data.formats import (
    idx,
    mat,
    npy,
    picture_archives,
    picture_files,
    pictures,
    pt,
    zip_files,
)
from elboroom.data.formats.npy import NpyHeader
from elboroom.runs import checkpoints, config_file, provenance, results
from elboroom.runs.checkpoints import checkpoint, manifest
from tests.hostile.case import bounded, fault
from tests.hostile.corpus import CORPUS


def nothing(*_: Any, **__: Any) -> None:
    """A check that is taken out."""


def of_numpy(file: Any, size: int) -> NpyHeader:
    """A header as numpy believes it."""
    np.lib.format.read_magic(file)
    return NpyHeader((), np.dtype("f8"))


def believing(content: bytes, *, finite: bool = True) -> Any:
    return json.loads(content)


# what is taken out of which module, and files that must then do harm
CONTROLS: dict[str, tuple[Any, str, Any, list[str]]] = {
    "headers": (npy, "read_header", of_numpy, ["npy promises terabytes", "npy holds a byte more"]),
    "members": (zip_files, "_require_few", nothing, ["npz a name twice"]),
    "methods of members": (zip_files, "require_plain", nothing, ["npz bzip2"]),
    "bombs": (
        untrusted,
        "_MAX_RATIO",
        10**9,
        ["npz a bomb", "npz a bomb of bombs at one place"],
    ),
    "directories": (zip_files, "_LARGEST_READ", 1 << 40, ["npz 30,000 members"]),
    "bombs of IDX": (idx, "require_dense", nothing, ["user idx a bomb"]),
    "bombs of MATLAB": (
        mat,
        "require_dense",
        nothing,
        ["mat a bomb", "mat a small file that claims much"],
    ),
    "bombs of tensors": (pt, "require_dense", nothing, ["pt gigabytes in many tensors"]),
    "pickles of tensors": (pt, "_LARGEST_PICKLE", 1 << 30, ["pt a pickle of a MiB"]),
    "pixels of pictures": (
        pictures,
        "_require_few_pixels",
        nothing,
        ["folder more pixels than are decoded"],
    ),
    "parts of pictures": (
        pictures,
        "_require_whole",
        nothing,
        ["png an animation whose first frame is empty", "png no data"],
    ),
    "checksums of pictures": (
        pictures.PngImagePlugin.PngImageFile,
        "verify",
        nothing,
        ["png a wrong checksum of its data", "png no end"],
    ),
    "bombs in folders": (pictures, "require_dense", nothing, ["folder a bomb"]),
    "names": (
        picture_files,
        "_require_plain",
        nothing,
        [
            "folder a link to a picture",
            "folder a class that is a link",
        ],
    ),
    "line breaks": (picture_files, "require_name", nothing, ["folder a name that says why"]),
    "names in archives": (
        picture_archives,
        "_require_inside",
        nothing,
        ["zip a name that leads up", "tar a name from the root"],
    ),
    "bombs in archives": (
        picture_archives,
        "require_dense",
        nothing,
        ["tar packed, of 64 MiB of nothing"],
    ),
    "options": (typed_tables, "require_type", nothing, ["config latents that are text"]),
    "evaluations": (
        results,
        "parse_json",
        believing,
        ["evaluation NaN", "evaluation nested deeply"],
    ),
    "provenance": (
        provenance,
        "parse_json",
        believing,
        ["results a file twice", "results nested deeply"],
    ),
    "manifests": (manifest, "parse_json", believing, ["manifest a name twice"]),
    "networks": (checkpoints, "require_room", nothing, ["config a width of 10^9"]),
    "tensors": (
        checkpoint,
        "read_tensors",
        lambda content, like: load(content),
        ["moments no totals"],
    ),
    "links": (
        config_file,
        "require_no_links",
        nothing,
        ["link checkpoints", "planted report.html"],
    ),
}

# the same for formats whose libraries are extras
OF_EXTRAS: dict[str, tuple[str, str, str, list[str]]] = {
    "bombs of HDF5": ("h5py", "hdf5", "require_dense", ["hdf5 a gigabyte of nothing"]),
    "links of HDF5": (
        "h5py",
        "hdf5",
        "_foreign",
        ["hdf5 values of another file"],
    ),
    "bombs of tables": (
        "pyarrow",
        "table_sizes",
        "require_dense",
        ["table a page of 2 GB", "table feather of 4 EB"],
    ),
}
CONTROLS |= {
    name: (import_module(f"elboroom.data.formats.{module}"), check, nothing, harmful)
    for name, (library, module, check, harmful) in OF_EXTRAS.items()
    if find_spec(library) is not None
}


def found_out(name: str, place: Path) -> dict[str, bool]:
    """Whether each file that must do harm to a reader without its check does."""
    module, check, instead, harmful = CONTROLS[name]
    cases, found = {case.name: case for case in CORPUS}, {}
    with patch.object(module, check, instead):
        for harm in harmful:
            (place / harm).mkdir()
            found[harm] = fault(cases[harm], place / harm, bounded) is not None
    return found
