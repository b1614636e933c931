"""`elboroom export`."""

from collections.abc import Callable

from elboroom.cli.explorer_extra import explorer_extra
from elboroom.cli.terminal import plain_console
from elboroom.config import ExportConfig
from elboroom.config.kinds import ExportTarget
from elboroom.exports import NetworkExport, export_onnx, export_torch
from elboroom.exports.folder import require_free
from elboroom.runs.hub.card import CARD
from elboroom.runs.hub.folder import save_pretrained
from elboroom.runs.run import Run

_Writer = Callable[[Run, ExportConfig, bool], None]


def export(run: Run, config: ExportConfig, *, best: bool) -> None:
    """Write a run in the form that the config names.

    Raises:
        UsageError: if its model does not have that form, or something is in the way.
    """
    _WRITERS[config.to](run, config, best)


def _page(run: Run, config: ExportConfig, best: bool) -> None:
    require_free(config.out)
    with explorer_extra("the page cannot be written"):
        from elboroom.explorer import ExploredRun
        from elboroom.explorer.web_export.exported_model import require_computed
        from elboroom.explorer.web_export.folder import write_export
    require_computed(run)
    explored = ExploredRun.open("run", run, best=best, data=config.data)
    write_export(explored, config.out)
    plain_console().print(config.out / "index.html")


def _networks(write: Callable[..., NetworkExport]) -> _Writer:
    def writer(run: Run, config: ExportConfig, best: bool) -> None:
        found, console = write(run.load_model(best=best), config.out, run=run), plain_console()
        for line in (*found.files, *found.notes):
            console.print(line)
        console.print(
            f"checked by {found.checked_by}: outputs differ by {found.difference:.1e} at most; "
            f"{found.tolerance:g} is allowed"
        )

    return writer


def _hub_folder(run: Run, config: ExportConfig, best: bool) -> None:
    plain_console().print(save_pretrained(run, config.out, best=best) / CARD)


_WRITERS: dict[ExportTarget, _Writer] = {
    "web": _page,
    "onnx": _networks(export_onnx),
    "torch": _networks(export_torch),
    "hub": _hub_folder,
}
