"""What a member reads of the own data: what there is, what goes and what stays. Pure functions."""

from collections.abc import Sequence

from bot.domain.language import tr, trn
from bot.domain.money import dollars
from bot.domain.privacy import Keeping
from bot.domain.prose import together
from bot.posting import texts
from bot.services.privacy import Overview
from bot.services.retention import Erased

_NAMED = 5


def exported() -> str:
    return tr(
        "All that is stored of you, over all servers of this bot. Save it: Discord forgets this answer. It is "
        "private; think twice before you pass it on."
    )


def overview(found: Overview) -> str:
    one, keeping = found.holdings, found.keeping
    if not any((one.tasks, one.entries, one.rules, one.limits, one.approvals, one.audits)):
        nothing = tr(
            "Nothing is stored of you: you have made no videos with this bot, and nobody has set a rule."
        )
        return "\n".join([nothing, *_contact(keeping)])
    lines = [
        tr("**Stored of you**, over all servers of this bot:"),
        *_kinds(found),
        tr(
            "**For how long:** prompts and notes {prompts} from when you asked; pictures {pictures} after their "
            "clip; clips that nobody collects {clips}; the rest as long as the bot is run.",
            prompts=_days(keeping.prompts_days),
            pictures=_days(keeping.pictures_days),
            clips=_days(keeping.clips_days),
        ),
        tr(
            "**Who else has it:** a video's provider got its prompt and the pixels of its pictures, not who you are. "
            "Discord has every message. Admins see their own server's videos, the operator all."
        ),
        tr("**Your rights:** `/privacy export` gives you all of it as a file, `/privacy erase` erases it."),
    ]
    return texts.cut("\n".join([*lines, *_contact(keeping)]))


def _kinds(found: Overview) -> list[str]:
    """Each kind with its number and its reason."""
    one = found.holdings
    videos = trn(
        "- **{number:,} video**: prompt, format, price, times, provider and where its messages stand; to make, post "
        "and bill it.",
        "- **{number:,} videos**: prompt, format, price, times, provider and where its messages stand; to make, post "
        "and bill it.",
        one.tasks,
    )
    return [
        together(videos, *_of_which(one.open, one.erased)),
        trn(
            "- **{number:,} picture** on disk, for videos that begin or end with it.",
            "- **{number:,} pictures** on disk, for videos that begin or end with them.",
            found.pictures,
        ),
        trn(
            "- **{number:,} clip** that could be posted nowhere; `/tasks show` hands it over.",
            "- **{number:,} clips** that could be posted nowhere; `/tasks show` hands them over.",
            one.uncollected,
        ),
        trn(
            "- **{number:,} ledger line**: {spent} spent, and what was held or given back; limits and the bill are "
            "counted from it.",
            "- **{number:,} ledger lines**: {spent} spent, and what was held or given back; limits and the bill are "
            "counted from them.",
            one.entries,
            spent=dollars(one.spent_micros),
        ),
        trn(
            "- **{number:,} rule** that admins set about you.",
            "- **{number:,} rules** that admins set about you.",
            one.rules,
        ),
        trn(
            "- **{number:,} limit** that admins set about you.",
            "- **{number:,} limits** that admins set about you.",
            one.limits,
        ),
        trn(
            "- **{number:,} approval** that you waited for or gave.",
            "- **{number:,} approvals** that you waited for or gave.",
            one.approvals,
        ),
        trn(
            "- **{number:,} line** in the record of what admins did, by you or about you.",
            "- **{number:,} lines** in the record of what admins did, by you or about you.",
            one.audits,
        ),
    ]


def _days(number: int) -> str:
    return trn("{number:,} day", "{number:,} days", number)


def _contact(keeping: Keeping) -> list[str]:
    return [tr("**Operator:** {contact}", contact=keeping.contact)] if keeping.contact else []


def _of_which(under_way: int, erased: int) -> list[str]:
    """A sentence about some of the videos, where there are such."""
    values = {"open": f"{under_way:,}", "erased": f"{erased:,}"}
    match under_way > 0, erased > 0:
        case True, True:
            return [tr("Of these {open} under way and {erased} erased already.", **values)]
        case True, False:
            return [tr("Of these {open} under way.", **values)]
        case False, True:
            return [tr("Of these {erased} erased already.", **values)]
        case _:
            return []


def offer(found: Overview) -> str:
    one = found.holdings
    left = one.tasks - one.erased
    lines = [tr("There is nothing left to erase: no video of yours has a prompt or picture here.")]
    if left:
        lines = [
            tr("**This erases for good**, over all servers of this bot; what it cost stays spent:"),
            trn(
                "- the prompts, pictures, links and notes of {number:,} video",
                "- the prompts, pictures, links and notes of {number:,} videos",
                left,
            ),
            trn("- {number:,} picture on disk", "- {number:,} pictures on disk", found.pictures),
            trn(
                "- {number:,} clip that could be posted nowhere",
                "- {number:,} clips that could be posted nowhere",
                one.uncollected,
            ),
        ]
    if one.open:
        lines.append(
            trn(
                "{number:,} video still under way follows at the end.",
                "{number:,} videos still under way follow at the end.",
                one.open,
            )
        )
    return "\n".join([*lines, *_stays(), tr("`/privacy export` gives you a copy first.")])


def erased(result: Erased) -> str:
    lines = [
        trn(
            "Erased: the prompts, pictures, links and notes of {number:,} video.",
            "Erased: the prompts, pictures, links and notes of {number:,} videos.",
            result.done,
        )
        if result.done
        else tr("There was nothing to erase now.")
    ]
    if result.open:
        names = [f"`{task.id}`" for task in result.open[:_NAMED]]
        if more := len(result.open) - len(names):
            names.append(trn("{number:,} more", "{number:,} more", more))
        lines.append(
            tr(
                "Still under way, and erased a minute after they end: {videos}. `/tasks cancel` ends those that no "
                "provider has yet.",
                videos=", ".join(names),
            )
        )
    return "\n".join([*lines, *_stays()])


def _stays() -> list[str]:
    return [
        tr(
            "**What stays:** amounts, providers, formats, times and Discord's ids, yours among them: the bill and "
            "limits that never end are counted from them, and the ledger is never rewritten. So do rules and limits "
            "that admins set about you, and the record of what admins did."
        ),
        tr(
            "**What is posted in Discord** is not touched: delete your messages there, and ask a moderator for the "
            "bot's. Providers keep what they were sent by their own rules."
        ),
    ]


def left_out(names: Sequence[str]) -> str:
    return texts.cut(
        tr(
            "Not in the export, as they are too large for Discord or cannot be read any more: {files}. `/tasks show` "
            "hands over clips; the operator has the rest.",
            files=", ".join(f"`{name}`" for name in names),
        )
    )


def too_much(parts: int) -> str:
    return trn(
        "There is more than the {number} file above, which is as much as fits into an answer. Ask the operator for "
        "all of it; `/privacy show` says who that is.",
        "There is more than the {number} files above, which is as much as fits into an answer. Ask the operator for "
        "all of it; `/privacy show` says who that is.",
        parts,
    )
