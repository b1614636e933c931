"""Markdown that is filled in: its template, and text in it that others wrote."""

import json
import re
from pathlib import Path

import jinja2

from elboroom.errors import escaped


def templates() -> jinja2.Environment:
    """Return the template, in which unknown names are errors; it is Markdown and not HTML."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=False,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"yaml": _yaml, "markdown": markdown, "code": code}
    return environment


def _yaml(value: str) -> str:
    """Return text as a quoted scalar of YAML, of which JSON is a part."""
    return json.dumps(escaped(value), ensure_ascii=False)


def markdown(text: str) -> str:
    """Return text in a line of Markdown that shows it as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#!|~])", r"\\\1", _one_line(text))


def code(text: str) -> str:
    """Return text in a line of Markdown as code."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence, space = "`" * (longest + 1), " " * bool(longest)
    return f"{fence}{space}{_one_line(text)}{space}{fence}"


def _one_line(text: str) -> str:
    return escaped(text).replace("\n", "\\n").replace("\t", "\\t")
