"""Revisions of `yard.db`."""
