"""Revisions of `queue.db`."""
