"""Alarms: what a deployment's document becomes, the state that each is in, and how it came there."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modelyard.api.asked import Asked
from modelyard.api.errors import invalid_value
from modelyard.api.permissions import guarded, sees
from modelyard.api.yard import Yard
from modelyard.clock import iso
from modelyard.domain.alarms import (
    ADDRESSES_MAX,
    COMPARISONS_OF_CLOUDWATCH,
    PERIODS_MAX,
    WEBHOOKS_MAX,
    AlarmChange,
    AlarmSpec,
    AlarmState,
    Comparison,
    Delivery,
    Missing,
    alarm_spec_from,
    check_alarm,
    message_body,
    messages_of,
)
from modelyard.domain.names import name_key
from modelyard.domain.resources import Resource
from modelyard.domain.splitters import KIND as SPLITTER
from modelyard.domain.webhooks import check_webhook_url
from modelyard.errors import Conflict, InvalidValue
from modelyard.store.ports import JsonObject

HISTORY_MAX = 200
KIND = "alarm"


class WebhookWish(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: str
    secret: str | None = None


class AlarmWish(BaseModel):
    """Fields of `domain.alarms.AlarmSpec`; what is left out has its default."""

    model_config = ConfigDict(extra="forbid")

    endpoint: str
    metric: str
    comparison: str
    threshold: Annotated[float, Field(allow_inf_nan=False)]
    period_seconds: float = AlarmSpec.__dataclass_fields__["period_seconds"].default
    periods: Annotated[int, Field(ge=1, le=PERIODS_MAX)] = 1
    datapoints: Annotated[int, Field(ge=1)] | None = None
    missing: Missing = Missing.MISSING
    version: Annotated[int, Field(ge=1)] | None = None
    rollback: bool = False
    rollback_within_seconds: Annotated[float, Field(gt=0)] = AlarmSpec.__dataclass_fields__[
        "rollback_within_seconds"
    ].default
    webhooks: Annotated[list[WebhookWish], Field(max_length=WEBHOOKS_MAX)] = []
    addresses: Annotated[list[str], Field(max_length=ADDRESSES_MAX)] = []
    notify: list[AlarmState] = [AlarmState.ALARM, AlarmState.OK]


def check_alarm_asked(asked: Asked) -> JsonObject:
    """The document with every field. Raises InvalidValue, NotFound for a secret or an endpoint that is not there."""
    try:
        wish = AlarmWish.model_validate(asked.spec)
    except ValidationError as error:
        found = [{**one, "loc": ("spec", *one["loc"])} for one in error.errors()]
        raise invalid_value(RequestValidationError(found)) from error
    spec = _spec(wish)
    check_alarm(spec)
    if name_key(spec.endpoint) not in asked.endpoints:
        _check_not_several(asked, spec)
        found = asked.yard.store.endpoints.get(spec.endpoint)
        if found.project != asked.project:
            raise Conflict(
                f"cannot deploy alarm {asked.name}: endpoint {found.name} is project {found.project}'s",
                f"deploy it with --project {found.project}",
            )
    known = {name_key(one.name) for one in asked.yard.store.secrets.select()}
    for webhook in spec.webhooks:
        check_webhook_url(webhook.url)
        if webhook.secret is not None and name_key(webhook.secret) not in known:
            raise InvalidValue(
                f"cannot deploy alarm {asked.name}: there is no secret {webhook.secret}",
                f"`modelyard secret set {webhook.secret}` makes it",
            )
    _check_mail(asked, spec)
    return asdict(spec)


def _check_not_several(asked: Asked, spec: AlarmSpec) -> None:
    """What is measured is measured of each endpoint. Raises InvalidValue where several answer under that name."""
    stored = (one.name.key for one in asked.yard.store.resources.select(SPLITTER))
    if (SPLITTER, name_key(spec.endpoint)) in asked.resources.union(stored):
        raise InvalidValue(
            f"cannot deploy alarm {asked.name}: several endpoints answer as {spec.endpoint}",
            "watch one of them: name it as `endpoint`, or write `variant` beside it",
        )


def _spec(wish: AlarmWish) -> AlarmSpec:
    comparison = COMPARISONS_OF_CLOUDWATCH.get(wish.comparison, wish.comparison)
    if comparison not in list(Comparison):
        raise InvalidValue(f"cannot compare by {wish.comparison[:40]!r}", f"write one of {', '.join(Comparison)}")
    datapoints = wish.periods if wish.datapoints is None else wish.datapoints
    return alarm_spec_from({**wish.model_dump(), "comparison": comparison, "datapoints": datapoints})


def _check_mail(asked: Asked, spec: AlarmSpec) -> None:
    for address in spec.addresses:
        name, at, host = address.partition("@")
        if not (at and name and host) or any(one.isspace() or ord(one) < 32 for one in address):
            raise InvalidValue(f"cannot send mail to {address[:80]!r}: not an address", "write NAME@HOST")
    if spec.addresses and asked.yard.mail is None:
        raise InvalidValue(
            f"cannot deploy alarm {asked.name}: this yard sends no mail",
            "set MODELYARD_MAIL_HOST and MODELYARD_MAIL_SENDER where `modelyard up` is started",
        )


@dataclass(frozen=True, slots=True)
class AlarmView:
    name: str
    project: str
    endpoint: str
    state: str
    """`ok`, `alarm` or `insufficient_data`."""
    since: str
    sentence: str
    value: float | None
    """What was measured when the state was entered."""
    condition: str
    spec: JsonObject


@dataclass(frozen=True, slots=True)
class AlarmsView:
    alarms: list[AlarmView]


@dataclass(frozen=True, slots=True)
class ChangeView:
    state: str
    at: str
    sentence: str
    value: float | None


@dataclass(frozen=True, slots=True)
class DeliveryView:
    id: str
    target: str
    created_at: str
    attempts: int
    due_at: str | None
    """null where it is over."""
    outcome: str | None


@dataclass(frozen=True, slots=True)
class AlarmHistoryView:
    alarm: AlarmView
    history: list[ChangeView]
    """Newest first."""
    deliveries: list[DeliveryView]
    """Newest first."""


@dataclass(frozen=True, slots=True)
class TestedView:
    deliveries: list[DeliveryView]


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "alarms")

    @router.get("/alarms")
    def list_alarms(endpoint: str | None = None) -> AlarmsView:
        """By name."""
        states = yard.store.alarms.states()
        seen = [one for one in yard.store.resources.select(KIND) if sees(KIND, one.name.name, one.project)]
        found = [_view(one, states.get(name_key(one.name.name))) for one in seen]
        return AlarmsView([one for one in found if endpoint is None or name_key(one.endpoint) == name_key(endpoint)])

    @router.get("/alarms/{name}")
    def get_alarm(name: str, limit: Annotated[int, Query(ge=1, le=HISTORY_MAX)] = 20) -> AlarmHistoryView:
        """The state that it is in, how it came there, and the messages that told of it."""
        resource = yard.store.resources.get(KIND, name)
        changes = yard.store.alarms.history(name, limit)
        return AlarmHistoryView(
            alarm=_view(resource, changes[0] if changes else None),
            history=[ChangeView(one.state.value, iso(one.at), one.sentence, one.value) for one in changes],
            deliveries=_deliveries(yard.store.alarms.deliveries(name, limit)),
        )

    @router.post("/alarms/{name}/test", status_code=202)
    def test_alarm(name: str) -> TestedView:
        """Sends a message to every webhook and address of an alarm, as if it had changed; its state stays."""
        resource = yard.store.resources.get(KIND, name)
        spec = alarm_spec_from(resource.wished.spec)
        now = yard.clock.now()
        change = yard.store.alarms.states().get(name_key(name)) or _untold(resource)
        change = replace(change, at=now, sentence=f"a test: {change.sentence}")
        body = message_body(change, None, spec, resource.project, kind="alarm.test")
        messages = messages_of(change, spec, body, secrets.token_hex)
        if not messages:
            raise InvalidValue(f"cannot test alarm {name}: it tells nobody", "give it `webhooks` or `email`")
        yard.store.alarms.add_deliveries(messages)
        yard.poke()
        return TestedView(_deliveries(messages))

    return router


def _untold(resource: Resource) -> AlarmChange:
    """The state of an alarm that was not judged yet."""
    spec = alarm_spec_from(resource.wished.spec)
    sentence = f"not judged yet whether {spec.condition}"
    at = resource.versions[0].created_at
    return AlarmChange(resource.name.name, spec.endpoint, AlarmState.INSUFFICIENT_DATA, at, sentence)


def _view(resource: Resource, change: AlarmChange | None) -> AlarmView:
    spec = alarm_spec_from(resource.wished.spec)
    present = change or _untold(resource)
    return AlarmView(
        name=resource.name.name,
        project=resource.project,
        endpoint=spec.endpoint,
        state=present.state.value,
        since=iso(present.at),
        sentence=present.sentence,
        value=present.value,
        condition=spec.condition,
        spec=json.loads(json.dumps(resource.wished.spec)),
    )


def _deliveries(several: Sequence[Delivery]) -> list[DeliveryView]:
    return [
        DeliveryView(
            id=one.id,
            target=one.target,
            created_at=iso(one.created_at),
            attempts=one.attempts,
            due_at=None if one.due_at is None else iso(one.due_at),
            outcome=one.outcome,
        )
        for one in several
    ]
