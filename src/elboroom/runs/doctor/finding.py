"""What a look at a machine or at a run finds, and what to do about it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what it is.
        found: what was found of it.
        fix: what to do about it, or None where nothing need be done.
        damage: whether something of a run is lost, not only missing or old.
    """

    name: str
    found: str
    fix: str | None = None
    damage: bool = False

    @property
    def mark(self) -> str:
        """`ok`, `note` where something can be done, or `damage`."""
        if self.damage:
            return "damage"
        return "ok" if self.fix is None else "note"

    def __str__(self) -> str:
        """As `elboroom doctor` prints it: a line, and another for the fix."""
        line = f"{self.mark:<6}  {self.name}: {self.found}"
        return line if self.fix is None else f"{line}\n{'':8}fix: {self.fix}"

    def to_dict(self) -> dict[str, Any]:
        """The same as data."""
        return {"mark": self.mark, "name": self.name, "found": self.found, "fix": self.fix}
