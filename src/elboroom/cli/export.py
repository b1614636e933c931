"""`elboroom export`."""

from elboroom.cli.explorer_extra import explorer_extra
from elboroom.cli.terminal import plain_console
from elboroom.config import ExportConfig
from elboroom.runs.run import Run


def export(run: Run, config: ExportConfig, *, best: bool) -> None:
    """Write a run as a static page.

    Raises:
        UsageError: if the browser cannot compute with its model, or something is in the way.
    """
    with explorer_extra("the page cannot be written"):
        from elboroom.explorer import ExploredRun
        from elboroom.explorer.web_export.exported_model import require_computed
        from elboroom.explorer.web_export.folder import require_free, write_export
    require_free(config.out)
    require_computed(run)
    explored = ExploredRun.open("run", run, best=best, data=config.data)
    write_export(explored, config.out)
    plain_console().print(config.out / "index.html")
