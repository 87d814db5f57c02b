"""What a wish came to, as it is shown: one shape for deploy, rollback and refresh."""

from dataclasses import dataclass

from modelyard.domain.deployments import Outcome


@dataclass(frozen=True, slots=True)
class OutcomeView:
    kind: str
    name: str
    change: str
    version: int | None
    source: int | None
    sentence: str


def outcome_view(outcome: Outcome) -> OutcomeView:
    return OutcomeView(
        kind=outcome.kind,
        name=outcome.name,
        change=outcome.change.value,
        version=outcome.version,
        source=outcome.source,
        sentence=outcome.sentence,
    )
