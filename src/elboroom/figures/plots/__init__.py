"""Plots: arrays → `matplotlib.figure.Figure`."""
