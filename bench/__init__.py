"""Measurements of Modelyard beside its peers, each in one run on one machine. One folder per subject."""
