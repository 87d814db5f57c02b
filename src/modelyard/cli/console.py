"""The web console: open."""

from typing import Annotated

import typer

from modelyard.cli.output import Format, Output, say, say_json
from modelyard.cli.session import open_client


def open_console(
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Start a browser with the link.")] = True,
    output: Output = Format.PRETTY,
) -> None:
    """Open the console in a browser, by a link that works once."""
    import webbrowser  # noqa: PLC0415 (only here)

    with open_client() as client:
        link = client.link()
    link["url"] = _at_localhost(link["url"])
    started = browser and webbrowser.open(link["url"])
    if output is Format.JSON:
        say_json({**link, "browser": started})
    else:
        say(f"opened {link['url']}" if started else f"open this once, within a minute: {link['url']}")


def _at_localhost(url: str) -> str:
    """Whoever comes to NAME.localhost is sent to the login at localhost, where a session at 127.0.0.1 is unknown."""
    return url.replace("://127.0.0.1:", "://localhost:", 1)


def add_to(app: typer.Typer) -> None:
    app.command(name="open")(open_console)
