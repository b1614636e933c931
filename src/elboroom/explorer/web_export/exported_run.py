"""The description of an exported run: what its page shows, without paths of this machine."""

from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import msgspec

from elboroom import __version__
from elboroom.explorer.api.description import Description, describe
from elboroom.explorer.api.progress import evaluation, history
from elboroom.explorer.api.requests import Nothing
from elboroom.explorer.explored_run import ExploredRun
from elboroom.explorer.plane import PCA
from elboroom.explorer.web_export.exported_model import describe_model
from elboroom.explorer.web_export.exported_rows import ExportedRows, describe_rows
from elboroom.explorer.web_export.weights import Weights

FORMAT = "elboroom web export"
"""The beginning of the name of the format, in every version."""
_VERSION = 1
_VIEWS = ("map", "complete", "interpolate", "samples", "run")
"""The views whose questions the browser answers."""


def describe_export(explored: ExploredRun, rows: ExportedRows, weights: Weights) -> dict[str, Any]:
    """Describe a run for its static page, with its arrays in `weights`."""
    content = {
        "format": f"{FORMAT} {_VERSION}",
        "version": __version__,
        "run": _description(explored),
        "history": msgspec.structs.replace(history(explored, Nothing()), live=False),
        "evaluation": evaluation(explored, Nothing()),
    }
    parts = {
        "model": describe_model(explored, weights),
        "pca": _components(explored, weights),
        "rows": describe_rows(explored, rows, weights),
    }
    return _without_paths(msgspec.to_builtins(content)) | parts


def _description(explored: ExploredRun) -> Description:
    whole = describe(explored, Nothing())
    method = "grid" if "grid" in explored.methods else "encoder"
    return msgspec.structs.replace(
        whole,
        methods=[one for one in whole.methods if one.name == method],
        views=[name for name in whole.views if name in _VIEWS],
        live=False,
    )


def _components(explored: ExploredRun, weights: Weights) -> dict[str, Any] | None:
    if PCA not in explored.axes:
        return None
    plane = explored.plane(PCA)
    centre, directions = weights.add(plane.centre), weights.add(plane.directions)
    return {"names": plane.names, "centre": centre, "directions": directions}


def _without_paths(content: Any) -> Any:
    """Return content in which the last name stands in the place of each absolute path."""
    if isinstance(content, dict):
        return {name: _without_paths(value) for name, value in content.items()}
    if isinstance(content, list):
        return [_without_paths(value) for value in content]
    return _last_name(content) if isinstance(content, str) else content


def _last_name(text: str) -> str:
    for kind in (PurePosixPath, PureWindowsPath):
        if (path := kind(text)).is_absolute():
            return path.name
    return text
