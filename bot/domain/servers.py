"""What a server's admins have chosen, apart from limits and access rules."""

from dataclasses import dataclass
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

DEFAULT_ZONE = "UTC"
APPROVAL_HOURS = 24


@dataclass(frozen=True, slots=True)
class Server:
    """One Discord server. Money is micros; a moderators' message goes to `notices_channel_id`.

    `pause_reason` is what members read while no new clips are made; None while they are. `approval_micros`: a
    clip whose hold is above it waits for a moderator, `approval_hours` at most. `reported_until` is the end of the
    last month that was reported, or when reports began; milliseconds since 1970.
    """

    id: int
    name: str = ""
    zone: str = DEFAULT_ZONE
    pause_reason: str | None = None
    approval_micros: int | None = None
    approval_hours: int = APPROVAL_HOURS
    notices_channel_id: int | None = None
    monthly_report: bool = False
    alarms: bool = True
    reported_until: int | None = None

    @property
    def tz(self) -> ZoneInfo:
        return zone(self.zone)


@cache
def zone(name: str) -> ZoneInfo:
    """The time zone of an IANA name such as Europe/Berlin; `ValueError` where there is none."""
    if name not in zone_names():
        raise ValueError(f"{name!r} is no time zone such as Europe/Berlin")
    return ZoneInfo(name)


@cache
def zone_names() -> frozenset[str]:
    return frozenset(available_timezones())
