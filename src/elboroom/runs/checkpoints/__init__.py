"""Checkpoints: a model and its training state in one folder, with a manifest of hashes."""

from elboroom.runs.checkpoints.checkpoint import (
    Checkpoint,
    capture,
    check_checkpoints,
    load,
    require_room,
    restore,
    write,
)
from elboroom.runs.checkpoints.retention import best_held_out_elbo, require_disk_space

__all__ = [
    "Checkpoint",
    "best_held_out_elbo",
    "capture",
    "check_checkpoints",
    "load",
    "require_disk_space",
    "require_room",
    "restore",
    "write",
]
