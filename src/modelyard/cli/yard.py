"""The yard itself: up, down, status, doctor, version."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelyard.cli.output import Format, Output, first_line, remark, say, say_json, say_table
from modelyard.cli.progress import waiting
from modelyard.cli.session import open_client
from modelyard.cli.times import age, size
from modelyard.domain.hosts import check_host_name, registrable, shares_domain
from modelyard.errors import InvalidValue, NotFound
from modelyard.settings import Home, YardSettings, home_from
from modelyard.version import VERSION

if TYPE_CHECKING:
    from modelyard.protocol.views_of_endpoints import EndpointView
    from modelyard.sdk.views import DiskView

DEFAULTS = YardSettings()

IDLE_DAYS = 1.0
"""An endpoint that nobody has asked for so long is named by `status`."""


def up(
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return when the yard answers, and leave it running.")
    ] = False,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = DEFAULTS.host,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = DEFAULTS.port,
    name: Annotated[
        list[str] | None, typer.Option(help="Host name under which the yard is reached. Repeatable.")
    ] = None,
    apps_domain: Annotated[
        str | None, typer.Option(help="Domain below which apps and sites have their names, beside localhost.")
    ] = None,
    tls_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port for TLS beside the other; other machines are sent there."),
    ] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option(help="Certificate with its chain (PEM); without one the yard makes its own.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="The certificate's key (PEM).")] = None,
    install: Annotated[
        bool, typer.Option("--install", help="Write a systemd user unit that starts it with the machine, and no more.")
    ] = False,
    output: Output = Format.PRETTY,
) -> None:
    """Start the yard: everything on one port."""
    from modelyard.cli import supervisor  # noqa: PLC0415 (start-up time of the other commands)

    home = home_from(os.environ)
    settings = replace(
        _settings(host, port, tuple(name or ()), tls_port, tls_certificate, tls_key),
        apps_domain=check_host_name(apps_domain) if apps_domain is not None else None,
    )
    _warn_of_shared_cookies(settings)
    home.make()
    if install:
        _install(home, settings, output)
        return
    found = supervisor.find_supervisor(home)
    if found is not None and found.alive:
        _say_up(f"a yard runs already in {home.root}", found, output, started=False)
        return
    if not detach:
        supervisor.become_supervisor(settings)
    with waiting() as shown:
        shown.show("starting")
        found = supervisor.start_supervisor(home, settings, _answers)
    _say_up("the yard is up", found, output, started=True)


def _warn_of_shared_cookies(settings: YardSettings) -> None:
    """Pages of one registrable domain count as one site: what an app's page sends to the console is then sent with
    cookies that no other site could use."""
    domain = settings.apps_domain
    shared = next((one for one in settings.names if domain is not None and shares_domain(one, domain)), None)
    if domain is not None and shared is not None:
        remark(
            f"apps at *.{domain} and the console at {shared} share the domain {registrable(domain)}: browsers take "
            "them for one site; give apps a domain of their own"
        )


def _settings(
    host: str, port: int, names: tuple[str, ...], tls_port: int | None, certificate: Path | None, key: Path | None
) -> YardSettings:
    """Raises InvalidValue where the options do not go together, NotFound for a file that is not there."""
    if (certificate is None) != (key is None):
        raise InvalidValue(
            "cannot use TLS: a certificate and its key go together", "give --tls-certificate and --tls-key"
        )
    if certificate is not None and tls_port is None:
        raise InvalidValue("cannot use TLS without a port of its own", "give --tls-port, such as 8443")
    for file in (certificate, key):
        if file is not None and not file.is_file():
            raise NotFound(f"cannot find {file}", "name a PEM file")
    given = (str(one.absolute()) if one is not None else None for one in (certificate, key))
    return YardSettings(host, port, tuple(one.lower() for one in names), None, tls_port, *given)


def _install(home: Home, settings: YardSettings, output: Format) -> None:
    from modelyard.cli.service_unit import install_unit  # noqa: PLC0415 (start-up time of the other commands)

    unit = install_unit(home, settings, os.environ)
    commands = ["systemctl --user daemon-reload", f"systemctl --user enable --now {unit.name}"]
    lingering = "loginctl enable-linger"
    if output is Format.JSON:
        say_json({"unit": str(unit), "next": [*commands, lingering]})
        return
    say(f"wrote {unit}; next:")
    for command in commands:
        say(f"  {command}")
    say(f"  {lingering}      so that it runs while you are logged out")


def _answers(url: str) -> bool:
    from modelyard.sdk.client import Client  # noqa: PLC0415 (start-up time of the other commands)

    with Client(url) as client:
        return client.healthy() and client.answers()


def _say_up(sentence: str, found: Any, output: Format, *, started: bool) -> None:
    if output is Format.JSON:
        say_json({"url": found.url, "pid": found.identity.pid, "started": started})
        return
    say(f"{sentence}: {found.url}")
    if started:
        say("next: `modelyard deploy model.joblib`, `modelyard train`, `modelyard open` for the console")
        say("`modelyard down` ends it")


def down(output: Output = Format.PRETTY) -> None:
    """End the yard and everything that it runs."""
    from modelyard.cli import supervisor  # noqa: PLC0415 (start-up time of the other commands)

    home = home_from(os.environ)
    found = supervisor.find_supervisor(home)
    if found is not None and found.alive:
        ended = _what_runs()
        with waiting() as shown:
            supervisor.end_supervisor(found, shown.show)
        sentence = f"ended the yard at {found.url}" + (f": {ended}" if ended else "")
    elif home.processes.exists() or home.yard.exists():
        count = supervisor.clean_up(home)
        left = f"ended {count} process{'' if count == 1 else 'es'} that it left behind" if count else "nothing was left"
        sentence = f"the supervisor of {home.root} was gone already; {left}"
    else:
        sentence = f"no yard runs in {home.root}"
    say_json({"sentence": sentence}) if output is Format.JSON else say(sentence)


def _what_runs() -> str:
    """What is about to be ended, where the yard can still say it."""
    from modelyard.errors import ModelyardError  # noqa: PLC0415 (start-up time of the other commands)

    try:
        with open_client() as client:
            processes = [one["name"] for one in client.status()["processes"] if one["alive"]]
            replicas = sum(len(one.replicas) for one in client.endpoints())
    except ModelyardError:
        return ""
    return ", ".join([*processes, f"{replicas} replica{'' if replicas == 1 else 's'}"])


def status(output: Output = Format.PRETTY) -> None:
    """Show the yard's address, processes, memory and endpoints."""
    with open_client() as client:
        found = client.status()
        endpoints = client.endpoints()
    if output is Format.JSON:
        say_json({**found, "endpoints": endpoints})
        return
    say(f"{found['url']}   up for {age(found['started_at'])}   version {found['version']}   home {found['home']}")
    say()
    rows = [
        (one["name"], one["pid"], "alive" if one["alive"] else "gone", size(one["pss_bytes"]))
        for one in found["processes"]
    ]
    say_table(("process", "pid", "state", "memory"), rows)
    total = sum(one["pss_bytes"] or 0 for one in found["processes"])
    say(f"together {size(total)}")
    _say_disk(found["disk"])
    say()
    say(
        ", ".join(
            f"{count} {noun if count != 1 else noun.removesuffix('s')}" for noun, count in found["counts"].items()
        )
    )
    for one in endpoints:
        say(f"{one.name}: {one.state}, {one.ready}/{one.requested} ready; {first_line(one.sentence)}")
    idle = idle_endpoints(endpoints, datetime.now(UTC))
    if idle:
        say()
        say(f"no request for {int(IDLE_DAYS)} day or more: {', '.join(idle)}")


def idle_endpoints(endpoints: "list[EndpointView]", now: datetime) -> list[str]:
    """Those that nobody has asked for IDLE_DAYS, the longest first, each with since when."""
    since = [(one.last_request_at or one.created_at, one) for one in endpoints]
    old = [(at, one) for at, one in since if now - datetime.fromisoformat(at) >= timedelta(days=IDLE_DAYS)]
    return [
        f"{one.name} ({age(at, now)}{'' if one.last_request_at else ', never asked'})"
        for at, one in sorted(old, key=lambda pair: pair[0])
    ]


def _say_disk(disk: "DiskView") -> None:
    say(f"disk {size(disk['free_bytes'])} free of {size(disk['total_bytes'])}")
    if disk["refusing"]:
        say(
            f"new work is refused until {size(disk['limit_bytes'])} are free: `modelyard gc` frees what nothing needs;"
            " predictions go on"
        )


def doctor(output: Output = Format.PRETTY) -> None:
    """Check everything that a yard needs of this machine, with a remedy for what is wrong."""
    from modelyard.cli.checkup import Verdict, check_machine  # noqa: PLC0415 (start-up time of the other commands)

    findings = check_machine(home_from(os.environ), DEFAULTS.port)
    if output is Format.JSON:
        say_json(
            [{"name": one.name, "verdict": one.verdict, "found": one.found, "remedy": one.remedy} for one in findings]
        )
    else:
        say_table(("check", "verdict", "found"), [(one.name, one.verdict, one.found) for one in findings])
        for one in findings:
            if one.remedy:
                say(f"{one.name}: {one.remedy}")
    if any(one.verdict is Verdict.BAD for one in findings):
        raise typer.Exit(1)


def version(output: Output = Format.PRETTY) -> None:
    """Print the version of this program."""
    say_json({"version": VERSION}) if output is Format.JSON else say(VERSION)


def add_to(app: typer.Typer) -> None:
    for command in (up, down, status, doctor, version):
        app.command()(command)
