"""Rollback, early stopping and warnings."""
