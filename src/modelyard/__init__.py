"""Modelyard: one machine as a place where models are trained, registered, deployed and watched.

The floors and who may import whom stand in contributing/ARCHITECTURE.md.
"""
