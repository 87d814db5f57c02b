"""Batch transform beside the bare model in a loop, Ray Data and `mlflow models predict`: see bench/README.md."""
