"""Faster steps: compilation, CUDA graphs, threads."""
