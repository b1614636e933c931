"""Self-contained HTML pages: their templates, and pictures inside them."""

import base64
from pathlib import Path

import jinja2


def templates(folder: Path) -> jinja2.Environment:
    """Return the templates of a folder, in which text is escaped and unknown names are errors."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def png_url(content: bytes) -> str:
    """Return the URL that holds a PNG itself."""
    return "data:image/png;base64," + base64.b64encode(content).decode()
