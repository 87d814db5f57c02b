"""What is published: a snapshot file that is always whole, and deltas without gaps."""

import json
from pathlib import Path
from typing import Any

from modelyard.controller.table import Publisher
from modelyard.protocol.table import EndpointEntry, Table, apply_delta, delta_from, table_from


def entry(name: str, version: int = 1) -> EndpointEntry:
    return EndpointEntry(
        name, version, (), None, max_queue_length=1, max_queue_bytes=1, timeout_seconds=1, max_body_bytes=1,
        idempotent=True,
    )  # fmt: skip


def followed(publisher: Publisher) -> list[dict[str, Any]]:
    heard: list[dict[str, Any]] = []
    publisher.follow(heard.append)
    return heard


def test_the_file_holds_what_was_told_last(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path / "table.json")
    publisher.publish({"iris": entry("iris")})
    publisher.publish({"iris": entry("iris", 2), "wine": entry("wine")})
    assert table_from(json.loads((tmp_path / "table.json").read_text())) == publisher.table
    assert (publisher.table.number, sorted(publisher.table.entries)) == (2, ["iris", "wine"])


def test_a_follower_hears_the_snapshot_and_every_change_after_it_numbered_without_gaps(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path / "table.json")
    publisher.publish({"iris": entry("iris")})
    heard = followed(publisher)
    publisher.publish({"iris": entry("iris", 2)})
    publisher.publish({"iris": entry("iris", 2)})
    publisher.publish({"wine": entry("wine")})
    assert [one["type"] for one in heard] == ["snapshot", "delta", "delta"]
    table: Table | None = table_from(heard[0]["table"])
    for one in heard[1:]:
        assert table is not None
        table = apply_delta(table, delta_from(one["delta"]))
    assert table == publisher.table


def test_who_has_missed_a_delta_sees_so(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path / "table.json")
    heard = followed(publisher)
    for version in (1, 2):
        publisher.publish({"iris": entry("iris", version)})
    assert apply_delta(table_from(heard[0]["table"]), delta_from(heard[2]["delta"])) is None


def test_the_next_controller_counts_on_from_the_file(tmp_path: Path) -> None:
    Publisher(tmp_path / "table.json").publish({"iris": entry("iris")})
    publisher = Publisher(tmp_path / "table.json")
    publisher.publish({"iris": entry("iris")})
    assert publisher.table.number == 1
    publisher.publish({})
    assert publisher.table == Table(2, {})


def test_a_file_that_cannot_be_read_is_begun_anew_and_one_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "table.json").write_text("{half")
    assert Publisher(tmp_path / "table.json").table == Table(0, {})
    publisher = Publisher(tmp_path / "nowhere" / "table.json")
    heard = followed(publisher)
    publisher.publish({"iris": entry("iris")})
    assert [one["type"] for one in heard] == ["snapshot", "delta"]


def test_who_follows_no_more_hears_no_more(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path / "table.json")
    heard: list[dict[str, Any]] = []
    publisher.follow(heard.append)()
    publisher.publish({"iris": entry("iris")})
    assert len(heard) == 1
