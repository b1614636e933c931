"""Fitting a density q to the posterior of each row."""
