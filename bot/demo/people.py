"""The people of the stand-in: they run commands, press buttons and see what the bot answers."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from simcord.backend.command_access import command_access
from simcord.backend.errors import SetupError
from simcord.backend.serializers import member_payload, message_payload, user_payload
from simcord.components import walk_components
from simcord.enums import AppCommandType, ComponentType, InteractionType, OptionType
from simcord.interactions import (
    base_payload,
    check_options,
    nest_options,
    store_interaction_attachment,
    walk_to_subcommand,
)

from bot.demo.backend import StrictBackend
from bot.demo.world import Channel, Member, Message, World, see


class Interaction:
    """One thing a person did; its properties tell how the bot has answered by now."""

    def __init__(self, backend: StrictBackend, record: Any, payload: Mapping[str, Any]) -> None:
        self.id: int = record.id
        self.token: str = record.token
        self.payload = payload
        self._backend = backend
        self._record = record

    @property
    def acknowledged(self) -> bool:
        return bool(self._record.responded)

    @property
    def ephemeral(self) -> bool:
        return bool(self._record.ephemeral)

    @property
    def response(self) -> Message | None:
        """The original response; None also while it is only "thinking" and once it is deleted."""
        found = self._seen(self._record.message_id)
        return found if found and not found.loading else None

    @property
    def followups(self) -> list[Message]:
        return [found for key in self._record.followup_ids if (found := self._seen(key))]

    @property
    def choices(self) -> list[dict[str, Any]]:
        return self._record.autocomplete_choices or []

    def _seen(self, message_id: int | None) -> Message | None:
        stored = self._backend.messages.get(self._record.channel_id, {}).get(message_id)
        return see(self._backend, stored) if stored else None


class People(World):
    """What members do with the bot."""

    async def slash(
        self, member: Member, channel: Channel, command: str, /, *, raw: bool = False, **options: Any
    ) -> Interaction:
        """Run a command by its whole name, such as "video image".

        A file is (filename, bytes), a user a `Member`. `raw` is a client that checks nothing itself.
        """
        root, leaf, nesting = self._command(member, channel, command, raw=raw)
        if not raw:
            _check(command, leaf, options)
        resolved: dict[str, Any] = {}
        wired = list(self._wire(channel, leaf, options, resolved))
        data = _command_data(root, nest_options(root, nesting, wired))
        if resolved:
            data["resolved"] = resolved
        return self._interact(InteractionType.APPLICATION_COMMAND, member, channel, data)

    async def autocomplete(
        self, member: Member, channel: Channel, command: str, option: str, typed: str, /, **filled: Any
    ) -> list[dict[str, Any]]:
        root, leaf, nesting = self._command(member, channel, command, raw=False)
        focused = _declared(leaf).get(option, {})
        if not focused.get("autocomplete"):
            raise SetupError(f"option {option!r} of /{command} completes nothing")
        wired = list(self._wire(channel, leaf, check_options(command, leaf, filled, partial=True), {}))
        wired.append({"name": option, "type": focused["type"], "value": typed, "focused": True})
        data = _command_data(root, nest_options(root, nesting, wired))
        asked = self._interact(InteractionType.APPLICATION_COMMAND_AUTOCOMPLETE, member, channel, data)
        await self.until(lambda: asked.acknowledged)
        return asked.choices

    async def click(self, member: Member, message: Message, *, custom_id: str) -> Interaction:
        stored = self.backend.get_message(message.channel_id, message.id)
        if not stored.visible_to(member.id):
            raise SetupError(f"{member.name} does not see this message")
        buttons = [part for part in walk_components(stored.components) if part.get("custom_id") == custom_id]
        if len(buttons) != 1 or buttons[0].get("disabled"):
            raise SetupError(f"no one button {custom_id!r} can be pressed here")
        found = self.backend.get_channel(message.channel_id)
        return self._interact(
            InteractionType.MESSAGE_COMPONENT,
            member,
            Channel(found.id, "", member.server if found.guild_id else None),
            {"custom_id": custom_id, "component_type": ComponentType.BUTTON},
            source=stored,
        )

    async def replay(self, interaction: Interaction) -> None:
        """Deliver the same interaction once more, as Discord can."""
        self.backend.emit("INTERACTION_CREATE", deepcopy(interaction.payload))

    def _command(
        self, member: Member, channel: Channel, command: str, *, raw: bool
    ) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
        name, *path = command.split()
        server_id = channel.server.id if channel.server else None
        root: dict[str, Any] | None = self.backend.find_command(name, server_id)
        if root is None:
            synced = sorted({key[0] for scope in self.backend.commands.values() for key in scope})
            raise SetupError(f"the bot has not synced /{name}; it has synced {synced}")
        access = command_access(self.backend, root, user_id=member.id, channel_id=channel.id)
        if not (raw or access.allowed):
            raise SetupError(f"{member.name} does not see /{name} here: {access.reason}")
        leaf, nesting = walk_to_subcommand(root, path)
        return root, leaf, nesting

    def _wire(
        self, channel: Channel, leaf: dict[str, Any], options: dict[str, Any], resolved: dict[str, Any]
    ) -> Iterator[dict[str, Any]]:
        declared = _declared(leaf)
        for name, value in options.items():
            kind = declared.get(name, {}).get("type", OptionType.STRING)
            wired = value
            if isinstance(value, Member):
                wired = self._resolve(value, resolved)
            elif kind == OptionType.ATTACHMENT and isinstance(value, tuple):
                wired = store_interaction_attachment(self.backend, channel.id, *value, resolved)
            yield {"name": name, "type": kind, "value": wired}

    def _resolve(self, member: Member, resolved: dict[str, Any]) -> str:
        key = str(member.id)
        guild = self.backend.get_guild(member.server.id)
        resolved.setdefault("users", {})[key] = user_payload(self.backend.get_user(member.id))
        resolved.setdefault("members", {})[key] = member_payload(
            self.backend, guild, guild.members[member.id], with_user=False
        )
        return key

    def _interact(
        self, kind: int, member: Member, channel: Channel, data: dict[str, Any], *, source: Any = None
    ) -> Interaction:
        record, payload = base_payload(
            self.backend,
            type=kind,
            channel_id=channel.id,
            guild_id=channel.server.id if channel.server else None,
            user_id=member.id,
            data=data,
        )
        payload["attachment_size_limit"] = self.upload_limit
        payload["locale"] = self.locale
        if source:
            record.source_message_id = source.id
            payload["message"] = message_payload(self.backend, source)
        self.backend.emit("INTERACTION_CREATE", payload)
        return Interaction(self.backend, record, payload)


def _declared(leaf: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {option["name"]: option for option in leaf.get("options") or ()}


def _check(command: str, leaf: dict[str, Any], options: Mapping[str, Any]) -> None:
    """Check values as the client would; users by our own `Member`, which simcord does not know."""
    users = {
        name
        for name, option in _declared(leaf).items()
        if option["type"] == OptionType.USER and isinstance(options.get(name), Member)
    }
    rest = [option for option in leaf.get("options") or () if option["name"] not in users]
    given = {name: value for name, value in options.items() if name not in users}
    check_options(command, {**leaf, "options": rest}, given)


def _command_data(root: Mapping[str, Any], options: list[dict[str, Any]]) -> dict[str, Any]:
    data = {"id": root["id"], "name": root["name"], "type": AppCommandType.CHAT_INPUT, "options": options}
    return data | ({"guild_id": root["guild_id"]} if "guild_id" in root else {})
