"""Stories: what clients notice while replicas come, go, are replaced and die. `python -m bench.stories`."""
