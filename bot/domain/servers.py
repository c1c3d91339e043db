"""What a server's admins have chosen, apart from limits and access rules."""

from dataclasses import dataclass
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

DEFAULT_ZONE = "UTC"
APPROVAL_HOURS = 24
#: Stands for the server of clips asked for where none is around: in direct messages, or by a member who installed the
#: bot for themselves. It has no admins, no rules and no budget; what the operator lets a member spend holds.
NO_SERVER = 0


@dataclass(frozen=True, slots=True)
class Server:
    """One Discord server. Money is micros; a moderators' message goes to `notices_channel_id`.

    `pause_reason` is what members read while no new clips are made; None while they are. `approval_micros`: a
    clip whose list price is above it waits for a moderator, `approval_hours` at most. `reported_until` is the end
    of the last month that was reported, or when reports began; milliseconds since 1970.
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
        """UTC where this machine does not know the chosen zone: its list may have changed since."""
        return zone(self.zone if self.zone in zone_names() else DEFAULT_ZONE)


@cache
def zone(name: str) -> ZoneInfo:
    """The time zone of an IANA name such as Europe/Berlin; `ValueError` where there is none."""
    if name not in zone_names():
        raise ValueError(f"{name!r} is no time zone such as Europe/Berlin")
    return ZoneInfo(name)


@cache
def zone_names() -> frozenset[str]:
    """The IANA names. The first call reads the whole zone database: call it in a thread."""
    # `localtime` is another zone on another machine, `Factory` none at all.
    return frozenset(available_timezones() - {"localtime", "Factory"})


def zones_like(typed: str, *, most: int) -> list[str]:
    """Names that begin with what is typed, then those whose city does, then those that hold it anywhere."""
    wanted = _folded(typed)
    found = [name for name in sorted(zone_names()) if wanted in _folded(name)]
    return sorted(found, key=lambda name: _distance(wanted, _folded(name)))[:most]


def zone_called(typed: str) -> str | None:
    """The IANA name, however its letters were written; None where there is none."""
    wanted = _folded(typed)
    return next((name for name in zone_names() if _folded(name) == wanted), None)


def _distance(wanted: str, name: str) -> int:
    if name.startswith(wanted):
        return 0
    return 1 if name.rpartition("/")[2].startswith(wanted) else 2


def _folded(name: str) -> str:
    return "_".join(name.split()).casefold()
