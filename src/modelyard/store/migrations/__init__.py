"""Histories of the databases, a folder each. Revisions are written once and never changed; Alembic loads them by path.

A new one is `rNNNN_what_it_does.py` with `revision = "rNNNN"`; `tables` changes with it, and a test compares the two.
"""
