"""Cron expressions: five fields as Debian's cron reads them, or a word such as @daily.

Where a clock is put forward, a time that does not exist happens right after the gap; where it is put back, a time that
comes twice happens once (both as Debian's cron has it).
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

from modelyard.domain.names import nearest
from modelyard.domain.schedules import Timing
from modelyard.errors import InvalidValue

EXPRESSION_LENGTH_MAX = 256

_WORDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_HINT = "write MINUTE HOUR DAY MONTH WEEKDAY, such as `0 3 * * *`, or one of " + ", ".join(_WORDS)


class CronTimes:
    """Implements `domain.schedules.Times`."""

    def __init__(self, timing: Timing) -> None:
        """Raises InvalidValue where the expression or the zone is none."""
        self._zone = _zone(timing.time_zone)
        self._expression = _expression(timing.cron)
        if self.after(0.0) is None:
            raise InvalidValue(f"cannot use the schedule {timing.cron!r}: it names no time", _HINT)

    def after(self, moment: float) -> float | None:
        return self._next(moment, reverse=False)

    def until(self, moment: float) -> float | None:
        # Going backwards begins before the moment itself, which may be a time.
        return self._next(moment + 1.0, reverse=True)

    def _next(self, moment: float, *, reverse: bool) -> float | None:
        begin = datetime.fromtimestamp(moment, UTC).replace(microsecond=0).astimezone(self._zone)
        try:
            return next(CronSim(self._expression, begin, reverse=reverse)).timestamp()
        except StopIteration:
            return None


def _expression(text: str) -> str:
    expression = _WORDS.get(text.strip().lower(), text.strip())
    if len(expression) > EXPRESSION_LENGTH_MAX:
        raise InvalidValue(f"cannot use a schedule of {len(expression)} characters", _HINT)
    if len(expression.split()) != 5:
        raise InvalidValue(f"cannot use the schedule {text!r}: it has not five fields", _HINT)
    try:
        CronSim(expression, datetime.now(UTC))
    except CronSimError as error:
        raise InvalidValue(f"cannot use the schedule {text!r}: {str(error).lower()}", _HINT) from error
    return expression


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        close = nearest(name, available_timezones())
        hint = f"did you mean {close}?" if close else "write one such as Europe/Berlin"
        raise InvalidValue(f"cannot use the time zone {name!r}", hint) from error
