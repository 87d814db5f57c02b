"""Revisions of `history.db`."""
