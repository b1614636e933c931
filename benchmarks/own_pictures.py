"""Own pictures: the default recipe beside closed forms and the preset of arrays.

All numbers of a data set are bits per dimension of the same held-out pictures:

- Photographs: 32 × 32 colour cuttings of scikit-learn's two, as bytes.
- Digits: scikit-learn's, of 17 levels. A picture file has 256, so that level k is written as one of
  the 15 bytes from 15 k on, drawn at random. A model of bytes therefore pays log₂ 15 bits for noise
  that it cannot know; they are subtracted, which bounds its bits of the levels from above. The
  marginals are of the levels themselves, and PPCA is of the levels with uniform noise.
"""

import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import peers
from benchmarks.closed_forms import Array, Pictures, marginal_bits, ppca_bits
from benchmarks.results import Row
from elboroom import Run, evaluate

_SIDE = 32
_MINUTES, _QUICK_MINUTES = 3.0, 0.2
_K, _QUICK_K = 300, 10
_PARTS = {"test": 0.2, "val": 0.1}  # shares of all pictures; the others are for training
_RECIPES: dict[str, tuple[str, ...]] = {
    "the default recipe": (),
    "the preset own, an MLP": ("--preset", "own"),
}
_ERRORS = 2.0  # standard errors that a difference must be above zero


@dataclass(frozen=True)
class _Set:
    """A data set.

    Attributes:
        name: what its pictures are.
        rows: (N, H, W) or (N, H, W, 3), of bytes.
        bytes_each: number of bytes that stand for one level.
    """

    name: str
    rows: Array
    bytes_each: int = 1

    @property
    def free_bits(self) -> float:
        """Bits per dimension of the choice among the bytes of a level."""
        return math.log2(self.bytes_each)

    def parts(self) -> dict[str, Array]:
        """Draw `train`, `val` and `test`."""
        order = np.random.default_rng(0).permutation(len(self.rows))
        ends = np.cumsum([round(share * len(order)) for share in _PARTS.values()])
        names, found = [*_PARTS, "train"], np.split(order, ends)
        return {name: self.rows[np.sort(some)] for name, some in zip(names, found, strict=True)}

    def levels(self) -> Pictures:
        """Return the levels of all parts."""
        flat = {name: rows.reshape(len(rows), -1) for name, rows in self.parts().items()}
        of_levels = {name: rows // self.bytes_each for name, rows in flat.items()}
        count = 256 // self.bytes_each
        return Pictures(of_levels["train"], of_levels["val"], of_levels["test"], count)

    def write(self, folder: Path) -> None:
        """Write the pictures as folders of PNG files, one for each part."""
        for part, rows in self.parts().items():
            (folder / part).mkdir(parents=True)
            for number, row in enumerate(rows):
                Image.fromarray(row).save(folder / part / f"{number:04}.png")


def rows(quick: bool) -> Iterator[Row]:
    """Train on both data sets, and compare."""
    with tempfile.TemporaryDirectory() as made:
        for data in _sets(Path(made)):
            yield from _rows(data, Path(made) / data.name, quick)


def _sets(folder: Path) -> list[_Set]:
    file = folder / "pictures.npz"
    peers.run("sklearn_pictures.py", file)
    found: dict[str, Array] = dict(np.load(file))
    digits, noise = found["digits"], np.random.default_rng(0)
    spread = 15 * digits + noise.integers(0, 15, digits.shape, dtype=np.uint8)
    return [_Set("digits of scikit-learn", spread, 15), _cuttings(found["photographs"])]


def _cuttings(photographs: Array) -> _Set:
    """Cut photographs (N, H, W, 3) into squares; what is over at two sides is left out."""
    _, height, width, _ = photographs.shape
    places = [(i, j) for i in range(0, height - _SIDE + 1, _SIDE) for j in range(0, width, _SIDE)]
    cut = [photographs[:, i : i + _SIDE, j : j + _SIDE] for i, j in places]
    return _Set(f"photographs cut to {_SIDE}²", np.concatenate(cut))


def _rows(data: _Set, folder: Path, quick: bool) -> Iterator[Row]:
    data.write(folder / "pictures")
    bits = {
        "marginals of pixels": marginal_bits(data.levels()),
        "PPCA": ppca_bits(data.levels()),
    }
    for number, (name, options) in enumerate(_RECIPES.items()):
        bits[name] = _trained(folder, folder / f"run-{number}", options, quick) - data.free_bits
    for name, found in bits.items():
        yield Row(f"{data.name}: {name}", [float(found.mean())], "bits per dimension")
    ours = next(iter(_RECIPES))
    for name in bits:
        if name != ours:
            yield _saved(f"{data.name}: {ours} under {name}", bits[name] - bits[ours])


def _saved(what: str, difference: Array) -> Row:
    """Return the mean difference on the same pictures, less its standard errors."""
    error = difference.std(ddof=1) / math.sqrt(len(difference))
    least = float(difference.mean() - _ERRORS * error)
    what = f"{what}, less {_ERRORS:g} standard errors"
    return Row(what, [least], "bits per dimension", 0.0, at_least=True)


def _trained(folder: Path, out: Path, options: tuple[str, ...], quick: bool) -> Array:
    """Train in minutes, and compute bits per dimension of each test picture, (N,)."""
    minutes = str(_QUICK_MINUTES if quick else _MINUTES)
    command: list[Any] = ["train", "--data", folder / "pictures", "--out", out, *options]
    command += ["--minutes", minutes, "--quiet"]
    subprocess.run([sys.executable, "-m", "elboroom", *map(str, command)], check=True)
    run = Run(out)
    found = evaluate(run.load_model(), run.load_data(), k=_QUICK_K if quick else _K, seed=0)
    return found.per_image["bits"].numpy()
