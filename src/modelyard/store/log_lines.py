"""Lines of a replica's output as values: stamped where they were printed, chosen by what somebody wants to see."""

from dataclasses import dataclass

from modelyard_worker.stamps import LEVELS, read_stamp


@dataclass(frozen=True, slots=True)
class LogLine:
    """`at` is RFC 3339 in UTC. A line that was printed past Python has the stamp of the line before it, and where there
    is none before it, none."""

    replica: str
    at: str | None
    level: str | None
    requests: tuple[str, ...]
    text: str
    stamped: bool = True

    @property
    def printed(self) -> str:
        """As the file has it."""
        if not self.stamped:
            return self.text
        return f"{self.at} {self.level} {','.join(self.requests) or '-'} {self.text}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines somebody wants to see; what is None leaves all in."""

    level: str | None = None
    """At least so grave: one of LEVELS."""
    since: str | None = None
    """Printed at this time or later; as stamps have it, so that texts compare like times."""
    request: str | None = None

    @property
    def everything(self) -> bool:
        return self == Wanted()

    def has(self, line: LogLine) -> bool:
        """A line without any stamp is wanted only where everything is."""
        if line.at is None or line.level is None:
            return self.everything
        grave = self.level is None or LEVELS.index(line.level) >= LEVELS.index(self.level)
        return grave and line.at >= (self.since or "") and self.request in (None, *line.requests)


class LineReader:
    """Takes the lines of one replica's output in their order."""

    def __init__(self, replica: str) -> None:
        self._replica = replica
        self._last: LogLine | None = None

    def read(self, text: str) -> LogLine:
        """`text` is one line without its end."""
        found = read_stamp(text)
        if found is not None:
            requests = () if found.requests == "-" else tuple(found.requests.split(","))
            self._last = LogLine(self._replica, found.at, found.level, requests, found.text)
            return self._last
        before = self._last
        if before is None:
            return LogLine(self._replica, None, None, (), text, stamped=False)
        return LogLine(self._replica, before.at, before.level, before.requests, text, stamped=False)


def merged(lines: list[LogLine]) -> list[LogLine]:
    """Lines of several replicas, each replica's in its own order, by their times."""
    return sorted(lines, key=lambda line: line.at or "")
