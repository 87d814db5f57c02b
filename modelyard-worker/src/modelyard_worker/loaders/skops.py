"""scikit-learn models saved with skops: a file that names the types in it, so that no code runs unasked."""

from typing import Any

from modelyard_worker.loaders import SHARE, LoadFailed, import_library
from modelyard_worker.loaders.files import describe_file, framework_of
from modelyard_worker.loaders.sklearn import SklearnLoader, check_predicts


class SkopsLoader(SklearnLoader):
    """What was loaded is an estimator, as from joblib; only the loading differs."""

    name = "skops"
    fork = SHARE
    libraries = ("numpy", "sklearn.ensemble", "skops.io")

    def recognise(self, path: str) -> bool:
        return super(SklearnLoader, self).recognise(path)

    def load(self, path: str) -> Any:
        file = self.file(path)
        if framework_of(file) != self.name:
            raise LoadFailed(f"cannot load {file}: it is {describe_file(file)}, not a file of skops.io.dump")
        skops = import_library("skops.io", "skops")
        try:
            untrusted = sorted(skops.get_untrusted_types(file=file))
            if untrusted:
                raise LoadFailed(
                    f"cannot load {file}: skops does not trust the types {', '.join(untrusted)} in it; write a "
                    "predictor that loads it with skops.io.load(file, trusted=[...]), naming those that you trust"
                )
            model = skops.load(file, trusted=[])
        except LoadFailed:
            raise
        except ModuleNotFoundError as error:
            raise LoadFailed(
                f"cannot load {file}: it needs the module {error.name}, which is not installed; "
                "add it to the requirements"
            ) from error
        except Exception as error:  # a damaged schema fails in whatever way its content leads to
            raise LoadFailed(f"cannot load {file}: skops says {type(error).__name__}: {error}") from error
        return check_predicts(file, model)
