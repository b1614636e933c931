"""The embedded MNIST: 60,000 + 10,000 grey digits with labels, checked when they are loaded."""

from pathlib import Path

from elboroom.data.formats.idx import read_idx
from elboroom.data.source import Source, SourcePart

_FOLDER = Path(__file__).parent / "mnist"
_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def read_mnist() -> Source:
    """Read MNIST (LeCun et al., 1998) as uint8: (60000, 1, 28, 28) and (10000, 1, 28, 28)."""
    arrays = [read_idx(_FOLDER / f"{name}.gz", sha256) for name, sha256 in _SHA256.items()]
    images, labels, test_images, test_labels = arrays
    return Source(
        name="mnist",
        train=SourcePart(images[:, None], labels.astype("int64"), origin="train-images"),
        test=SourcePart(test_images[:, None], test_labels.astype("int64"), origin="t10k-images"),
        classes=tuple(map(str, range(10))),
        white=255.0,
    )
