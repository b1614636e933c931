"""A finding about a machine or a run, and what to do about it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        name: what was checked.
        found: what was found.
        fix: what to do about it, or None if nothing need be done.
        damage: True if something of a run is lost, and not only missing or old.
    """

    name: str
    found: str
    fix: str | None = None
    damage: bool = False

    @property
    def level(self) -> str:
        """The level of the finding: `ok`, `note` if something can be done, or `damage`."""
        if self.damage:
            return "damage"
        return "ok" if self.fix is None else "note"

    def __str__(self) -> str:
        """Return the finding as `elboroom doctor` prints it: one line, and one for the fix."""
        line = f"{self.level:<6}  {self.name}: {self.found}"
        return line if self.fix is None else f"{line}\n{'':8}fix: {self.fix}"

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as a table for JSON."""
        return {"level": self.level, "name": self.name, "found": self.found, "fix": self.fix}
