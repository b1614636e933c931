"""Check whether a run is whole, and what this machine can do."""
