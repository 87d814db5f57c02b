"""Soak: mixed load on every lane for a long time, with memory and descriptors of every process watched."""
