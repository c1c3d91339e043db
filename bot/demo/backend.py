"""simcord's in-memory Discord with the habits of the real one that it lacks."""

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, Literal

from simcord.backend import Backend
from simcord.backend.cdn import CdnStore
from simcord.components import component_mentions

Clock = Callable[[], float]
"""Seconds since 1970."""

LOADING: Final = 1 << 7
_LINK_SECONDS: Final = 24 * 3600


@dataclass(frozen=True, slots=True)
class Ping:
    message_id: int
    whom: tuple[int, ...] | Literal["everyone"]


class _UtcClock:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


class Cdn(CdnStore):  # type: ignore[misc]  # simcord is not type-checked here
    """Keeps files under signed, expiring loopback URLs."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.base = ""
        self._clock = clock
        self._ends: dict[str, float] = {}

    def store_attachment(
        self, attachment_id: int, channel_id: int, filename: str, data: bytes, description: str | None
    ) -> dict[str, Any]:
        entry: dict[str, Any] = super().store_attachment(
            attachment_id, channel_id, _tidy(filename), data, description
        )
        path = f"/attachments/{channel_id}/{attachment_id}/{entry['filename']}"
        url = f"{self.base}{path}?{self._signature(path)}"
        self._blobs[url] = self._blobs.pop(entry["url"])
        self._ends[url] = self._clock() + _LINK_SECONDS
        return {**entry, "url": url, "proxy_url": url}

    def _signature(self, path: str) -> str:
        now = int(self._clock())
        seal = sha256(f"{path}{now}{secrets.token_hex()}".encode()).hexdigest()
        return f"ex={now + _LINK_SECONDS:x}&is={now:x}&hm={seal}"

    def get(self, url: str) -> bytes | None:
        if self._clock() >= self._ends.get(url, 0):
            return None
        blob: bytes | None = super().get(url)
        return blob


def _tidy(filename: str) -> str:
    return re.sub(r"[^\w.-]", "", filename.replace(" ", "_"), flags=re.ASCII) or "unknown"


class StrictBackend(Backend):  # type: ignore[misc]  # simcord is not type-checked here
    def __init__(self, clock: Clock, bot_name: str) -> None:
        super().__init__(clock=_UtcClock(clock))
        self.bot_user.name = bot_name
        self.cdn = Cdn(clock)
        self.pings: list[Ping] = []
        self.closed_dms: set[int] = set()
        self.nonces: dict[int, str | int] = {}
        self.nonce: str | int | None = None
        """The nonce of the message that is being created."""

    def new_interaction(self, kind: int, channel_id: int, user_id: int, guild_id: int | None) -> Any:
        record = super().new_interaction(kind, channel_id, user_id, guild_id)
        del self.interaction_tokens[record.token]
        record.token = secrets.token_urlsafe(120)
        self.interaction_tokens[record.token] = record.id
        return record

    def commit_message(self, message: Any, *, broadcast: bool = True) -> Any:
        if self.nonce is not None:
            self.nonces[message.id] = self.nonce
        self._note_pings(message)
        return super().commit_message(message, broadcast=broadcast)

    def edit_message(self, channel_id: int, message_id: int, fields: dict[str, Any]) -> Any:
        was_loading = self.get_message(channel_id, message_id).flags & LOADING
        message = super().edit_message(channel_id, message_id, fields)
        if was_loading:  # any other edit pings nobody
            self._note_pings(message)
        return message

    def emit(self, event: str, payload: Mapping[str, Any]) -> None:
        if event == "MESSAGE_CREATE" and (nonce := self.nonces.get(int(payload["id"]))) is not None:
            payload = {**payload, "nonce": nonce}
        super().emit(event, payload)

    def _note_pings(self, message: Any) -> None:
        """Count also the roles and "everyone" that only a missing permission of the bot spared."""
        if message.author_id != self.bot_user.id:
            return
        policy = message.allowed_mentions
        text = f"{message.content}\n{component_mentions(message.components)}"
        roles = (role for role in message.mention_role_ids if policy.allows_role(role))
        whom = tuple(dict.fromkeys((*message.ping_user_ids, *roles)))
        if policy.everyone and ("@everyone" in text or "@here" in text):
            self.pings.append(Ping(message.id, "everyone"))
        elif whom:
            self.pings.append(Ping(message.id, whom))
