"""How far a server's budget is used up, as moderators are told once for each step and window."""

from dataclasses import dataclass
from datetime import UTC, tzinfo

from bot.domain.limits import OPERATOR, Limit, Period, Scope, Window, window


@dataclass(frozen=True, slots=True)
class Alarm:
    """One step that a budget has reached. `owner_id` is the server whose admins set it, or the operator.

    `percent` above 100 says that what is left was too little for a clip that was asked for. `since` begins the
    budget's window and `at` is when the step was reached, milliseconds since 1970.
    """

    id: int
    server_id: int
    owner_id: int
    period: Period
    since: int
    percent: int
    limit_micros: int
    spent_micros: int
    held_micros: int
    at: int

    @property
    def used_micros(self) -> int:
        return self.spent_micros + self.held_micros

    @property
    def limit(self) -> Limit:
        return Limit(Scope.SERVER, self.period, self.limit_micros, server_id=self.owner_id)

    def span(self, zone: tzinfo) -> Window:
        """The budget's window; `zone` is the server's, which the operator's budgets do not follow."""
        return window(self.period, self.since, UTC if self.owner_id == OPERATOR else zone)
