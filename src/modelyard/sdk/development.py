"""Working on what a yard file says, in a real yard: its endpoints, functions and apps under names of their own, put
live anew after each change, and gone at the end. What serves under the real names is not touched, nor are its versions.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.domain.names import check_name, name_key, not_found
from modelyard.errors import Conflict, InvalidValue, NotFound
from modelyard.sdk.account import caller
from modelyard.sdk.connection import Connection
from modelyard.sdk.deployments import Deployment, Plan, endpoint_documents, plan_deployment
from modelyard.sdk.labels import project_of

if TYPE_CHECKING:
    from modelyard.manifest.endpoints import EndpointResource

SUFFIX = "-dev"
"""What a name ends with while it is worked on."""

TTL_SECONDS = 12 * 3600.0
"""After so long without a request, what somebody left behind who was killed goes by itself."""

_AS_DEPLOYED = frozenset({"autoscaling", "replicas", "update_strategy", "max_surge", "max_unavailable", "capture"})
"""Settings that are of no use to one person who wants to see the change: there is one replica, and it is replaced."""


class Development:
    def __init__(
        self, connection: Connection, file: Path, *, project: str | None = None, only: Sequence[str] = ()
    ) -> None:
        """`file` is a yard file or a project's folder; `only` names what of it is worked on, by default all. Raises
        NotFound where there is no such file."""
        from modelyard.manifest.yard_file import find_yard_file  # noqa: PLC0415 (start-up time of the other commands)

        if not file.exists():
            raise NotFound(f"cannot find {file}", "name a yard file, or a project's folder")
        self.yard_file = (find_yard_file(file) if file.is_dir() else file).absolute()
        self._connection = connection
        self._project = check_name(project, "project name") if project else project_of(self.yard_file.parent)
        self._only = only
        self._live: set[str] = set()

    @property
    def folder(self) -> Path:
        """Whose changes count."""
        return self.yard_file.parent

    def deploy(self) -> Deployment:
        """Puts what the file says now live, and deletes what it says no longer. Returns as soon as that is on the
        yard's disk. Raises as a deploy does; then nothing is changed."""
        plan = plan_deployment(self.yard_file, None)
        chosen = [_as_developed(one) for one in self._chosen(plan)]
        self._check_free(one.name for one in chosen)
        documents, _ = endpoint_documents(self._connection, plan, chosen)
        wish = {"project": self._project, "by": caller(), "resources": documents}
        answer = self._connection.post("/deployments", wish)
        before, self._live = self._live, {one.name for one in chosen}
        for name in before - self._live:
            self._delete(name)
        return Deployment(self._project, list(answer["outcomes"]), _left_alone(plan))

    def end(self) -> list[str]:
        """Deletes all of it; returns the names. Their replicas may still be ending."""
        names, self._live = sorted(self._live), set()
        for name in names:
            self._delete(name)
        return names

    def _chosen(self, plan: Plan) -> "list[EndpointResource]":
        by_key = {name_key(one.name): one for one in plan.endpoints}
        for name in self._only:
            if name_key(name) not in by_key:
                raise not_found("endpoint", name, [one.name for one in plan.endpoints])
        chosen = [by_key[name_key(name)] for name in self._only] or list(plan.endpoints)
        if not chosen:
            raise InvalidValue(
                f"cannot work on {self.yard_file.name}: it has no endpoint, function or app",
                "`modelyard deploy` puts other kinds live",
            )
        return chosen

    def _check_free(self, names: Iterable[str]) -> None:
        """Raises Conflict where something has such a name that was deployed to stay."""
        for name in names:
            try:
                found = self._connection.get(f"/endpoints/{name}")
            except NotFound:
                continue
            if name not in self._live and found["expires_at"] is None:
                raise Conflict(
                    f"cannot work on {name.removesuffix(SUFFIX)}: {found['kind']} {name} was deployed to stay",
                    f"`modelyard delete {name}` first, or give it another name",
                )

    def _delete(self, name: str) -> None:
        try:
            self._connection.delete(f"/endpoints/{name}")
        except NotFound:
            return


def _as_developed(one: "EndpointResource") -> "EndpointResource":
    is_function = one.settings.get("function") is not None
    settings: dict[str, Any] = {
        name: value for name, value in one.settings.items() if is_function or name not in _AS_DEPLOYED
    }
    settings["ttl_seconds"] = TTL_SECONDS
    if not is_function:
        settings["replicas"] = 1
    app: dict[str, Any] | None = None
    if one.app is not None:
        # A page that is open goes to the new version at once; hosts and a port of its own are the real one's.
        settings["drain_seconds"] = 0.0
        app = {**one.app, "hosts": [], "port": None}
    return replace(one, name=check_name(one.name + SUFFIX, "name"), settings=settings, app=app)


def _left_alone(plan: Plan) -> tuple[str, ...]:
    others = [f"{one.kind}/{one.name}" for one in plan.others] + [f"training/{one.name}" for one in plan.trainings]
    return (f"left alone: {', '.join(others)}",) if others else ()
