"""Packages: code, model and environment of what serves; one with its files, what it is made of, whether it is whole."""

import json
from typing import Any

from modelyard.console.paging import one_page
from modelyard.console.sent_files import sent_folder
from modelyard.console.visits import Answer, Page, Visit
from modelyard.errors import InvalidValue
from modelyard.sdk.client import Client

FILES_SHOWN = 500


def package_list(client: Client, visit: Visit) -> dict[str, Any]:
    text = visit.asked("q").lower()
    found = client.packages()
    like = [one for one in found if text in f"{one['digest']} {' '.join(one['endpoints'])}".lower()]
    shown, paging = one_page(like, visit)
    return {"packages": shown, "paging": paging, "all_count": len(found)}


def import_package(client: Client, visit: Visit) -> Answer:
    """Raises InvalidValue where it is no package, or not whole."""
    with sent_folder(visit) as folder:
        sent = [*folder.iterdir()]
        if len(sent) != 1:
            raise InvalidValue("cannot import a package without its file", "choose one file that ends in .myp")
        made = client.import_package(sent[0])
    return f"/packages/{made['digest']}"


def package_page(client: Client, visit: Visit) -> dict[str, Any]:
    inspected = client.package(visit.names["reference"])
    return {
        "package": inspected["package"],
        "files": inspected["files"][:FILES_SHOWN],
        "lock": inspected["lock"],
        "document": json.dumps(inspected["package"]["document"], indent=2, ensure_ascii=False),
        "differences": None,
    }


def verify(client: Client, visit: Visit) -> Answer:
    return {"differences": client.verify_package(visit.names["reference"])}


PAGES = (
    Page("/packages", "packages.html", package_list, {"import": import_package}),
    Page("/packages/{reference}", "package.html", package_page, {"verify": verify}),
)
