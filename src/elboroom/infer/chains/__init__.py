"""Markov chains of many rows at once."""
