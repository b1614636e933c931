"""The machine and its processes: device, precision, memory, and the world of ranks."""

from elboroom.device.device import describe_device, prepare, resolve_device
from elboroom.device.interrupts import deferred_interrupt
from elboroom.device.memory import free_memory, keep_freed_memory, readable, require_room
from elboroom.device.precision import autocast, resolve_precision
from elboroom.device.progress_bar import shown_progress
from elboroom.device.ranks import ALONE, World, joined, lost_ranks, world

__all__ = [
    "ALONE",
    "World",
    "autocast",
    "deferred_interrupt",
    "describe_device",
    "free_memory",
    "joined",
    "keep_freed_memory",
    "lost_ranks",
    "prepare",
    "readable",
    "require_room",
    "resolve_device",
    "resolve_precision",
    "shown_progress",
    "world",
]
