"""The page of the reference: its sections, and the lines that its examples go on from."""

import re
from textwrap import dedent

from tests.support.repository import ROOT

REFERENCE = (ROOT / "docs" / "api" / "index.rst").read_text()
SECTIONS = re.findall(
    r"^\.\. currentmodule:: (\S+)$(.*?)(?=^\.\. currentmodule|\Z)", REFERENCE, re.M | re.S
)
"""The module of each section, and its text."""
START = dedent("".join(re.findall(r"^\.\. code-block:: python\n(.*?)^\S", REFERENCE, re.M | re.S)))
"""The code that the page shows before its lists."""


def listed(section: str) -> set[str]:
    """The names of a section of the reference."""
    return set(re.findall(r"^   (\w+)$", section, re.MULTILINE))
