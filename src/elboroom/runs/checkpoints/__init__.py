"""Checkpoints: a model and its training state in one folder, with a manifest of hashes."""
