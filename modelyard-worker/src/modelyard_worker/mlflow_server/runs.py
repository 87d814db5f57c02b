# pyright: basic, reportMissingImports=false
# MLflow is not installed where types are checked; nothing of it is known there.
"""Runs in MLflow's own SQL store. A training of the yard keeps its id, so that its script can be told of it."""

import threading

from mlflow.entities import Run, RunInputs, RunStatus, SourceType
from mlflow.entities.lifecycle_stage import LifecycleStage
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.store.tracking.dbmodels.models import SqlRun, SqlTag
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.uri import append_to_uri_path
from mlflow.utils.validation import _validate_run_id

RUN_TAG = "modelyard.run"
"""Tag of a run that the yard begins; its value becomes the id."""


class YardRuns(SqlAlchemyStore):
    """Constructed by MLflow as `(store_uri, artifact_uri)`."""

    def __init__(self, store_uri, artifact_uri):
        super().__init__(store_uri, artifact_uri)
        self._beginning = threading.Lock()

    def create_run(self, experiment_id, user_id, start_time, tags, run_name):
        """As its base has it, but for a run of the yard: the same one however often it is asked for."""
        wanted = next((tag.value for tag in tags or () if tag.key == RUN_TAG), None)
        if wanted is None:
            return super().create_run(experiment_id, user_id, start_time, tags, run_name)
        _validate_run_id(wanted)
        with self._beginning:
            try:
                return self.get_run(wanted)
            except MlflowException as error:
                if error.error_code != ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
                    raise
            return self._begin(wanted, experiment_id, user_id, start_time, tags, run_name)

    def _begin(self, wanted, experiment_id, user_id, start_time, tags, run_name):
        experiment = self.get_experiment(experiment_id)
        with self.ManagedSessionMaker(read_only=False) as session:
            run = SqlRun(
                name=run_name or wanted,
                artifact_uri=append_to_uri_path(experiment.artifact_location, wanted, self.ARTIFACTS_FOLDER_NAME),
                run_uuid=wanted,
                experiment_id=experiment_id,
                source_type=SourceType.to_string(SourceType.JOB),
                source_name="",
                entry_point_name="",
                user_id=user_id,
                status=RunStatus.to_string(RunStatus.RUNNING),
                start_time=start_time,
                source_version="",
                lifecycle_stage=LifecycleStage.ACTIVE,
            )
            run.tags = [SqlTag(key=tag.key, value=tag.value) for tag in tags]
            session.add(run)
            made = run.to_mlflow_entity()
        return Run(made.info, made.data, RunInputs(dataset_inputs=[]))
