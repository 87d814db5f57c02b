"""What users import: `Client`, and `deploy`, `predict`, `train` with the yard that this machine runs.

    from modelyard import sdk

    sdk.deploy("model.joblib", name="price")
    sdk.predict("price", [[1.0, 2.0]])

It speaks to a yard over REST only, and importing it is light: HTTP, YAML and the schema are loaded when first needed.
The command line and the console call it and nothing else. Errors are those of `modelyard.errors`.
"""

from modelyard.sdk.client import Client
from modelyard.sdk.default import deploy, predict, register, train

__all__ = ["Client", "deploy", "predict", "register", "train"]
