"""`predictor:` of any kind: fields as written -> what a package is built of."""

from typing import Any

from modelyard.manifest.schema import PredictorFields


def predictor_document(fields: PredictorFields) -> dict[str, Any]:
    """`{path, class, config, python_path, python?, app?}`, paths relative to the project's folder."""
    return {
        "path": fields.path,
        "class": fields.class_name,
        "config": fields.config or {},
        "python_path": fields.python_path,
        **({"python": fields.python} if fields.python else {}),
        **({"app": fields.app} if fields.app else {}),
    }
