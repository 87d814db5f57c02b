"""What the yard serves, at a glance and in long lists. Reads no documents, so that thousands are told of as quickly as
one."""

from collections.abc import Iterable, Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from modelyard.api.permissions import guarded, sees, sees_everything
from modelyard.api.yard import Yard
from modelyard.clock import iso
from modelyard.domain.headlines import Headline, Sought, idle, newest_asked, tally, wrong
from modelyard.domain.names import NAME_LENGTH_MAX
from modelyard.protocol.views import HeadlinesView, HeadlineView, OverviewView

HEADLINES_MAX = 1000
"""Of one answer."""
SHOWN_MAX = 100
"""Of each list of an overview."""
WORDS_MAX = 16
"""Of one question: states, kinds."""
IDLE_SECONDS = 3600.0


class Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(max_length=2 * NAME_LENGTH_MAX)] = ""
    state: Annotated[list[str], Field(max_length=WORDS_MAX)] = []
    kind: Annotated[list[str], Field(max_length=WORDS_MAX)] = []
    project: str = ""
    limit: Annotated[int, Field(ge=0, le=HEADLINES_MAX)] = 100
    offset: Annotated[int, Field(ge=0)] = 0


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "overview")

    @router.get("/overview")
    def show_overview(
        idle_seconds: Annotated[float, Query(ge=0)] = IDLE_SECONDS,
        limit: Annotated[int, Query(ge=0, le=SHOWN_MAX)] = 20,
    ) -> OverviewView:
        """What runs, what is wrong, what is idle; the first few of each, and how many there are."""
        seen = _seen(yard)
        told, bad, idling = tally(seen), wrong(seen), idle(seen, idle_seconds, yard.clock.now())
        return OverviewView(
            count=told.count,
            ready=told.ready,
            states=dict(told.states),
            kinds=dict(told.kinds),
            asked=_views(newest_asked(seen)[:limit]),
            wrong=_views(_with_whole_sentences(yard, bad[:limit])),
            wrong_count=len(bad),
            idle=_views(idling[:limit]),
            idle_count=len(idling),
        )

    @router.get("/headlines")
    def list_headlines(asked: Annotated[Asked, Query()]) -> HeadlinesView:
        """Endpoints, apps and functions by name, a line each."""
        seen = _seen(yard)
        sought = Sought(asked.text, tuple(asked.state), asked.project, tuple(asked.kind))
        kinds = Sought(kinds=sought.kinds)
        among = [one for one in seen if kinds.finds(one)]
        found = [one for one in among if sought.finds(one)]
        told = tally(among)
        return HeadlinesView(
            total=len(found),
            count=told.count,
            states=dict(told.states),
            projects=list(told.projects),
            headlines=_views(found[asked.offset : asked.offset + asked.limit]),
        )

    return router


def _seen(yard: Yard) -> Sequence[Headline]:
    found = yard.store.endpoints.headlines()
    return found if sees_everything() else [one for one in found if sees(one.kind, one.name, one.project)]


def _with_whole_sentences(yard: Yard, headlines: list[Headline]) -> list[Headline]:
    statuses = yard.store.endpoints.statuses([one.key for one in headlines])
    return [one._replace(sentence=statuses[one.key].sentence) if one.key in statuses else one for one in headlines]


def _views(headlines: Iterable[Headline]) -> list[HeadlineView]:
    return [
        HeadlineView(
            kind=one.kind,
            name=one.name,
            project=one.project,
            model=one.model,
            state=one.state.value,
            sentence=one.sentence,
            ready=one.ready,
            requested=one.requested,
            serving_version=one.serving_version,
            wished_version=one.wished_version,
            wished_at=iso(one.wished_at),
            last_request_at=None if one.last_request_at is None else iso(one.last_request_at),
        )
        for one in headlines
    ]
