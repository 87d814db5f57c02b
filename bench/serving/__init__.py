"""Serving: one model behind a yard and behind hand-written servers, side by side. `python -m bench.serving`."""
