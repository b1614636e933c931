"""Limits of the machine: batch size, memory, time."""
