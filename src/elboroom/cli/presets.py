"""The preset of a run that names none, which follows from its data."""

from elboroom.config import DataConfig
from elboroom.config.data import MNIST


def default_preset(data: DataConfig) -> tuple[str, str]:
    """Return the preset that data take, and the reason in words.

    Data that cannot be read take one too: reading them raises the error.
    """
    if data.source == MNIST:
        return "reference", "the default for mnist"
    from elboroom.data.formats.registry import holds_pictures  # loads PyTorch

    name = data.path.resolve().name
    if holds_pictures(data):
        return "pictures", f"because {name} holds pictures"
    return "own", f"because {name} holds arrays or tables of numbers"
