"""What fits: batch size, memory, time."""
