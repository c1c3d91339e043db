"""The Discord client: its commands, their synchronisation, and the one hook for their errors."""

import asyncio
import hashlib
import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import discord
from discord import app_commands
from discord.backoff import ExponentialBackoff
from discord.ext import commands

from bot.domain.language import read_by
from bot.translator import Words
from cogs.acknowledge import on_error
from cogs.admin import rights
from storage.marks import MarkStore

log = logging.getLogger(__name__)

#: Exactly what the bot needs in a channel, and nothing more.
PERMISSIONS = discord.Permissions(
    view_channel=True,
    send_messages=True,
    send_messages_in_threads=True,
    embed_links=True,
    attach_files=True,
    read_message_history=True,
)
_SCOPES = ("bot", "applications.commands")
_REMEMBERED_INTERACTIONS = 10_000
#: What stands in a field of a form that is left empty: in one for text, in a box to tick.
_EMPTY: dict[int, str | bool] = {
    discord.ComponentType.text_input.value: "",
    discord.ComponentType.checkbox.value: False,
}
#: Seconds that Discord wants between two sessions.
_BETWEEN_SESSIONS = 5.0
#: Where fewer of the day's sessions are left than this share, the rest is spread over what is left of the day.
_SPREAD = 0.5
#: Never used: whoever needs more sessions than Discord gives in a day gets a new token and no session.
_SPARED_SESSIONS = 10


class NoSessionNow(OSError):
    """Discord's sessions of a day are to last for it. discord.py tries again after a pause, as of any `OSError`."""


def invite_link(application_id: int) -> str:
    return discord.utils.oauth_url(application_id, permissions=PERMISSIONS, scopes=_SCOPES)


class _Once:
    """Hands each interaction on once: Discord may deliver one again, after a lost connection above all.

    One from before a restart comes through; it finds its tasks by its id.
    """

    def __init__(self, handle: Callable[[Any], None]) -> None:
        self._handle = handle
        self._seen: OrderedDict[str, None] = OrderedDict()

    def __call__(self, event: Any) -> None:
        interaction_id = str(event["id"])
        if interaction_id in self._seen:
            log.info("interaction %s came again", interaction_id)
            return
        self._seen[interaction_id] = None
        if len(self._seen) > _REMEMBERED_INTERACTIONS:
            self._seen.popitem(last=False)
        whole = _whole(event)
        _fill_in(whole.get("data", {}))
        self._handle(whole)


def _whole(data: Any) -> Any:
    """The same without halves of characters, which are no text and which SQLite refuses."""
    if isinstance(data, str):
        return data.encode("utf-8", "ignore").decode()
    if isinstance(data, list):
        return [_whole(one) for one in data]
    return {name: _whole(one) for name, one in data.items()} if isinstance(data, dict) else data


def _fill_in(data: Any) -> None:
    """Let every field of a form hold something of its type, whatever was sent."""
    for outer in data.get("components", ()):
        for field in outer.get("components", [outer.get("component", {})]):
            empty = _EMPTY.get(field.get("type"))
            if empty is not None and not isinstance(field.get("value", empty), type(empty)):
                field["value"] = empty
            if "values" in field:
                values = field["values"] if isinstance(field["values"], list) else []
                field["values"] = [one for one in values if isinstance(one, str)]


class _Tree(app_commands.CommandTree[commands.Bot]):
    async def interaction_check(self, interaction: discord.Interaction[Any], /) -> bool:
        read_by(interaction.locale.value)
        return True

    async def on_error(
        self, interaction: discord.Interaction[Any], error: app_commands.AppCommandError, /
    ) -> None:
        await on_error(interaction, error)


class Conch(commands.Bot):
    """No privileged intents: slash commands and buttons need none."""

    #: From the first login on.
    overrides: rights.Overrides

    def __init__(self, marks: MarkStore, monotonic: Callable[[], float], *, user_installs: bool) -> None:
        super().__init__(
            command_prefix=(),
            help_command=None,
            intents=discord.Intents(guilds=True),
            tree_cls=_Tree,
            allowed_installs=app_commands.AppInstallationType(guild=True, user=user_installs),
            allowed_contexts=app_commands.AppCommandContext(
                guild=True, dm_channel=user_installs, private_channel=user_installs
            ),
            allowed_mentions=discord.AllowedMentions.none(),
            max_messages=None,
        )
        self._marks = marks
        self._monotonic = monotonic
        self._last_session: float | None = None
        # discord.py has no hook of its own before every kind of interaction.
        parsers = self._connection.parsers
        parsers["INTERACTION_CREATE"] = _Once(parsers["INTERACTION_CREATE"])

    def install(
        self,
        command_list: Sequence[
            app_commands.Command[Any, ..., Any] | app_commands.Group | app_commands.ContextMenu
        ],
        buttons: Sequence[type[discord.ui.DynamicItem[Any]]],
    ) -> None:
        for command in command_list:
            self.tree.add_command(command)
        self.add_dynamic_items(*buttons)

    @property
    def connected(self) -> bool:
        """Whether the gateway is, now: `is_ready` stays true while a lost connection is made anew."""
        return self.is_ready() and not self.is_closed() and self.ws is not None and self.ws.open

    async def connect(self, *, reconnect: bool = True) -> None:
        """As discord.py's, which ends with a bug of its own where the first connection fails."""
        backoff = ExponentialBackoff()
        while not self.is_closed():
            try:
                await super().connect(reconnect=reconnect)
            except AttributeError as bug:
                # It asks the connection that it never had for its session.
                if getattr(self, "ws", None) is not None:
                    raise
                pause = backoff.delay()
                log.warning(
                    "no connection to Discord yet, trying again in %.0f s: %s", pause, bug.__context__
                )
                await asyncio.sleep(pause)
            else:
                return

    async def before_identify_hook(self, _shard: int | None, *, initial: bool = False) -> None:
        """Before each new session: `NoSessionNow` where Discord's budget for a day would not last for it."""
        _, _, budget = await self.http.get_bot_gateway()
        remaining, seconds = budget["remaining"], budget["reset_after"] / 1000
        pause = seconds / max(1, remaining) if remaining < budget["total"] * _SPREAD else 0
        since = None if self._last_session is None else self._monotonic() - self._last_session
        if remaining <= _SPARED_SESSIONS or (since is not None and since < pause):
            raise NoSessionNow(f"{remaining} sessions are left for {seconds:.0f} s")
        if not initial:
            await asyncio.sleep(_BETWEEN_SESSIONS)
        self._last_session = self._monotonic()

    async def setup_hook(self) -> None:
        await self.tree.set_translator(Words())
        self.overrides = rights.Overrides(self, await self._sync(), self._monotonic)
        if self.application_id:
            log.info("invite the bot with: %s", invite_link(self.application_id))

    async def on_ready(self) -> None:
        log.info("connected as %s to %d servers", self.user, len(self.guilds))

    async def on_raw_app_command_permissions_update(
        self, event: discord.RawAppCommandPermissionsUpdateEvent
    ) -> None:
        self.overrides.forget(event.guild.id)

    async def in_sync(self) -> bool:
        """Whether Discord was sent the commands as they are now."""
        return await self._marks.get(self._mark) == await self._digest()

    @property
    def _mark(self) -> str:
        return f"commands of {self.application_id}"

    async def _digest(self) -> str:
        words = Words()
        payload = [
            await command.get_translated_payload(self.tree, words) for command in self.tree.get_commands()
        ]
        return hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()

    async def _sync(self) -> int:
        """Send the commands to Discord only when they changed: it allows 200 new ones a day. The id of `/admin`."""
        id_mark = f"/{rights.NAME} of {self.application_id}"
        known = await self._marks.get(id_mark)
        if known and await self.in_sync():
            return int(known)
        sent = await self.tree.sync()
        (admin_id,) = [command.id for command in sent if command.name == rights.NAME]
        await self._marks.set(id_mark, str(admin_id))
        await self._marks.set(self._mark, await self._digest())
        log.info("%d commands sent to Discord", len(sent))
        return admin_id
