"""The pages whose outputs and figures are made by their own lines: the tutorials and the gallery.

`python -m tests.support.written_pages [PAGE …]` runs the Python blocks and the commands of pages in
an empty folder. It writes what each prints below it, and the figures that the page shows. Views of
the explorer are photographed at the addresses that stand in the page.
"""

import os
import re
import subprocess
import sys
from contextlib import chdir, redirect_stdout
from io import BytesIO, StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from PIL import Image
from playwright.sync_api import sync_playwright

from elboroom import Run
from elboroom.explorer import ExploredRun
from elboroom.figures.plots.style import STYLE
from tests.support.chromium import launched
from tests.support.repository import ROOT
from tests.support.served import served
from tests.support.visitor import Visitor

DOCS = ROOT / "docs"
WRITTEN = [*sorted((DOCS / "tutorials").glob("*.md")), DOCS / "gallery.md"]
PARTS = re.compile(
    r"(?P<lines>^```python\n(?P<python>.*?)^```\n|(?P<commands>(?:^ {4}\S[^\n]*\n)+))"
    r"(?:\n```text\n(?P<printed>.*?)^```\n)?",
    re.DOTALL | re.MULTILINE,
)
"""Lines to run, and what is printed by them."""
_FILE = re.compile(r"# (\w+\.py)\n")
_PICTURE = re.compile(r"!\[[^\]]*\]\(([^)]+\.png)\)")
_VIEW = re.compile(r"`http://[\d.:]+/#/(\w+)/([^`]+)`[^!`]*!\[[^\]]*\]\(([^)]+\.png)\)")
_OF_TORCHRUN = "torch/distributed/run.py"  # its warning on threads
_MOST, _FIRST, _LAST = 16, 10, 4  # lines of a command that are shown
_COLUMNS = "100"  # of a command's tables
_DOTS, _COLOURS = 150, (128, 64, 32, 16)  # of a picture: dots to the inch, and the most colours
BYTES = {"tutorials": 60_000, "docs": 150_000}
"""The most bytes that a picture should have, by the folder of its page."""


def rewrite(page: Path) -> None:
    """Run a page, and write its outputs and its figures into the repository."""
    limit, dots = BYTES[page.parent.name], patch.dict(STYLE, {"figure.dpi": _DOTS})
    with TemporaryDirectory() as folder, chdir(folder), dots:
        written = run(page)
        photograph_views(page)
        for target in _PICTURE.findall(written):
            (page.parent / target).parent.mkdir(parents=True, exist_ok=True)
            (page.parent / target).write_bytes(_small(Path(Path(target).name), limit))
    page.write_text(written)


def run(page: Path) -> str:
    """Run a page in the working directory, and return it with what its lines print."""
    namespace = dict[str, Any]()

    def answered(part: re.Match[str]) -> str:
        code, commands = part["python"], part["commands"]
        printed = _of_commands(commands) if code is None else _of_python(code, namespace, page)
        return part["lines"] + (f"\n```text\n{printed.rstrip()}\n```\n" if printed else "")

    return PARTS.sub(answered, page.read_text())


def _of_python(code: str, namespace: dict[str, Any], page: Path) -> str:
    """Run a block of a page, save it if its first line names a file, and return its output."""
    if named := _FILE.match(code):
        Path(named[1]).write_text(code)
    printed = StringIO()
    with redirect_stdout(printed):
        exec(compile(code, page.name, "exec"), namespace)
    return printed.getvalue()


def _of_commands(lines: str) -> str:
    """Run commands by the shell, and return their output."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    command, environment = ["bash", "-ec", lines], {**os.environ, "PATH": path, "COLUMNS": _COLUMNS}
    found = subprocess.run(command, env=environment, check=False, **options)
    if found.returncode:
        raise RuntimeError(f"{lines}ended with {found.returncode}:\n{found.stdout}")
    kept = [line for line in found.stdout.splitlines() if _OF_TORCHRUN not in line]
    return "\n".join([*kept[:_FIRST], "…", *kept[-_LAST:]] if len(kept) > _MOST else kept)


def photograph_views(page: Path) -> None:
    """Save a picture of each view of the explorer that a page shows below its address."""
    views = _VIEW.findall(page.read_text())
    runs = {name: ExploredRun.open(name, Run(f"runs/{name}"), best=False) for name, *_ in views}
    if not views:
        return
    with served(runs) as address, sync_playwright() as playwright:
        browser = launched(playwright)
        shown = browser.new_page(viewport={"width": 1280, "height": 800})
        visitor = Visitor(shown, address)
        for name, route, picture in views:
            visitor.open(f"{name}/{route}")
            shown.screenshot(path=Path(picture).name)
        browser.close()


def _small(picture: Path, limit: int) -> bytes:
    """Return a PNG of as many colours as fit a limit of bytes, without the names of its makers."""
    with Image.open(picture) as opened:
        whole = opened.convert("RGB")
    for colours in _COLOURS:
        file = BytesIO()
        few = whole.quantize(colours, Image.Quantize.MAXCOVERAGE, 1, dither=Image.Dither.NONE)
        few.save(file, "PNG", optimize=True)
        if file.tell() <= limit:
            return file.getvalue()
    raise RuntimeError(f"{picture} has {file.tell():,} bytes in {colours} colours: simplify it")


if __name__ == "__main__":
    for path in [Path(name).resolve() for name in sys.argv[1:]] or WRITTEN:
        rewrite(path)
