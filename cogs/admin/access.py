"""`/admin access`: where clips are made, by whom and with which words; and the menu that removes a rule."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import discord
from discord import app_commands

from bot.domain.access import WORD_LENGTH, Kind, Rule
from bot.domain.errors import Refusal
from bot.domain.language import tr
from bot.posting import texts
from bot.services.access import Access, Subject
from cogs.acknowledge import errors_told
from cogs.admin.answers import answer, begin

#: Rules on a page: so many lines fit a message, and a menu takes 25.
_PAGE = 20
_SPANS = {"1 hour": 1, "6 hours": 6, "1 day": 24, "3 days": 72, "1 week": 168, "30 days": 720}


class _Places(app_commands.Transformer):
    """Every kind of channel in which a command can be given, and what these lie in.

    discord.py's own list has media channels, too, which Discord's description of its interface does not know.
    """

    @property
    def type(self) -> discord.AppCommandOptionType:
        return discord.AppCommandOptionType.channel

    @property
    def channel_types(self) -> list[discord.ChannelType]:
        kinds = discord.ChannelType
        threads = [kinds.news_thread, kinds.public_thread, kinds.private_thread]
        return [kinds.text, kinds.voice, kinds.stage_voice, kinds.category, kinds.news, kinds.forum, *threads]

    async def transform(self, interaction: discord.Interaction[Any], value: Any, /) -> Any:  # noqa: ARG002
        return value


Channel = app_commands.Transform[app_commands.AppCommandChannel | app_commands.AppCommandThread, _Places]
Word = app_commands.Range[str, 1, WORD_LENGTH]


def commands(
    access: Access, menu: Callable[[int, Sequence[discord.SelectOption]], Any]
) -> list[app_commands.Group]:
    """`menu` makes the menu under a page of the list, as `rule_menu` does."""
    group = app_commands.Group(
        name="access", description="Where, by whom and with which words videos are made"
    )

    @group.command(name="allow", description="Allow a channel or role, or end a denial")
    @app_commands.describe(
        channel="A channel, category or thread; where any is allowed, the others are not",
        role="A role; where any is allowed, members need one of these",
        member="A member whose block ends",
        word="A blocked word or phrase that may be used again",
    )
    async def allow(
        interaction: discord.Interaction[Any],
        channel: Channel | None = None,
        role: discord.Role | None = None,
        member: discord.User | None = None,
        word: Word | None = None,
    ) -> None:
        if server_id := await begin(interaction):
            subjects = _subjects(channel, role, member, word)
            await answer(interaction, await access.allow(server_id, interaction.user.id, subjects))

    @group.command(name="deny", description="Deny a channel or role, block a member or a word")
    @app_commands.describe(
        channel="No videos in this channel, category or thread",
        role="No videos by members with this role",
        member="No videos by this member",
        word="No prompts with it; whole words only: nude does not block nudes. Case and accents do not count",
        hours="How long a member is blocked; left out, for ever",
        reason="What a blocked member reads",
    )
    @app_commands.rename(hours="for")
    @app_commands.choices(
        hours=[app_commands.Choice(name=name, value=value) for name, value in _SPANS.items()]
    )
    async def deny(
        interaction: discord.Interaction[Any],
        channel: Channel | None = None,
        role: discord.Role | None = None,
        member: discord.User | None = None,
        word: Word | None = None,
        hours: int | None = None,
        reason: app_commands.Range[str, 1, 300] | None = None,
    ) -> None:
        if server_id := await begin(interaction):
            subjects = _subjects(channel, role, member, word)
            _spare(interaction, member)
            said = await access.deny(
                server_id, interaction.user.id, subjects, hours=hours, reason=reason or ""
            )
            await answer(interaction, said)

    @group.command(name="list", description="All rules, newest first, with a menu to remove one")
    @app_commands.describe(page="Older rules are on later pages")
    async def list_(interaction: discord.Interaction[Any], page: app_commands.Range[int, 1, 999] = 1) -> None:
        if server_id := await begin(interaction):
            await show(interaction, await access.rules(server_id), page, menu)

    return [group]


def _subjects(*options: Any) -> list[Subject]:
    """What was named, of the options channel, role, member and word."""
    found = [
        (kind, option if isinstance(option, str) else str(option.id))
        for kind, option in zip(Kind, options, strict=True)
        if option is not None
    ]
    if not found:
        raise Refusal(tr("Name at least one of `channel`, `role`, `member` and `word`."))
    return found


def _spare(interaction: discord.Interaction[Any], member: discord.User | discord.Member | None) -> None:
    """Keep an admin from blocking whom nobody can want blocked."""
    if member is None:
        return
    if member.id == interaction.user.id:
        raise Refusal(tr("That is you: another admin can block you, but you cannot lock yourself out."))
    if member == interaction.client.user:
        raise Refusal(
            tr("That is me, and without me there are no clips. `/admin pause` stops them for everybody.")
        )


# ------------------------------------------------------------------ the list


async def show(
    interaction: discord.Interaction[Any],
    rules: Sequence[Rule],
    page: int,
    menu: Callable[[int, Sequence[discord.SelectOption]], Any],
    *,
    before: str = "",
) -> None:
    """One page of the rules, the nearest there is; `before` stands above it."""
    pages = max(1, -(-len(rules) // _PAGE))
    page = max(1, min(page, pages))
    start = (page - 1) * _PAGE
    numbered = list(enumerate(rules[start : start + _PAGE], start + 1))
    if not numbered:
        none = tr("There are no rules: every member can make clips in every channel, with any words.")
        await answer(interaction, f"{before}{none}")
        return
    head = tr("**Rules, newest first** (page {page} of {pages})", page=page, pages=pages)
    lines = [f"{before}{head}"]
    lines += [f"{number}\\. {_line(rule)}" for number, rule in numbered]
    view = discord.ui.View(timeout=None)
    view.add_item(menu(page, [_option(interaction.guild, number, rule) for number, rule in numbered]))
    await answer(interaction, "\n".join(lines), view=view)


def _line(rule: Rule) -> str:
    """Short enough for a whole page in one message."""
    if rule.kind is Kind.WORD:
        return tr("{word}: blocked word", word=texts.plain(rule.subject, length=60))
    if rule.kind is Kind.MEMBER:
        words = (
            tr("{member} blocked until {until}", member=rule.name, until=f"<t:{rule.until // 1000}:f>")
            if rule.until
            else tr("{member} blocked", member=rule.name)
        )
        return f"{words}: {texts.plain(rule.reason, length=25)}" if rule.reason else words
    return tr("{place} allowed", place=rule.name) if rule.allowed else tr("{place} denied", place=rule.name)


def _option(guild: discord.Guild | None, number: int, rule: Rule) -> discord.SelectOption:
    """Mentions are not shown in a menu, so these are names, as far as they are known."""
    label = f"{number}. {_label(rule.kind, _known_name(guild, rule))}"
    return discord.SelectOption(label=label[:100], value=str(rule.id))


def _label(kind: Kind, name: str) -> str:
    match kind:
        case Kind.CHANNEL:
            return tr("channel {name}", name=name)
        case Kind.ROLE:
            return tr("role {name}", name=name)
        case Kind.MEMBER:
            return tr("member {name}", name=name)
        case Kind.WORD:
            return tr("word {name}", name=name)


def _known_name(guild: discord.Guild | None, rule: Rule) -> str:
    if rule.kind is Kind.WORD or guild is None:
        return rule.subject
    subject = int(rule.subject)
    known = {
        Kind.CHANNEL: guild.get_channel_or_thread,
        Kind.ROLE: guild.get_role,
        Kind.MEMBER: guild.get_member,
    }[rule.kind](subject)
    return known.name if known else rule.subject


def rule_menu(access: Access) -> type[discord.ui.DynamicItem[Any]]:
    """The menu under the list that removes a rule; it works for ever, and for admins alone."""

    class RuleMenu(
        discord.ui.DynamicItem[discord.ui.Select[Any]], template=r"conch:rules:(?P<page>[0-9]{1,4})"
    ):
        def __init__(self, page: int, options: Sequence[discord.SelectOption]) -> None:
            super().__init__(
                discord.ui.Select(
                    placeholder=tr("Remove a rule"), custom_id=f"conch:rules:{page}", options=list(options)
                )
            )
            self._page = page

        @classmethod
        async def from_custom_id(
            cls, _interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
        ) -> "RuleMenu":
            return cls(int(match["page"]), item.options if isinstance(item, discord.ui.Select) else ())

        async def callback(self, interaction: discord.Interaction[Any]) -> None:
            async with errors_told(interaction):
                if server_id := await begin(interaction):
                    chosen = next(iter(self.item.values), "")
                    rule_id = int(chosen) if chosen.isdecimal() else 0
                    said = await access.remove(server_id, interaction.user.id, rule_id)
                    rules = await access.rules(server_id)
                    await show(interaction, rules, self._page, RuleMenu, before=f"{said}\n\n")

    return RuleMenu
