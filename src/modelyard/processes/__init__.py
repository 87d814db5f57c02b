"""The porch: wiring only, a file per process, each started as `python -m modelyard.processes.NAME`.

A file reads its arguments, puts together what the floors below have, runs it, and ends it in order when it is told to.
It decides nothing. Nothing imports it: the command line and the supervisor start processes by name.
"""
