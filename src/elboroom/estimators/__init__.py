"""Estimators for scikit-learn: imputer, transformer and density."""
