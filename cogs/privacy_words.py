"""What a member reads of the own data: what there is, what goes and what stays. Pure functions."""

from collections.abc import Sequence

from bot.domain.money import dollars
from bot.domain.privacy import Keeping
from bot.posting import texts
from bot.services.privacy import Overview
from bot.services.retention import Erased

EXPORTED = (
    "All that is stored of you, over all servers of this bot. Save it: Discord forgets this answer. It is private; "
    "think twice before you pass it on."
)
_STAYS = (
    "**What stays:** amounts, providers, formats, times and Discord's ids, yours among them: the bill and limits "
    "that never end are counted from them, and the ledger is never rewritten. So do rules and limits that admins set "
    "about you, and the record of what admins did.\n"
    "**What is posted in Discord** is not touched: delete your messages there, and ask a moderator for the bot's. "
    "Providers keep what they were sent by their own rules."
)
_OTHERS = (
    "**Who else has it:** a video's provider got its prompt and the pixels of its pictures, not who you are. Discord "
    "has every message. Admins see their own server's videos, the operator all."
)
_NAMED = 5


def overview(found: Overview) -> str:
    one, keeping = found.holdings, found.keeping
    if not any((one.tasks, one.entries, one.rules, one.limits, one.approvals, one.audits)):
        lines = [
            "Nothing is stored of you: you have made no videos with this bot, and nobody has set a rule."
        ]
        return "\n".join([*lines, *_contact(keeping)])
    prompts, clips = _count(keeping.prompts_days, "day"), _count(keeping.clips_days, "day")
    kept = (
        f"**For how long:** prompts, pictures and notes {prompts} from when you asked; clips that nobody collects "
        f"{clips}; the rest as long as the bot is run."
    )
    lines = [
        "**Stored of you**, over all servers of this bot:",
        *_kinds(found),
        kept,
        _OTHERS,
        "**Your rights:** `/privacy export` gives you all of it as a file, `/privacy erase` erases it.",
    ]
    return texts.cut("\n".join([*lines, *_contact(keeping)]))


def _kinds(found: Overview) -> list[str]:
    """Each kind with its number and its reason."""
    one = found.holdings
    state = _of_which((one.open, "under way"), (one.erased, "erased already"))
    videos = "prompt, format, price, times, provider and where its messages stand; to make, post and bill it."
    pictures = f"{_count(found.pictures, 'picture')}** on disk, for videos that begin or end with them"
    clips = (
        f"{_count(one.uncollected, 'clip')}** that could be posted nowhere; `/tasks show` hands those over"
    )
    spent = dollars(one.spent_micros)
    entries = f"{_count(one.entries, 'ledger line')}**: {spent} spent, and what was held or given back"
    rules = f"{_count(one.rules, 'rule')}** and **{_count(one.limits, 'limit')}** that admins set about you"
    audits = f"{_count(one.audits, 'line')}** in the record of what admins did, by you or about you"
    return [
        f"- **{_count(one.tasks, 'video')}**: {videos}{state}",
        f"- **{pictures}; **{clips}.",
        f"- **{entries}; limits and the bill are counted from them.",
        f"- **{rules}; **{_count(one.approvals, 'approval')}** you waited for or gave; **{audits}.",
    ]


def _contact(keeping: Keeping) -> list[str]:
    return [f"**Operator:** {keeping.contact}"] if keeping.contact else []


def _of_which(*parts: tuple[int, str]) -> str:
    said = [f"{number:,} {words}" for number, words in parts if number]
    return f" Of these {' and '.join(said)}." if said else ""


def offer(found: Overview) -> str:
    one = found.holdings
    left = one.tasks - one.erased
    if not left:
        head = "There is nothing left to erase: no video of yours has a prompt or picture here."
    else:
        head = (
            f"**This erases for good**, over all servers of this bot: the prompts, pictures, links and notes of "
            f"{_count(left, 'video')}, {_count(found.pictures, 'picture')} on disk and "
            f"{_count(one.uncollected, 'clip')} that could be posted nowhere; what those cost stays spent."
        )
    lines = [head]
    if one.open:
        lines.append(
            f"{_count(one.open, 'video')} still under way follow{'s' if one.open == 1 else ''} at the end."
        )
    return "\n".join([*lines, _STAYS, "`/privacy export` gives you a copy first."])


def erased(result: Erased) -> str:
    if result.done:
        lines = [f"Erased: the prompts, pictures, links and notes of {_count(result.done, 'video')}."]
    else:
        lines = ["There was nothing to erase now."]
    if result.open:
        names = ", ".join(f"`{task.id}`" for task in result.open[:_NAMED])
        more = f" and {len(result.open) - _NAMED:,} more" if len(result.open) > _NAMED else ""
        lines.append(
            f"Still under way, and erased a minute after they end: {names}{more}. `/tasks cancel` ends those that "
            "no provider has yet."
        )
    return "\n".join([*lines, _STAYS])


def left_out(names: Sequence[str]) -> str:
    listed = ", ".join(f"`{name}`" for name in names)
    return texts.cut(
        f"Too large for Discord and not in the export: {listed}. `/tasks show` hands over clips; the operator has "
        "the rest."
    )


def too_much(parts: int) -> str:
    return (
        f"There is more than the {parts} files above, which is as much as fits into an answer. Ask the operator for "
        "all of it; `/privacy show` says who that is."
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
