"""What a gateway says of the ports that apps, sites and gateways have for their own: a JSON file, replaced whole.

{"8501": null, "8502": "another program listens there; ..."}     port -> why it is not open, null where it is
"""

from collections.abc import Mapping
from pathlib import Path

from modelyard_worker.records import read_json, write_json


def write_ports(path: Path, ports: Mapping[int, str | None]) -> None:
    """Raises OSError."""
    document = {str(port): why for port, why in sorted(ports.items())}
    write_json(str(path), document, durable=False)


def read_ports(path: Path) -> dict[int, str | None]:
    """Nothing where there is no such file, or none that can be read."""
    found = read_json(str(path)) or {}
    return {int(port): None if why is None else str(why) for port, why in found.items() if port.isdigit()}
