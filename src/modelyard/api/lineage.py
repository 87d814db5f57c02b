"""Where a model version went: which endpoints serve it, and which have."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from modelyard.clock import iso
from modelyard.domain.endpoints import Endpoint, EndpointStatus, EndpointVersion, VersionState
from modelyard.domain.models import ModelReference
from modelyard.domain.names import name_key


@dataclass(frozen=True, slots=True)
class ServedView:
    endpoint: str
    version: int
    """Of the endpoint."""
    asked: str | None
    """How the deploy named the model: `price@champion`."""
    deployed_at: str
    percent: float | None = None
    """Share of the requests that it answers while another version is on its way, or it is itself; else null."""


def served_now(
    reference: str, endpoints: Iterable[Endpoint], statuses: Mapping[str, EndpointStatus]
) -> list[ServedView]:
    """By the endpoint's name. What was last seen counts, not what is wished; of a version on its way in steps, the
    share that it has come to."""
    found: list[ServedView] = []
    for endpoint in endpoints:
        status = statuses.get(name_key(endpoint.name))
        version = endpoint.version(status.serving_version) if status and status.serving_version else None
        coming = endpoint.wished if endpoint.is_staged and endpoint.wished.progress.percent > 0 else None
        share = coming.progress.percent if coming is not None else None
        if version is not None and version != coming and version.spec.model == reference:
            found.append(_view(endpoint, version, None if share is None else 100 - share))
        if coming is not None and coming.spec.model == reference:
            found.append(_view(endpoint, coming, share))
    return found


def served_by(reference: str, endpoints: Iterable[Endpoint]) -> list[ServedView]:
    """The newest first: every version of an endpoint that is remembered, has been ready, and has this model."""
    pairs = [
        (endpoint, version)
        for endpoint in endpoints
        for version in endpoint.versions
        if version.spec.model == reference and version.state is VersionState.READY
    ]
    return [_view(*pair) for pair in sorted(pairs, key=lambda pair: pair[1].created_at, reverse=True)]


def behind_alias(alias: ModelReference, reference: str, endpoints: Iterable[Endpoint]) -> list[str]:
    """Endpoints that were deployed by an alias and have another version than `reference`, which it means now."""
    return [
        one.name
        for one in endpoints
        if name_key(one.wished.spec.model_asked or "") == name_key(str(alias)) and one.wished.spec.model != reference
    ]


def _view(endpoint: Endpoint, version: EndpointVersion, percent: float | None = None) -> ServedView:
    return ServedView(
        endpoint=endpoint.name,
        version=version.number,
        asked=version.spec.model_asked,
        deployed_at=iso(version.created_at),
        percent=percent,
    )
