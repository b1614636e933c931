"""The files of the page, as the package holds them."""

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

PAGE = files("elboroom.explorer") / "page"
KINDS = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
"""The media type of each kind of file, by the ending of its name."""


def page_files() -> dict[str, bytes]:
    """Read all files of the page by their paths in its folder, such as "views/map_view.js"."""
    return {name: file.read_bytes() for name, file in _below(PAGE, "")}


def _below(folder: Traversable, path: str) -> Iterator[tuple[str, Traversable]]:
    for one in folder.iterdir():
        if one.is_dir():
            yield from _below(one, f"{path}{one.name}/")
        elif one.name.rpartition(".")[2] in KINDS:
            yield path + one.name, one
