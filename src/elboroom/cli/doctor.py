"""`elboroom doctor`."""

from pathlib import Path

from elboroom.cli.terminal import plain_console
from elboroom.config import TrainConfig
from elboroom.runs import atomic
from elboroom.runs.doctor.finding import Finding
from elboroom.runs.doctor.machine import check_machine
from elboroom.runs.doctor.run_folder import check_run
from elboroom.runs.run import RUNS


def diagnose(path: Path | None, *, as_json: bool) -> bool:
    """Print the findings about this machine and a run; return True if the run is whole."""
    found = {"machine": check_machine(path or RUNS, TrainConfig())}
    if path is not None:
        found["run"] = check_run(path)
    whole = not any(finding.damage for findings in found.values() for finding in findings)
    if as_json:
        tables = {part: [f.to_dict() for f in findings] for part, findings in found.items()}
        plain_console().print(atomic.as_json(tables | {"whole": whole}))
    else:
        plain_console().print("\n".join(_lines(found, path, whole=whole)))
    return whole


def _lines(found: dict[str, list[Finding]], path: Path | None, *, whole: bool) -> list[str]:
    lines = [str(finding) for findings in found.values() for finding in findings]
    verdict = f"{path} is {'whole' if whole else 'not whole'}"
    return lines if path is None else [*lines, verdict]
