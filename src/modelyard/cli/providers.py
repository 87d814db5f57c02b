"""OpenID providers: other sites that people sign in by."""

from typing import Annotated

import typer

from modelyard.cli.access import grants_text, read_roles
from modelyard.cli.output import Format, Output, say, say_json, say_table, say_told
from modelyard.cli.session import open_client
from modelyard.errors import InvalidValue

providers = typer.Typer(name="providers", help="OpenID providers that people sign in by.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="What it is called here.")]
Issuer = Annotated[str, typer.Option(help="Its address, as it says itself.")]
ClientId = Annotated[str, typer.Option(help="What it knows this yard by.")]
ClientSecret = Annotated[str | None, typer.Option(help="Name of the yard's secret that holds the client's secret.")]
Label = Annotated[str, typer.Option(help="What the button says; by default the name.")]
Admits = Annotated[
    list[str] | None, typer.Option(help="Domain, address or *: who may come without having been added. Repeatable.")
]
Roles = Annotated[
    list[str] | None,
    typer.Option(help="ROLE, ROLE:PROJECT or ROLE:KIND/NAME, for those who come first. Repeatable."),
]
Groups = Annotated[list[str] | None, typer.Option(help="THERE=HERE: who is in the one is in the other. Repeatable.")]
Scopes = Annotated[list[str] | None, typer.Option(help="Beside openid, email and profile. Repeatable.")]


@providers.command(name="list")
def list_providers(output: Output = Format.PRETTY) -> None:
    """List the providers, whom they admit, and where they send browsers back to."""
    with open_client() as client:
        found = client.access.providers()
    if output is Format.JSON:
        say_json({"providers": found})
    elif not found:
        say("no providers yet; `modelyard providers put NAME --issuer URL --client-id ID` adds one")
    else:
        rows = [(one.name, one.issuer, _admitted(one.admits), one.callback) for one in found]
        say_table(("provider", "issuer", "admits", "callback"), rows)


@providers.command(name="put")
def put_provider(
    name: Name,
    issuer: Issuer,
    client_id: ClientId,
    client_secret: ClientSecret = None,
    label: Label = "",
    admit: Admits = None,
    role: Roles = None,
    group: Groups = None,
    groups_claim: Annotated[str, typer.Option(help="The claim that names groups.")] = "groups",
    scope: Scopes = None,
    trust_emails: Annotated[bool, typer.Option(help="Take addresses that it does not call verified.")] = False,
    sign_out: Annotated[bool, typer.Option(help="Signing out here signs out there too.")] = False,
    output: Output = Format.PRETTY,
) -> None:
    """Add a provider, or change it as a whole."""
    with open_client() as client:
        view = client.access.put_provider(
            name,
            issuer=issuer,
            client_id=client_id,
            client_secret=client_secret,
            label=label,
            scopes=["openid", "email", "profile", *(scope or ())],
            admits=admit or [],
            grants=read_roles(role),
            groups=_read_groups(group),
            groups_claim=groups_claim,
            trusts_emails=trust_emails,
            signs_out=sign_out,
        )
    granted = f"; who comes first is {grants_text(view.grants)}" if view.grants else ""
    sentence = f"{view.name} admits {_admitted(view.admits)}{granted}"
    if output is Format.JSON:
        say_told(view, sentence)
    else:
        say(f"{sentence}\nname this callback to it: {view.callback}")


@providers.command(name="check")
def check_provider(name: Name, output: Output = Format.PRETTY) -> None:
    """Ask a provider what it publishes of itself."""
    with open_client() as client:
        view = client.access.check_provider(name)
    say_json(view) if output is Format.JSON else say(view.sentence)


@providers.command(name="remove")
def remove_provider(name: Name, output: Output = Format.PRETTY) -> None:
    """Let nobody sign in by it any more; sessions that there are go on."""
    with open_client() as client:
        view = client.access.remove_provider(name)
    sentence = f"removed {view.name}"
    say_told(view, sentence) if output is Format.JSON else say(sentence)


def _admitted(words: list[str]) -> str:
    return ", ".join(words) or "who was added"


def _read_groups(words: list[str] | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words or ():
        there, _, here = word.partition("=")
        if not there or not here:
            raise InvalidValue(f"cannot map group {word!r} without its two names", "write --group THERE=HERE")
        found[there] = here
    return found


def add_to(app: typer.Typer) -> None:
    app.add_typer(providers)
