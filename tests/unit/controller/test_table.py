"""What is published: a snapshot file that is always whole, a journal beside it, and deltas without gaps."""

from pathlib import Path
from typing import Any

import pytest

from modelyard.controller.table import JOURNAL_BYTES_MAX, Publisher
from modelyard.gateway.follower import read_table
from modelyard.protocol.table import EndpointEntry, Table, apply_delta, delta_from, table_from
from modelyard.settings import Home


def entry(name: str, version: int = 1) -> EndpointEntry:
    return EndpointEntry(
        name, version, (), None, max_queue_length=1, max_queue_bytes=1, timeout_seconds=1, max_body_bytes=1,
        idempotent=True,
    )  # fmt: skip


def followed(publisher: Publisher) -> list[dict[str, Any]]:
    heard: list[dict[str, Any]] = []
    publisher.follow(heard.append)
    return heard


def publisher_in(folder: Path) -> Publisher:
    return Publisher(folder / "table.json", folder / "table.journal")


def on_disk(folder: Path) -> Table:
    """What a gateway that starts now begins with."""
    found = read_table(Home(folder))
    assert found is not None
    return found


def test_the_files_hold_what_was_told_last(tmp_path: Path) -> None:
    publisher = publisher_in(tmp_path)
    publisher.publish({"iris": entry("iris")})
    publisher.publish({"iris": entry("iris", 2), "wine": entry("wine")})
    assert on_disk(tmp_path) == publisher.table
    assert (publisher.table.number, sorted(publisher.table.entries)) == (2, ["iris", "wine"])


def test_a_follower_hears_the_snapshot_and_every_change_after_it_numbered_without_gaps(tmp_path: Path) -> None:
    publisher = publisher_in(tmp_path)
    publisher.publish({"iris": entry("iris")})
    heard = followed(publisher)
    publisher.publish({"iris": entry("iris", 2)})
    publisher.publish({"iris": entry("iris", 2)})
    publisher.publish({"wine": entry("wine")}, {"iris", "never-there"})
    assert [one["type"] for one in heard] == ["snapshot", "delta", "delta"]
    table: Table | None = table_from(heard[0]["table"])
    for one in heard[1:]:
        assert table is not None
        table = apply_delta(table, delta_from(one["delta"]))
    assert table == publisher.table
    assert list(publisher.table.entries) == ["wine"]


def test_who_has_missed_a_delta_sees_so(tmp_path: Path) -> None:
    publisher = publisher_in(tmp_path)
    heard = followed(publisher)
    for version in (1, 2):
        publisher.publish({"iris": entry("iris", version)})
    assert apply_delta(table_from(heard[0]["table"]), delta_from(heard[2]["delta"])) is None


def test_the_next_controller_counts_on_from_the_files(tmp_path: Path) -> None:
    publisher_in(tmp_path).publish({"iris": entry("iris")})
    publisher = publisher_in(tmp_path)
    publisher.publish({"iris": entry("iris")})
    assert publisher.table.number == 1
    publisher.publish({}, {"iris"})
    assert publisher.table == Table(2, {})


def test_a_change_among_many_writes_one_line_and_no_snapshot(tmp_path: Path) -> None:
    publisher = publisher_in(tmp_path)
    publisher.publish({f"iris-{number}": entry(f"iris-{number}") for number in range(100)})
    before = (tmp_path / "table.json").read_bytes()
    publisher.publish({"iris-7": entry("iris-7", 2)})
    assert (tmp_path / "table.json").read_bytes() == before
    assert len((tmp_path / "table.journal").read_bytes().splitlines()) == 2
    assert on_disk(tmp_path) == publisher.table


def test_a_journal_that_has_grown_becomes_a_snapshot_and_begins_again(tmp_path: Path) -> None:
    publisher = publisher_in(tmp_path)
    publisher.publish({"x": entry("x" * JOURNAL_BYTES_MAX)})
    publisher.publish({"wine": entry("wine")})
    assert len((tmp_path / "table.journal").read_bytes().splitlines()) == 1
    assert on_disk(tmp_path) == publisher.table


@pytest.mark.parametrize("torn", [b'{"number": 2, "pu', b"[]\n", b'{"number": 9, "put": {}, "drop": []}\n'])
def test_a_journal_is_read_as_far_as_it_makes_sense(tmp_path: Path, torn: bytes) -> None:
    publisher = publisher_in(tmp_path)
    publisher.publish({"iris": entry("iris")})
    with (tmp_path / "table.journal").open("ab") as journal:
        journal.write(torn)
    assert on_disk(tmp_path) == publisher.table
    successor = publisher_in(tmp_path)
    successor.publish({"wine": entry("wine")})
    assert on_disk(tmp_path) == successor.table


def test_a_file_that_cannot_be_read_is_begun_anew_and_one_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "table.json").write_text("{half")
    assert publisher_in(tmp_path).table == Table(0, {})
    publisher = publisher_in(tmp_path / "nowhere")
    heard = followed(publisher)
    publisher.publish({"iris": entry("iris")})
    assert [one["type"] for one in heard] == ["snapshot", "delta"]


def test_who_follows_no_more_hears_no_more(tmp_path: Path) -> None:
    publisher = publisher_in(tmp_path)
    heard: list[dict[str, Any]] = []
    publisher.follow(heard.append)()
    publisher.publish({"iris": entry("iris")})
    assert len(heard) == 1
