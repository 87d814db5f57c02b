"""MLflow's own server as a yard runs it: `python -m modelyard_worker.mlflow_server CONFIG`.

Runs in an environment of its own, which has MLflow and nothing of the yard but this distribution. It answers on a Unix
socket that its owner alone may use, so that nobody goes round the yard's key; the yard's door stands in front of it.

    runs        MLflow's SQL store, which takes the id of a run that the yard has begun already
    registry    the yard's own models, versions and aliases, asked over the yard's socket
"""
