"""Where a user's code runs: templates that fork, replicas that predict, the wrapper around a job.

Standard library only, Python 3.9 and later; faster libraries are used when they are found. It knows nothing of the
rest of Modelyard: orders arrive as a JSON file (`orders`), requests as frames (`frames`).
"""

__version__ = "0.1.0"
