"""The server of the explorer: who may ask, how much at once, and the answers."""
