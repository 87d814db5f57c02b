"""CatBoost: models saved with `save_model` in CatBoost's own format (.cbm).

The answer is what `CatBoostClassifier.predict` gives for a model with classes (labels), else `CatBoost.predict`
(values). A model with categorical or text features takes them by name, because no number can stand for them.
"""

from typing import Any, Dict, Optional, Set, Tuple, cast

from modelyard_worker.loaders import SHARE, Input, Loader, LoadFailed, import_library
from modelyard_worker.loaders.files import describe_file, framework_of


class _Boosted:
    def __init__(self, model: Any) -> None:
        self.model = model
        self.threads = 1
        words: Set[int] = {*model.get_cat_feature_indices(), *model.get_text_feature_indices()}
        self.names = [str(name) for name in model.feature_names_]
        self.inputs = (
            tuple(Input(name, "str" if place in words else "float64", ()) for place, name in enumerate(self.names))
            if words
            else None
        )


class CatboostLoader(Loader):
    name = "catboost"
    fork = SHARE
    libraries = ("numpy", "catboost")

    def load(self, path: str) -> Any:
        file = self.file(path)
        if framework_of(file) != self.name:
            raise LoadFailed(
                f"cannot load {file}: it is {describe_file(file)}, not a CatBoost model in its own format; "
                'save one with save_model(file, format="cbm")'
            )
        catboost = import_library("catboost")
        try:
            model = catboost.CatBoost().load_model(file)
            if len(model.classes_):
                model = catboost.CatBoostClassifier().load_model(file)
        except catboost.CatBoostError as error:
            raise LoadFailed(f"cannot load {file}: CatBoost {catboost.__version__} says {error}") from error
        return _Boosted(model)

    def predict(self, model: Any, rows: Any) -> Any:
        import numpy as np

        if isinstance(rows, dict):
            columns = cast("Dict[str, Any]", rows)
            rows = np.stack([columns[name].astype(object) for name in model.names], axis=1)
        found = np.asarray(model.model.predict(rows, thread_count=model.threads))
        # Classes of several come as a column.
        return found[:, 0] if found.ndim == 2 and found.shape[1] == 1 else found

    def features(self, model: Any) -> Optional[int]:
        return len(model.names)

    def inputs(self, model: Any) -> Optional[Tuple[Input, ...]]:
        return model.inputs

    def set_threads(self, model: Any, count: int) -> None:
        model.threads = count
