"""API gateways: what is left of their usage plans."""

from typing import TYPE_CHECKING, Annotated

import typer

from modelyard.cli.output import Format, Output, say, say_json, say_table
from modelyard.cli.session import open_client
from modelyard.cli.times import age, left

if TYPE_CHECKING:
    from modelyard.protocol.views import UsageView

ALL_TOGETHER = "(all together)"


def usage(
    name: Annotated[str, typer.Argument(help="API gateway.")],
    output: Output = Format.PRETTY,
) -> None:
    """Show what each key of an API gateway has used of its plan, and what is left."""
    from dataclasses import asdict  # noqa: PLC0415 (start-up time)

    with open_client() as client:
        _kind, found = client.resolve(name, ("gateway",))
        view = client.usage(found)
    if output is Format.JSON:
        say_json(asdict(view))
    elif not view.usages:
        say(f"{view.name} bounds nobody; `plans` and `keys` of the yard file do")
    else:
        say_table(("key", "plan", "used", "left", "at once", "resets", "asked"), [_row(one) for one in view.usages])


def _row(one: "UsageView") -> tuple[str | None, ...]:
    quota = one.quota is not None
    return (
        one.key or ALL_TOGETHER,
        one.plan,
        f"{one.used} of {one.quota} a {one.per}" if quota else f"{one.used} this {one.per}",
        str(one.left) if quota else "",
        "" if one.at_once is None else str(one.at_once),
        f"in {left(one.resets_at)}" if one.resets_at else "",
        age(one.asked_at) or "never",
    )


def add_to(app: typer.Typer) -> None:
    app.command()(usage)
