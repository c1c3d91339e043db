"""Which rule decides, what a member is told, and what allowing and denying make of the rules."""

import pytest

from bot.domain.access import Kind, Rule, holds, verdict, with_allowed, with_denied
from bot.domain.errors import Refusal

CATEGORY, CHANNEL, THREAD, OTHER = 1, 2, 3, 4
MEMBER, FANS, GUESTS = 10, 20, 21


def allowed(kind: Kind, subject: object) -> Rule:
    return Rule(kind, str(subject), allowed=True)


def denied(kind: Kind, subject: object) -> Rule:
    return Rule(kind, str(subject), allowed=False)


def said(
    *rules: Rule,
    channels: tuple[int, ...] = (CHANNEL, CATEGORY),
    roles: tuple[int, ...] = (),
    prompt: str = "a whale",
) -> str:
    return (
        verdict(rules, member_id=MEMBER, role_ids=frozenset(roles), channel_ids=channels, prompt=prompt)
        or "welcome"
    )


# ------------------------------------------------------------------ channels


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [allowed(Kind.CHANNEL, THREAD)],
        [allowed(Kind.CHANNEL, CHANNEL)],
        [allowed(Kind.CHANNEL, CATEGORY)],
        [denied(Kind.CHANNEL, OTHER)],
        [denied(Kind.CHANNEL, CATEGORY), allowed(Kind.CHANNEL, CHANNEL)],
        [denied(Kind.CHANNEL, CHANNEL), allowed(Kind.CHANNEL, THREAD)],
    ],
)
def test_a_thread_is_open_where_the_nearest_rule_says_so(rules: list[Rule]) -> None:
    assert said(*rules, channels=(THREAD, CHANNEL, CATEGORY)) == "welcome"


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([allowed(Kind.CHANNEL, OTHER)], "No clips are made in this channel. Use <#4>."),
        ([denied(Kind.CHANNEL, THREAD)], "No clips are made in this channel. Use another channel."),
        ([denied(Kind.CHANNEL, CHANNEL)], "No clips are made in <#2>, and this channel lies in it."),
        (
            [denied(Kind.CHANNEL, CATEGORY), allowed(Kind.CHANNEL, OTHER)],
            "<#1>, and this channel lies in it. Use <#4>.",
        ),
        ([denied(Kind.CHANNEL, THREAD), allowed(Kind.CHANNEL, CHANNEL)], "this channel. Use <#2>."),
    ],
)
def test_a_closed_thread_says_where_to_go(rules: list[Rule], words: str) -> None:
    assert words in said(*rules, channels=(THREAD, CHANNEL, CATEGORY))


def test_many_allowed_channels_are_not_all_named() -> None:
    words = said(*[allowed(Kind.CHANNEL, number) for number in range(100, 200)])
    assert "<#118>, <#119> or 80 more." in words


# ------------------------------------------------------------------ roles


def test_a_denied_role_refuses_whatever_other_roles_there_are() -> None:
    rules = [denied(Kind.ROLE, GUESTS), allowed(Kind.ROLE, FANS)]
    assert "your role <@&21>" in said(*rules, roles=(FANS, GUESTS))
    assert said(*rules, roles=(FANS,)) == "welcome"
    assert said(rules[0]) == "welcome"


def test_all_roles_that_are_denied_are_named() -> None:
    rules = [denied(Kind.ROLE, FANS), denied(Kind.ROLE, GUESTS)]
    assert said(*rules, roles=(FANS, GUESTS)).startswith(
        "With your roles <@&20> and <@&21> you may make no clips"
    )


def test_where_roles_are_allowed_it_takes_one_of_them() -> None:
    rules = [allowed(Kind.ROLE, FANS), allowed(Kind.ROLE, GUESTS)]
    assert "takes one of these roles: <@&20> or <@&21>. You have none of them." in said(*rules, roles=(5,))
    assert said(*rules, roles=(5, GUESTS)) == "welcome"
    assert "takes the role <@&20>, which you do not have. Ask" in said(rules[0])


# ------------------------------------------------------------------ members and words


def test_a_blocked_member_reads_why_and_until_when() -> None:
    words = said(Rule(Kind.MEMBER, str(MEMBER), allowed=False, until=5_000_999, reason="spam."))
    assert "blocked you" in words
    assert "until <t:5000:f>. The reason: spam. It ends by itself <t:5000:R>" in words


@pytest.mark.parametrize("reason", ["Stop it!", "Really?", "…", "够了。", "wait..."])
def test_no_full_stop_stands_behind_another_mark(reason: str) -> None:
    words = said(Rule(Kind.MEMBER, str(MEMBER), allowed=False, reason=reason))
    assert f"The reason: {reason} Ask an admin" in words


def test_a_block_for_ever_says_whom_to_ask() -> None:
    words = said(denied(Kind.MEMBER, MEMBER))
    assert words.endswith("in this server. Ask an admin of this server to end it.")


def test_another_members_block_is_not_mine() -> None:
    assert said(denied(Kind.MEMBER, MEMBER + 1)) == "welcome"


def test_blocked_words_are_named() -> None:
    rules = [denied(Kind.WORD, "bad"), denied(Kind.WORD, "very bad"), denied(Kind.WORD, "w`rse")]
    assert "has a word that is blocked in this server: `bad`. Say it in other words" in said(
        *rules, prompt="so BÁD"
    )
    assert "words that are blocked in this server: `bad`, `very bad` and `w'rse`" in said(
        *rules, prompt="w`rse than very_bad"
    )
    assert said(*rules, prompt="badge") == "welcome"


def test_the_most_lasting_reason_is_told() -> None:
    reasons = [
        denied(Kind.WORD, "whale"),
        denied(Kind.CHANNEL, CHANNEL),
        denied(Kind.ROLE, GUESTS),
        denied(Kind.MEMBER, MEMBER),
    ]
    told = ["`whale`", "this channel", "your role", "blocked you"]
    for number, words in enumerate(told, 1):
        assert words in said(*reasons[:number], roles=(GUESTS,))


# ------------------------------------------------------------------ changes


@pytest.mark.parametrize("kind", [Kind.CHANNEL, Kind.ROLE])
def test_allowing_what_was_denied_only_ends_the_denial(kind: Kind) -> None:
    assert with_allowed([denied(kind, 5)], kind, "5") == []


@pytest.mark.parametrize("kind", [Kind.CHANNEL, Kind.ROLE])
def test_allowing_what_was_denied_lets_it_in_where_others_are_allowed(kind: Kind) -> None:
    assert with_allowed([allowed(kind, 4), denied(kind, 5)], kind, "5") == [
        allowed(kind, 4),
        allowed(kind, 5),
    ]


def test_allowed_roles_do_not_count_for_channels() -> None:
    rules = [allowed(Kind.ROLE, 4), denied(Kind.CHANNEL, 5)]
    assert with_allowed(rules, Kind.CHANNEL, "5") == [rules[0]]


@pytest.mark.parametrize("before", [[], [allowed(Kind.CHANNEL, 5)]])
def test_allowing_what_was_not_denied_adds_one_rule(before: list[Rule]) -> None:
    assert with_allowed(before, Kind.CHANNEL, "5") == [allowed(Kind.CHANNEL, 5)]


@pytest.mark.parametrize("kind", [Kind.MEMBER, Kind.WORD])
def test_members_and_words_can_only_be_unblocked(kind: Kind) -> None:
    assert with_allowed([denied(kind, "5")], kind, "5") == []
    with pytest.raises(Refusal, match="is not blocked here"):
        with_allowed([], kind, "5")


def test_a_denial_replaces_what_was_said_before() -> None:
    newer = Rule(Kind.MEMBER, "5", allowed=False, until=9, reason="spam")
    assert with_denied([allowed(Kind.CHANNEL, 5), denied(Kind.MEMBER, 5)], newer) == [
        allowed(Kind.CHANNEL, 5),
        newer,
    ]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (
            Kind.CHANNEL,
            "<#5> is the only channel allowed; denied, every other one would be open. Allow another",
        ),
        (
            Kind.ROLE,
            "<@&5> is the only role allowed; denied, members with any other or none could make clips.",
        ),
    ],
)
def test_the_only_one_allowed_is_not_denied(kind: Kind, words: str) -> None:
    rules = [allowed(kind, 5), denied(kind, 6), allowed(Kind.MEMBER, 7)]
    with pytest.raises(Refusal, match=words):
        with_denied(rules, denied(kind, 5))
    assert with_denied([allowed(kind, 5), allowed(kind, 6)], denied(kind, 5)) == [
        allowed(kind, 6),
        denied(kind, 5),
    ]
    assert with_denied([denied(kind, 5)], denied(kind, 5)) == [denied(kind, 5)]
    assert with_denied([allowed(kind, 5)], denied(kind, 6)) == [allowed(kind, 5), denied(kind, 6)]


# ------------------------------------------------------------------ what holds


@pytest.mark.parametrize(
    ("rules", "kind", "words"),
    [
        ([], Kind.CHANNEL, "in every channel."),
        ([denied(Kind.CHANNEL, 1)], Kind.CHANNEL, "everywhere but in <#1> and what lies in it."),
        ([allowed(Kind.CHANNEL, 1)], Kind.CHANNEL, "only in <#1> and what lies in it."),
        (
            [allowed(Kind.CHANNEL, 1), allowed(Kind.CHANNEL, 2), denied(Kind.CHANNEL, 3)],
            Kind.CHANNEL,
            "From now on clips can be made only in <#1> and <#2> and what lies in them, but not in <#3>.",
        ),
        ([], Kind.ROLE, "whatever their roles are."),
        (
            [denied(Kind.ROLE, 1), denied(Kind.ROLE, 2)],
            Kind.ROLE,
            "but members with the role <@&1> or <@&2>.",
        ),
        (
            [allowed(Kind.ROLE, 1), denied(Kind.ROLE, 2)],
            Kind.ROLE,
            "From now on only members with the role <@&1> can make clips, and nobody with <@&2>.",
        ),
        ([denied(Kind.MEMBER, 1), denied(Kind.WORD, "bad")], Kind.MEMBER, "Blocked members: 1."),
        ([denied(Kind.WORD, "bad")], Kind.WORD, "Blocked words: 1 of at most 500."),
    ],
)
def test_an_admin_reads_what_holds_now(rules: list[Rule], kind: Kind, words: str) -> None:
    assert holds(rules, kind).endswith(words)
