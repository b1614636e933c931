"""The settings of Sphinx, by which `make docs` builds the site."""

import re
from typing import Any

from sphinx.application import Sphinx

import elboroom

project = "elboroom"
author = "The elboroom developers"
project_copyright = author
release = elboroom.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
templates_path = ["_templates"]
exclude_patterns = ["_templates"]
default_role = "code"  # single backquotes are code in docstrings

myst_heading_anchors = 6
myst_heading_slug_func = "github"
myst_enable_extensions = ["colon_fence"]

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"elboroom {release}"
html_theme_options = {"navigation_with_keys": True}
html_show_search_summary = False  # reading pages for excerpts fails where they are files
html_copy_source = False

copybutton_prompt_text = r">>> |\.\.\. "  # copied are the lines after a prompt, without it
copybutton_prompt_is_regexp = True

# `make docs-links`: a page that answers late or too often is asked again, one that refuses is not
# broken, and the anchors of GitHub are made in the browser.
linkcheck_retries = 3
linkcheck_timeout = 20
linkcheck_rate_limit_timeout = 60.0
linkcheck_report_timeouts_as_broken = False
linkcheck_allow_unauthorized = True
linkcheck_anchors_ignore_for_url = [r"https://github\.com/.*"]
linkcheck_allowed_redirects = {r"https://doi\.org/.*": r"https://.*"}

_CODE = re.compile(r"(`+[^`]*`+)")
_MARKUP = re.compile(r"(?<!\\)([*|]|_(?=\W|$))")


def _as_plain_text(*given: Any) -> None:
    """Let `*`, `|` and a last `_` outside of code stand for themselves in a docstring."""
    lines: list[str] = given[-1]
    in_example = False
    for number, line in enumerate(lines):
        in_example = bool(line.strip()) and (in_example or line.lstrip().startswith(">>> "))
        if in_example:
            continue
        parts = _CODE.split(line)
        parts[::2] = [_MARKUP.sub(r"\\\1", part) for part in parts[::2]]
        lines[number] = "".join(parts)


def _introduce_example(*given: Any) -> None:
    """Link an example to the lines that it goes on from."""
    lines: list[str] = given[-1]
    if "Example:" in lines:
        place = lines.index("Example:") + 1
        lines[place:place] = ["    After the :ref:`lines that all examples share <examples>`:", ""]


def setup(app: Sphinx) -> None:
    """Connect what is above, before docstrings are parsed."""
    app.connect("autodoc-process-docstring", _as_plain_text, priority=400)
    app.connect("autodoc-process-docstring", _introduce_example, priority=400)
