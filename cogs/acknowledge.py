"""Every command is acknowledged first; what goes wrong after that is told to the member alone."""

import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Sequence
from http import HTTPStatus
from typing import Any, TypeVar

import aiohttp
import discord
from discord import app_commands

from bot.domain.errors import BotError, StorageError
from bot.domain.language import read_by, said, tr
from bot.posting import texts

log = logging.getLogger(__name__)

T = TypeVar("T")

_TOO_LATE = 10062
_ALREADY = 40060
_PRIVATE = "answered in private"
#: What was sent is no command of ours, or has options that ours has not, or values that no option of ours takes.
_NOT_OURS = (
    app_commands.CommandSignatureMismatch,
    app_commands.CommandNotFound,
    app_commands.TransformerError,
)


def sorry() -> str:
    return tr(
        "Something went wrong on our side; the operator's log says more. `/tasks list` shows what was held."
    )


def no_storage() -> str:
    """What the error itself says is for whoever runs the bot. A command may have failed after its hold."""
    return tr(
        "The bot's database does not answer just now. Nothing was held unless `/tasks list` shows it; try again in "
        "a minute."
    )


def no_discord() -> str:
    """A command may have failed after what it does."""
    return tr(
        "Discord made trouble just now, so this may be done or not. Look first, then try it again; `/tasks list` "
        "shows what was held."
    )


def changed() -> str:
    return tr(
        "This command was changed by an update. Reload Discord (Ctrl+R, or restart the app), then send it again."
    )


def privately() -> str:
    """Shown for a moment: a "thinking" message must be ended before anything can be told in private."""
    return tr("Answered in private.")


async def acknowledge(
    interaction: discord.Interaction[Any], *, ephemeral: bool, in_place: bool = False
) -> bool:
    """Answer within Discord's three seconds. False where the token is void: then nothing may be started.

    `in_place`: the answer to a button takes the place of the message that carries it. An event that Discord
    delivers twice is acknowledged already; what follows finds the same tasks.
    """
    interaction.extras[_PRIVATE] = ephemeral
    try:
        await interaction.response.defer(ephemeral=ephemeral, thinking=not in_place)
    except discord.HTTPException as error:
        if error.code == _ALREADY:
            return True
        if error.code == _TOO_LATE:
            log.warning("interaction %d came too late to be answered", interaction.id)
            return False
        raise
    return True


async def refuse(
    interaction: discord.Interaction[Any], text: str, *, embeds: Sequence[discord.Embed] = ()
) -> None:
    """Tell the member alone."""
    if not interaction.response.is_done():
        text, silent = texts.cut(text), discord.AllowedMentions.none()
        await _try(
            interaction,
            interaction.response.send_message(text, embeds=embeds, ephemeral=True, allowed_mentions=silent),
        )
    else:
        await tell(interaction, text, embeds=embeds)


async def tell(
    interaction: discord.Interaction[Any],
    text: str,
    *,
    embeds: Sequence[discord.Embed] = (),
    files: Sequence[discord.File] = (),
    view: discord.ui.View | None = None,
) -> discord.Message | None:
    """Answer the member alone after an acknowledgement; the answer, None where it could not be given.

    A public one cannot be made private: it is ended, and taken back after.
    """
    text, silent = texts.cut(text), discord.AllowedMentions.none()
    private = interaction.extras.get(_PRIVATE)
    answer: discord.Message | None
    if private:
        answer = await _try(
            interaction,
            interaction.edit_original_response(
                content=text, view=view, embeds=embeds, attachments=files, allowed_mentions=silent
            ),
        )
        # It may be laid out as a progress message by now, which takes no words: then they come beside it.
        if answer or files:
            return answer
    else:
        await _try(
            interaction, interaction.edit_original_response(content=privately(), view=None, attachments=[])
        )
    answer = await _try(
        interaction,
        interaction.followup.send(
            text,
            embeds=embeds,
            files=files,
            view=view or discord.utils.MISSING,
            ephemeral=True,
            allowed_mentions=silent,
            wait=True,
        ),
    )
    if not private:
        await _try(interaction, interaction.delete_original_response())
    return answer


async def _try(interaction: discord.Interaction[Any], call: Awaitable[T]) -> T | None:
    """One call of several: the next is worth trying even where this one fails."""
    try:
        return await call
    except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
        log.warning("interaction %d could not be told: %s", interaction.id, error)
        return None


def _is_trouble(error: BaseException | None) -> bool:
    """Discord's own, or the network's on the way there: it passes."""
    if isinstance(error, discord.HTTPException):
        return (
            error.status == HTTPStatus.TOO_MANY_REQUESTS or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        )
    return isinstance(error, aiohttp.ClientError | ConnectionError | TimeoutError | socket.gaierror)


@contextlib.asynccontextmanager
async def errors_told(interaction: discord.Interaction[Any]) -> AsyncIterator[None]:
    """Around what a click or form does, in the language of who does it: the tree's own hooks see commands alone."""
    read_by(interaction.locale.value)
    try:
        yield
    except Exception as error:  # noqa: BLE001 - every error becomes words
        await on_error(interaction, error)


async def on_error(interaction: discord.Interaction[Any], error: BaseException) -> None:
    """The one place where a command's error becomes words."""
    cause = error.__cause__ if isinstance(error, app_commands.CommandInvokeError) else error
    if isinstance(cause, StorageError):
        log.error("interaction %d: %s", interaction.id, cause)
        await refuse(interaction, no_storage())
        return
    if isinstance(cause, BotError):
        await refuse(interaction, said(str(cause)))
        return
    if _is_trouble(cause):
        log.warning("interaction %d met trouble at Discord: %s", interaction.id, repr(cause))
        await refuse(interaction, no_discord())
        return
    if isinstance(error, _NOT_OURS):
        log.warning("interaction %d came from an older version of the commands: %s", interaction.id, error)
        await refuse(interaction, changed())
        return
    log.error("interaction %d failed", interaction.id, exc_info=error)
    await refuse(interaction, sorry())
