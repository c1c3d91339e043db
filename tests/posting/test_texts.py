"""What members read: the words of every state, and strangers' words that stay words."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import catalog as catalogs
from bot.domain.catalog import Format, Mode
from bot.domain.parcel import Change, Link, Parcel
from bot.domain.task import Task, TaskState
from bot.posting import texts

CATALOG = catalogs.load()
TASK = Task(
    id="task0001",
    interaction_id=1,
    ordinal=0,
    server_id=10,
    channel_id=20,
    member_id=30,
    mode=Mode.TEXT,
    format=Format(model="hailuo-2.3", duration=6, resolution="768p"),
    prompt="a whale",
    camera=None,
    enhance=True,
    first_frame=None,
    last_frame=None,
    provider="mindvideo",
    price_micros=329_400,
    list_micros=329_400,
    state=TaskState.HELD,
    created_at=0,
    changed_at=0,
    due_at=0,
)


def a_task(**changes: Any) -> Task:
    return replace(TASK, **changes)


def status(ahead: int = 0, progress: int | None = None, ready_at: int | None = None, **changes: Any) -> str:
    return texts.status_line(a_task(**changes), CATALOG, ahead=ahead, progress=progress, ready_at=ready_at)


CLIP = Path("task0001.mp4")


def ready(parcel: Parcel = Parcel(CLIP), cost: int = 329_400, **changes: Any) -> str:  # noqa: B008 - it is frozen
    return texts.ready_message(a_task(**changes), CATALOG, cost_micros=cost, parcel=parcel)


# ---------------------------------------------------------------- strangers' words


@pytest.mark.parametrize(
    ("prompt", "shown"),
    [
        ("[x](http://evil)", r"\[x\](http\://evil)"),
        ("[a [b](http://x)](http://y)", r"\[a \[b\](http\://x)\](http\://y)"),
        ("https://evil.example/a_b", r"https\://evil\.example/a\_b"),
        ("discord.gg/abc", r"discord\.gg/abc"),
        ("# big", r"\# big"),
        ("### big", r"\### big"),
        ("- item", r"\- item"),
        ("-# small", r"\-# small"),
        ("* item", r"\* item"),
        ("1. item", r"1\. item"),
        ("1234. item", r"1234\. item"),
        ("> quote", r"\> quote"),
        (">>> quote", r"\>\>\> quote"),
        ("```py\ncode```", r"\`\`\`py code\`\`\`"),
        ("||secret||", r"\|\|secret\|\|"),
        ("<t:1767225600:R>", r"\<t\:1767225600\:R\>"),
        ("<:a:1> <a:b:2>", r"\<\:a\:1\> \<a\:b\:2\>"),
        (":skull:", r"\:skull\:"),
        ("<#1> </x:1> <id:guide>", r"\<#1\> \</x\:1\> \<id\:guide\>"),
        ("<@1> <@!1> <@&1>", r"\<\@1\> \<\@!1\> \<\@&1\>"),
        ("@everyone @here", r"\@everyone \@here"),
        ("**b** __u__ ~~s~~", r"\*\*b\*\* \_\_u\_\_ \~\~s\~\~"),
        ("\\[x](y)", r"\\\[x\](y)"),
        ("A cat. A dog.", "A cat. A dog."),
    ],
)
def test_nothing_a_prompt_contains_becomes_markup(prompt: str, shown: str) -> None:
    assert texts.plain(prompt) == shown


@given(st.text())
def test_every_sign_of_markup_has_its_own_backslash(text: str) -> None:
    bare = re.sub(r"\\[\\*_~|`\[\]<>@:#.\-]", "x", texts.plain(text, length=10_000))
    assert not re.search(r"[\\*_~|`\[\]<>@:]|^[#-]", bare)


@given(st.text(max_size=500), st.integers(1, 300))
def test_words_are_one_line_and_never_longer_than_asked(text: str, length: int) -> None:
    shown = texts.plain(text, length=length)
    assert len(shown.encode("utf-16-le")) // 2 <= length
    assert len(shown.splitlines()) <= 1


def test_a_cut_never_splits_a_backslash_from_its_sign() -> None:
    assert texts.plain("_" * 100, length=6) == r"\_\_…"


def test_a_line_cannot_be_turned_around_by_direction_signs() -> None:
    assert texts.plain("abc \u202etxt.exe\u2066 end") == r"abc txt\.exe end"


def test_lone_surrogates_and_control_characters_are_left_out() -> None:
    assert texts.plain("a\ud800b\x00c\u2028d") == "abc d"


def test_joined_emoji_and_right_to_left_words_stay_whole() -> None:
    assert texts.plain("👨‍👩‍👧 سلام") == "👨‍👩‍👧 سلام"


def test_the_camera_command_stands_behind_the_quoted_prompt() -> None:
    assert texts.quoted("a whale", "Pan left", length=300) == "> a whale [Pan left]"


def test_a_long_answer_ends_at_a_whole_line() -> None:
    shown = texts.cut("\n".join(["a line of words"] * 300))
    assert len(shown) <= texts.MESSAGE_LENGTH
    assert shown.endswith("a line of words\n…")


# ------------------------------------------------------------------------- states


def test_a_waiting_task_says_its_place_its_price_and_that_cancelling_is_free() -> None:
    assert status(ahead=3) == "⏳ Waiting, 3 ahead. $0.3294 is held; cancelling is free. `task0001`"
    assert status() == "⏳ Waiting, next in line. $0.3294 is held; cancelling is free. `task0001`"


def test_a_task_sent_back_by_a_busy_provider_says_so() -> None:
    assert status(problem="429").startswith("⏳ MindVideo takes no more jobs just now; it is asked again")


def test_a_task_on_its_way_to_the_provider_says_so() -> None:
    assert status(state=TaskState.SUBMITTING) == "📤 Being handed to MindVideo. `task0001`"


def test_a_queued_task_says_when_the_clip_should_be_ready() -> None:
    line = status(state=TaskState.QUEUED, submitted_at=10_000, ready_at=70_000)
    assert line == "🕒 In MindVideo's queue · sent <t:10:R> · ready about <t:70:R> `task0001`"


def test_without_a_measurement_no_time_is_promised() -> None:
    line = status(state=TaskState.QUEUED, submitted_at=10_000)
    assert line == "🕒 In MindVideo's queue · sent <t:10:R> `task0001`"


@pytest.mark.parametrize(
    ("percent", "bar"),
    [(-5, "▱▱▱▱▱▱▱▱▱▱ 0 %"), (0, "▱▱▱▱▱▱▱▱▱▱ 0 %"), (47, "▰▰▰▰▱▱▱▱▱▱ 47 %"), (250, "▰▰▰▰▰▰▰▰▰▰ 100 %")],
)
def test_progress_is_a_bar_and_a_number(percent: int, bar: str) -> None:
    line = status(state=TaskState.PROCESSING, progress=percent)
    assert line == f"🎬 {bar} · MindVideo is making it `task0001`"


@pytest.mark.parametrize(
    ("expected", "bar"), [(0, "▱▱▱▱▱▱▱▱▱▱"), (47, "▰▰▰▰▱▱▱▱▱▱"), (100, "▰▰▰▰▰▰▰▰▰▱"), (250, "▰▰▰▰▰▰▰▰▰▱")]
)
def test_what_is_expected_is_a_bar_without_a_number_that_ends_before_the_end(expected: int, bar: str) -> None:
    task = a_task(state=TaskState.PROCESSING)
    line = texts.status_line(task, CATALOG, expected=expected)
    assert line == f"🎬 {bar} · MindVideo is making it `task0001`"


def test_a_providers_own_number_goes_before_what_is_expected() -> None:
    task = a_task(state=TaskState.PROCESSING)
    assert "▰▱▱▱▱▱▱▱▱▱ 12 %" in texts.status_line(task, CATALOG, progress=12, expected=80)


def test_without_a_number_there_is_no_bar() -> None:
    assert status(state=TaskState.PROCESSING) == "🎬 MindVideo is making it `task0001`"


def test_a_finished_clip_is_on_its_way() -> None:
    assert status(state=TaskState.SUCCEEDED) == "📥 It is ready and on its way here. `task0001`"


def test_a_clip_that_could_not_be_posted_yet_is_tried_again() -> None:
    assert "tried again by itself" in status(state=TaskState.SUCCEEDED, problem="not posted yet")


def test_a_clip_that_nobody_can_be_given_says_how_to_get_it() -> None:
    line = status(state=TaskState.SUCCEEDED, due_at=None)
    assert line.startswith(
        "📦 It is ready but could not be posted. `/tasks show task:task0001` hands it to you."
    )


def test_a_delivered_clip_is_one_line_with_its_link() -> None:
    line = status(state=TaskState.DELIVERED, message_channel_id=20, message_id=5)
    assert line == "✅ Ready: https://discord.com/channels/10/20/5 `task0001`"


def test_the_link_to_a_direct_message_names_no_server() -> None:
    line = status(state=TaskState.DELIVERED, message_channel_id=77, message_id=5)
    assert "https://discord.com/channels/@me/77/5" in line


def test_a_failure_says_that_the_price_was_given_back_and_why() -> None:
    line = status(state=TaskState.FAILED, problem="the model *crashed*")
    assert line == r"❌ It failed and $0.3294 was given back: The model \*crashed\*. `task0001`"


def test_a_failure_without_a_reason_says_that() -> None:
    assert "No reason was given." in status(state=TaskState.FAILED)


def test_a_cancelled_task_says_that_the_price_was_given_back() -> None:
    line = status(state=TaskState.CANCELLED, problem="cancelled by the member")
    assert line == "🚫 Cancelled by the member. $0.3294 was given back. `task0001`"


def test_a_parked_task_says_that_the_price_stays_held() -> None:
    line = status(state=TaskState.PARKED, problem="no result after 60 minutes")
    assert "No result after 60 minutes. $0.3294 stays held until the outcome is known" in line


@pytest.mark.parametrize("state", TaskState)
def test_four_lines_of_any_state_fit_into_one_message(state: TaskState) -> None:
    task = a_task(state=state, problem="*" * 400, prompt="_" * 2000, camera="Tracking shot")
    lines = [texts.progress_head(task, CATALOG), *[texts.status_line(task, CATALOG)] * 4]
    assert len("\n".join(lines)) <= texts.MESSAGE_LENGTH


# -------------------------------------------------------------------- the clip


def test_the_clips_message_mentions_quotes_and_says_what_was_paid() -> None:
    assert ready(camera="Zoom in") == (
        "<@30> your clip is ready.\n"
        "> a whale [Zoom in]\n"
        "-# Hailuo 2.3 · 6 s · 768p · $0.3294 · MindVideo · `task0001`"
    )


def test_a_cost_above_the_hold_is_told() -> None:
    assert "$0.40 (more than was held)" in ready(cost=400_000)


def test_a_clip_too_large_comes_as_a_link_with_its_end() -> None:
    shown = ready(Parcel(None, link=Link("https://cdn/x.mp4", 70_000, own=False)))
    assert (
        "The clip is too large for Discord; get it from the provider until <t:70:f>: https://cdn/x.mp4"
        in shown
    )


def test_a_link_that_ends_at_an_unknown_time_says_to_hurry() -> None:
    link = Link("https://cdn/x.mp4", None, own=False)
    assert "from the provider soon, links are short-lived: https://cdn/x.mp4" in ready(
        Parcel(None, link=link)
    )


def test_an_own_link_is_called_no_providers() -> None:
    link = Link("https://bot/clips/x", 70_000, own=True)
    assert "The clip is too large for Discord; get it here until <t:70:f>: https://bot/clips/x" in ready(
        Parcel(None, link=link)
    )


@pytest.mark.parametrize(
    ("change", "link", "words"),
    [
        (Change.NONE, None, ""),
        (Change.SMALLER, None, "-# Made smaller to fit."),
        (Change.CONVERTED, None, "-# Converted so that it plays everywhere."),
        (
            Change.SMALLER,
            Link("https://bot/x", 70_000, own=True),
            "-# Made smaller to fit. The original until <t:70:f>: <https://bot/x>",
        ),
        (
            Change.SMALLER,
            Link("https://cdn/x", 70_000, own=False),
            "-# Made smaller to fit. The original at the provider until <t:70:f>: <https://cdn/x>",
        ),
        (
            Change.SMALLER,
            Link("https://cdn/x", None, own=False),
            "-# Made smaller to fit. The original at the provider for a short time: <https://cdn/x>",
        ),
        (
            Change.SMALLER,
            Link("https://cdn/" + "x" * 2000, 70_000, own=False),
            "-# Made smaller to fit. The original at the provider until <t:70:f>: the link is in the file",
        ),
    ],
)
def test_a_changed_clip_says_so_and_leads_to_the_original(
    change: Change, link: Link | None, words: str
) -> None:
    between = ready(Parcel(CLIP, change, link)).splitlines()[2:-1]
    assert between == ([words] if words else [])


@given(st.text(min_size=1, max_size=2000), st.integers(1, 5000), st.sampled_from([None, CLIP]), st.booleans())
def test_a_clips_message_always_fits(prompt: str, length: int, file: Path | None, own: bool) -> None:  # noqa: FBT001 - drawn
    link = Link("https://cdn/" + "x" * length, 10**12, own=own)
    shown = ready(Parcel(file, Change.CONVERTED, link), prompt=prompt, camera="Tracking shot")
    assert len(shown.encode("utf-16-le")) // 2 <= texts.MESSAGE_LENGTH
