# pyright: basic, reportMissingImports=false
# MLflow is not installed where types are checked; nothing of it is known there.
"""The yard's models as MLflow's registry: versions, their tags and aliases are the yard's rows and nobody else's.

What the yard has no word for stays in MLflow's own tables: a model's description and tags, names without a version, and
prompts, which MLflow keeps in the same registry. Nothing is written in two places.

Of a version, MLflow's words are tags under `mlflow.`: source, run, description. Stages are gone from MLflow's own
documents in favour of aliases and are not kept.
"""

import json
import os
import re
import shutil
import tempfile
import threading
from datetime import datetime

from mlflow.entities.model_registry import ModelVersion, ModelVersionTag, RegisteredModel, RegisteredModelAlias
from mlflow.exceptions import MlflowException
from mlflow.prompt.constants import IS_PROMPT_TAG_KEY
from mlflow.prompt.registry_utils import add_prompt_filter_string
from mlflow.protos.databricks_pb2 import (
    INTERNAL_ERROR,
    INVALID_PARAMETER_VALUE,
    INVALID_STATE,
    RESOURCE_ALREADY_EXISTS,
    RESOURCE_DOES_NOT_EXIST,
    TEMPORARILY_UNAVAILABLE,
)
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.search_utils import SearchModelUtils, SearchModelVersionUtils, SearchUtils

from modelyard_worker.mlflow_server.yard import YardApi, YardRefused

PROJECT = "mlflow"
"""Where a model belongs that was registered through MLflow's client first."""

FOLDER = "registry"
"""Below the artifacts, what the yard lays out for clients to load; nobody else writes there."""

OWN_TAG = "mlflow."
SOURCE, RUN, RUN_LINK, DESCRIPTION, MODEL_ID = (
    OWN_TAG + word for word in ("source", "run_id", "run_link", "description", "model_id")
)
PAGE_MAX = 1000
"""Most of one page, whatever is asked for."""

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")
_CODES = {
    "not_found": RESOURCE_DOES_NOT_EXIST,
    "invalid_value": INVALID_PARAMETER_VALUE,
    "conflict": INVALID_STATE,
    "unavailable": TEMPORARILY_UNAVAILABLE,
    "not_ready": TEMPORARILY_UNAVAILABLE,
}


def registry_builder(config):
    """What MLflow calls for a registry URI of ours; the names of its parameters are MLflow's."""

    def build(store_uri, tracking_uri=None):  # noqa: ARG001
        api = YardApi(config["control_socket"], config["token"])
        return YardRegistry(f"sqlite:///{config['database']}", api, config["artifacts"])

    return build


class YardRegistry(SqlAlchemyStore):
    def __init__(self, database_uri, api, artifacts):
        super().__init__(database_uri)
        self._api = api
        self._artifacts = artifacts
        self._registering = threading.Lock()

    # -- models ------------------------------------------------------------------------------------------------------

    def create_registered_model(self, name, tags=None, description=None, deployment_job_id=None):
        if not _is_prompt_tags(tags):
            _check_name(name)
            if self._versions(name):
                raise MlflowException(f"Registered Model (name={name}) already exists.", RESOURCE_ALREADY_EXISTS)
        return super().create_registered_model(name, tags, description, deployment_job_id)

    def get_registered_model(self, name):
        own = self._own(name)
        if own is not None and _is_prompt(own):
            return own
        versions = self._versions(name)
        if not versions and own is None:
            raise MlflowException(f"Registered Model with name={name} not found", RESOURCE_DOES_NOT_EXIST)
        return _model(own, versions, name)

    def update_registered_model(self, name, description, deployment_job_id=None):
        self._adopt(name)
        super().update_registered_model(name, description, deployment_job_id)
        return self.get_registered_model(name)

    def set_registered_model_tag(self, name, tag):
        self._adopt(name)
        super().set_registered_model_tag(name, tag)

    def rename_registered_model(self, name, new_name):
        if self._versions(name):
            raise MlflowException(
                f"cannot rename model {name}: versions are immutable here; register them under {new_name}",
                INVALID_STATE,
            )
        return super().rename_registered_model(name, new_name)

    def delete_registered_model(self, name):
        if self._is_prompt_name(name):
            super().delete_registered_model(name)
            return
        versions = self._versions(name)
        if versions:
            _check(self._api.delete, "models", name)
        if self._own(name) is not None:
            super().delete_registered_model(name)
        shutil.rmtree(os.path.join(self._artifacts, FOLDER, versions[0]["model"] if versions else name), True)

    def search_registered_models(self, filter_string=None, max_results=None, order_by=None, page_token=None):
        if _asks_for_prompts(filter_string):
            return super().search_registered_models(filter_string, max_results, order_by, page_token)
        own = {one.name.lower(): one for one in self._all_own()}
        newest = {one["model"].lower(): one for one in _check(self._api.get, "models")["models"]}
        found = [
            _model(
                own.get(key),
                self._versions(newest[key]["model"]) if key in newest else [],
                own[key].name if key in own else key,
            )
            for key in sorted({*own, *newest})
            if not (key in own and _is_prompt(own[key]))
        ]
        chosen = SearchModelUtils.filter(found, add_prompt_filter_string(filter_string, is_prompt=False))
        return _page(SearchModelUtils.sort(chosen, order_by), max_results, page_token)

    def get_latest_versions(self, name, stages=None):
        if self._is_prompt_name(name):
            return super().get_latest_versions(name, stages)
        asked = {stage.lower() for stage in stages or ()}
        versions = self._versions(name)
        return [_version(versions[0])] if versions and (not asked or "none" in asked) else []

    # -- versions ----------------------------------------------------------------------------------------------------

    def create_model_version(
        self,
        name,
        source,
        run_id=None,
        tags=None,
        run_link=None,
        description=None,
        local_model_path=None,
        model_id=None,
    ):
        if self._is_prompt_name(name):
            return super().create_model_version(
                name, source, run_id, tags, run_link, description, local_model_path, model_id
            )
        self._adopt(name)
        with tempfile.TemporaryDirectory(dir=self._artifacts, prefix=".registering-") as aside:
            tree = _check(self._api.put_folder, self._folder_of(source, aside))
        with self._registering:
            there = self._versions(name)
            document = {"project": there[0]["project"] if there else PROJECT, "tree": tree}
            made = _check(self._api.post, document, "models", name, "versions")
        words = {
            SOURCE: source,
            RUN: run_id or _run_of(source, model_id),
            RUN_LINK: run_link,
            DESCRIPTION: description,
            MODEL_ID: model_id,
        }
        kept = {**{tag.key: tag.value for tag in tags or ()}, **{key: str(word) for key, word in words.items() if word}}
        if kept:
            self._tag(made["model"], made["version"], kept)
        return self.get_model_version(made["model"], made["version"])

    def _folder_of(self, source, aside):
        """A folder with what `source` means: the server's own where it lies here, else one below `aside`."""
        uri = source
        if source.startswith("models:/"):
            from mlflow.server.handlers import _get_tracking_store
            from mlflow.store.artifact.utils.models import _parse_model_uri

            parsed = _parse_model_uri(source)
            if parsed.model_id is not None:
                uri = _get_tracking_store().get_logged_model(parsed.model_id).artifact_location
            else:
                version = parsed.version or self.get_model_version_by_alias(parsed.name, parsed.alias).version
                uri = self.get_model_version_download_uri(parsed.name, version)
        if uri.startswith("mlflow-artifacts:"):
            inner = uri[len("mlflow-artifacts:") :].lstrip("/")
            folder = os.path.realpath(os.path.join(self._artifacts, *inner.split("/")))
            if not folder.startswith(os.path.realpath(self._artifacts) + os.sep):
                raise MlflowException(
                    f"cannot read {source}: it lies outside of the artifacts", INVALID_PARAMETER_VALUE
                )
            if not os.path.isdir(folder):
                raise MlflowException(
                    f"cannot register {source}: there are no files; log the model first", RESOURCE_DOES_NOT_EXIST
                )
            return folder
        if uri.startswith(("file:", "/")):
            raise MlflowException(
                f"cannot register {source}: a path of this machine; log the model to a run", INVALID_PARAMETER_VALUE
            )
        return get_artifact_repository(uri).download_artifacts("", aside)

    def update_model_version(self, name, version, description):
        if self._is_prompt_name(name):
            return super().update_model_version(name, version, description)
        self._tag(name, version, {DESCRIPTION: description or None})
        return self.get_model_version(name, version)

    def transition_model_version_stage(self, name, version, stage, archive_existing_versions):  # noqa: ARG002
        raise MlflowException(
            f"cannot move {name} version {version} to a stage: the yard has aliases instead; "
            f"client.set_registered_model_alias({name!r}, 'champion', {version})",
            INVALID_PARAMETER_VALUE,
        )

    def delete_model_version(self, name, version):
        if self._is_prompt_name(name):
            super().delete_model_version(name, version)
            return
        found = self.get_model_version(name, version)
        _check(self._api.delete, "models", name, query=f"?version={_number(version)}")
        shutil.rmtree(os.path.join(self._artifacts, FOLDER, found.name, str(found.version)), True)

    def get_model_version(self, name, version):
        if self._is_prompt_name(name):
            return super().get_model_version(name, version)
        return _version(_check(self._api.get, "models", name, "versions", str(_number(version))))

    def get_model_version_download_uri(self, name, version):
        if self._is_prompt_name(name):
            return super().get_model_version_download_uri(name, version)
        found = _check(self._api.get, "models", name, "versions", str(_number(version)))
        place = f"{FOLDER}/{found['model']}/{found['version']}"
        if not os.path.isdir(os.path.join(self._artifacts, *place.split("/"))):
            _check(self._api.post, {}, "models", found["model"], "versions", str(found["version"]), "mlflow")
        return f"mlflow-artifacts:/{place}"

    def search_model_versions(self, filter_string=None, max_results=None, order_by=None, page_token=None):
        if _asks_for_prompts(filter_string):
            return super().search_model_versions(filter_string, max_results, order_by, page_token)
        names = [one["model"] for one in _check(self._api.get, "models")["models"]]
        found = [_version(one) for name in names for one in self._versions(name)]
        chosen = SearchModelVersionUtils.filter(found, add_prompt_filter_string(filter_string, is_prompt=False))
        return _page(SearchModelVersionUtils.sort(chosen, order_by or ["name ASC"]), max_results, page_token)

    def set_model_version_tag(self, name, version, tag):
        if self._is_prompt_name(name):
            super().set_model_version_tag(name, version, tag)
        else:
            self._tag(name, version, {tag.key: tag.value})

    def delete_model_version_tag(self, name, version, key):
        if self._is_prompt_name(name):
            super().delete_model_version_tag(name, version, key)
        else:
            self._tag(name, version, {key: None})

    def copy_model_version(self, src_mv, dst_name):
        if self._own(dst_name) is None and not self._versions(dst_name):
            self.create_registered_model(dst_name)
        source = f"models:/{src_mv.name}/{src_mv.version}"
        return self.create_model_version(dst_name, source, src_mv.run_id, description=src_mv.description)

    # -- aliases -----------------------------------------------------------------------------------------------------

    def set_registered_model_alias(self, name, alias, version):
        if self._is_prompt_name(name):
            super().set_registered_model_alias(name, alias, version)
        else:
            _check(self._api.put, {"version": _number(version), "by": "mlflow"}, "models", name, "aliases", alias)

    def delete_registered_model_alias(self, name, alias):
        if self._is_prompt_name(name):
            super().delete_registered_model_alias(name, alias)
            return
        self.get_registered_model(name)
        try:
            self._api.delete("models", name, "aliases", alias)
        except YardRefused as refused:
            # MLflow's clients may take an alias away that is not there.
            if refused.code != "not_found":
                raise _refusal(refused) from refused

    def get_model_version_by_alias(self, name, alias):
        if self._is_prompt_name(name):
            return super().get_model_version_by_alias(name, alias)
        return _version(_check(self._api.get, "models", name, "versions", alias))

    # -- what is behind ----------------------------------------------------------------------------------------------

    def _own(self, name):
        """The model's row in MLflow's tables, or None."""
        try:
            return super().get_registered_model(name)
        except MlflowException:
            return None

    def _all_own(self):
        found, token = [], None
        while True:
            page = super().search_registered_models(None, PAGE_MAX, None, token)
            found += page
            token = page.token
            if not token:
                return found

    def _is_prompt_name(self, name):
        own = self._own(name)
        return own is not None and _is_prompt(own)

    def _adopt(self, name):
        """Lets a model of the yard have a description and tags in MLflow's tables."""
        if self._own(name) is None and self._versions(name):
            super().create_registered_model(name)

    def _versions(self, name):
        """Newest first; none where the yard has no such model."""
        try:
            return self._api.get("models", name)["versions"]
        except YardRefused as refused:
            if refused.code in ("not_found", "invalid_value"):
                return []
            raise _refusal(refused) from refused

    def _tag(self, name, version, tags):
        _check(self._api.post, {"tags": tags}, "models", name, "versions", str(_number(version)), "tags")


def _run_of(source, model_id):
    """The run that logged a model of MLflow 3, which its clients name by the model alone; None where it is none."""
    from mlflow.server.handlers import _get_tracking_store

    logged = model_id or (source[len("models:/") :] if source.startswith("models:/m-") else None)
    return _get_tracking_store().get_logged_model(logged).source_run_id if logged else None


def _check(ask, *arguments, **options):
    try:
        return ask(*arguments, **options)
    except YardRefused as refused:
        raise _refusal(refused) from refused


def _refusal(refused):
    return MlflowException(str(refused), _CODES.get(refused.code, INTERNAL_ERROR))


def _check_name(name):
    """The yard's rule for names, told before files are sent."""
    if not _NAME.fullmatch(name or ""):
        mended = re.sub(r"-{2,}", "-", re.sub(r"[^A-Za-z0-9_-]", "-", name or "")).strip("-_")[:63].strip("-_")
        raise MlflowException(
            f"cannot call a model {name!r}: use letters, digits, hyphens and underscores, at most 63, beginning and "
            f"ending with a letter or digit{f'; try {mended}' if mended else ''}",
            INVALID_PARAMETER_VALUE,
        )


def _number(version):
    try:
        return int(version)
    except (TypeError, ValueError) as error:
        raise MlflowException(f"cannot read {version!r} as a version's number", INVALID_PARAMETER_VALUE) from error


def _model(own, versions, name):
    """`own` is its row in MLflow's tables, `versions` are the yard's, newest first; one of both may be missing."""
    return RegisteredModel(
        name=versions[0]["model"] if versions else name,
        creation_timestamp=_millis(versions[-1]) if versions else own.creation_timestamp,
        last_updated_timestamp=_millis(versions[0]) if versions else own.last_updated_timestamp,
        description=own.description if own is not None else None,
        latest_versions=[_version(versions[0])] if versions else [],
        tags=_tags_of(own),
        aliases=[RegisteredModelAlias(alias, str(one["version"])) for one in versions for alias in one["aliases"]],
    )


def _tags_of(own):
    from mlflow.entities.model_registry import RegisteredModelTag

    return [RegisteredModelTag(key, value) for key, value in own.tags.items()] if own is not None else []


def _version(view):
    tags, lineage = view["tags"], view["lineage"]
    run = tags.get(RUN) or lineage.get("run")
    return ModelVersion(
        name=view["model"],
        version=str(view["version"]),
        creation_timestamp=_millis(view),
        last_updated_timestamp=_millis(view),
        description=tags.get(DESCRIPTION) or _description(view),
        current_stage="None",
        source=tags.get(SOURCE) or f"models:/{view['model']}/{view['version']}",
        run_id=run,
        status="READY",
        tags=[ModelVersionTag(key, value) for key, value in _shown_tags(view)],
        run_link=tags.get(RUN_LINK),
        aliases=list(view["aliases"]),
        model_id=tags.get(MODEL_ID),
    )


def _shown_tags(view):
    own = {SOURCE, RUN, RUN_LINK, DESCRIPTION, MODEL_ID}
    yield from ((key, value) for key, value in view["tags"].items() if key not in own)
    yield "modelyard.approval", view["approval"]["state"]
    if view["framework"]:
        yield "modelyard.framework", view["framework"]


def _description(view):
    metrics = view["lineage"].get("metrics") or {}
    return f"metrics: {json.dumps(metrics)}" if metrics else None


def _millis(view):
    return int(datetime.fromisoformat(view["created_at"].replace("Z", "+00:00")).timestamp() * 1000)  # noqa: FURB162 (Python 3.9)


def _is_prompt(model):
    return _is_prompt_tags(model._tags)  # noqa: SLF001 (`tags` leaves out the one that says so)


def _is_prompt_tags(tags):
    found = {**tags} if isinstance(tags, dict) else {tag.key: tag.value for tag in tags or ()}
    return str(getattr(found.get(IS_PROMPT_TAG_KEY), "value", found.get(IS_PROMPT_TAG_KEY))).lower() == "true"


def _asks_for_prompts(filter_string):
    # Clients ask for models with `!=`.
    return re.search(rf"{re.escape(IS_PROMPT_TAG_KEY)}`?\s*=\s*'true'", filter_string or "", re.IGNORECASE) is not None


def _page(found, max_results, token):
    size = min(max_results or PAGE_MAX, PAGE_MAX)
    begin = SearchUtils.parse_start_offset_from_page_token(token)
    end = begin + size
    return PagedList(found[begin:end], SearchUtils.create_page_token(end) if end < len(found) else None)
