"""The machine: device, precision and memory."""

from elboroom.device.device import describe_device, prepare, resolve_device
from elboroom.device.memory import free_memory, keep_freed_memory, readable, require_room
from elboroom.device.precision import autocast, resolve_precision

__all__ = [
    "autocast",
    "describe_device",
    "free_memory",
    "keep_freed_memory",
    "prepare",
    "readable",
    "require_room",
    "resolve_device",
    "resolve_precision",
]
