"""Addresses at which members fetch clips that no message takes: signed, and good for some days."""

import hashlib
import hmac
from dataclasses import dataclass

from bot.domain.parcel import Link
from bot.domain.ports import Clock

_PATH = "/clips/"
_LENGTH = 40
_DAY = 86_400
#: The same secret signs other addresses too: neither signature may pass for the other.
_LABEL = "clip link"


@dataclass(frozen=True, slots=True)
class Claim:
    """What an address of ours says. `expires` is seconds since 1970."""

    task_id: str
    expires: int


class ClipLinks:
    """`public` is the address the outside reaches this bot at; `secret` stays the same over restarts."""

    def __init__(self, public: str, secret: bytes, *, days: int, clock: Clock) -> None:
        self._public = public.rstrip("/")
        self._secret = secret
        self.days = days
        self._clock = clock

    def new(self, task_id: str) -> Link:
        expires = self._clock() // 1000 + self.days * _DAY
        address = f"{self._public}{_PATH}{task_id}/{expires}/{self._signature(task_id, str(expires))}"
        return Link(address, expires * 1000, own=True)

    def claim(self, path: str) -> Claim | None:
        """What a path of ours says, also an expired one; None for any other."""
        if not path.startswith(_PATH) or not path.isascii():
            return None
        task_id, _, rest = path.removeprefix(_PATH).partition("/")
        expires, _, signature = rest.partition("/")
        if not hmac.compare_digest(signature, self._signature(task_id, expires)):
            return None
        return Claim(task_id, int(expires))

    def is_over(self, claim: Claim) -> bool:
        return claim.expires * 1000 <= self._clock()

    def _signature(self, task_id: str, expires: str) -> str:
        words = f"{_LABEL}\n{task_id}\n{expires}"
        return hmac.new(self._secret, words.encode(), hashlib.sha256).hexdigest()[:_LENGTH]
