"""Writing that cannot be seen half done: aside, synced, then renamed."""

import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any


def as_json(content: Any) -> str:
    """Content as strict JSON, with null for what is not finite."""
    return json.dumps(_finite(content), indent=2, allow_nan=False, ensure_ascii=False)


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _finite(value) for name, value in content.items()}
    if isinstance(content, list):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def write_file(path: Path, content: bytes) -> None:
    """Write `path` whole or not at all."""
    aside = path.with_name(f".{path.name}.part")
    with aside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    sync_folder(path.parent)


def write_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Create the folder `path`, filled by `fill(folder)`, whole or not at all."""
    aside = path.with_name(f".{path.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    fill(aside)
    sync_folder(aside)
    shutil.rmtree(path, ignore_errors=True)
    aside.replace(path)
    sync_folder(path.parent)


def append_line(path: Path, line: str) -> None:
    """Append `line` to `path`; cut short by a crash, it has no line break at its end."""
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())


def whole_lines(path: Path) -> list[str]:
    """The lines of `path` that were written whole; none where there is no file."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return text[: text.rfind("\n") + 1].splitlines()


def sync_folder(path: Path) -> None:
    """Make renames within `path` durable, where the system can sync a folder."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
