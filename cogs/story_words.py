"""A clip's place in its story, as one line of links."""

from collections.abc import Sequence

from bot.domain.language import tr
from bot.domain.task import HANDED_OVER, Task, TaskState
from bot.posting import texts

#: Clips shown on each side; a link has a hundred characters.
BEFORE, AFTER = 4, 3


def story_line(until: Sequence[Task], after: Sequence[Task]) -> str:
    """What a clip goes on from and what goes on from it; "" for one that stands alone.

    `until` ends with the clip itself; it and `after` may hold one more than is shown.
    """
    if len(until) == 1 and not after:
        return ""
    before = [_part(part) for part in until[:-1][-BEFORE:]]
    following = [_part(part) for part in after[:AFTER]]
    if len(until) - 1 > BEFORE:
        before.insert(0, "…")
    if len(after) > AFTER:
        following.append("…")
    steps = [*before, tr("**this clip**")]
    if following:
        steps.append(", ".join(following))
    return tr("**Story:** {clips}", clips=" → ".join(steps))


def _part(part: Task) -> str:
    stands = part.state is TaskState.DELIVERED and part.removed_by is None and part.problem != HANDED_OVER
    return f"[{part.id}]({texts.link_of(part)})" if stands else f"`{part.id}`"
