"""Blocked words are found in every disguise that reads the same, and in no other word."""

import unicodedata
from typing import Literal, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.words import _joined, folded, found

Form = Literal["NFC", "NFD", "NFKC", "NFKD"]
FORMS: tuple[Form, ...] = get_args(Form)
FULL_WIDTH = {letter: letter + 0xFEE0 for letter in range(ord("a"), ord("z") + 1)}
LETTERS = st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=12)
TEXTS = st.text(max_size=40) | st.text(
    st.sampled_from(
        "aß\u1e9eİıǅﬁ각각ㅏか\u3099ﾊﾞนี้ำក្កबुَáא־\u05b8\u200b\u200d\ufe0f\u0e48\u0301\u0345👩🏽_-’ \n1½²"
    ),
    max_size=12,
)

#: Few enough signs for words to stand in prompts, whole and within others.
PIECES = st.text(st.sampled_from("ab1'가각ไ่"), min_size=4, max_size=10)


def hits(word: str, prompt: str) -> bool:
    return found([folded(word)], prompt) == [folded(word)]


@pytest.mark.parametrize(
    ("word", "prompt"),
    [
        ("bad", "a BAD cat"),
        ("bad", "ＢＡＤ"),
        ("bad", "𝓫𝓪𝓭 ⓑⓐⓓ"),
        ("bad", "bád, båd, b\u0336a\u0336d\u0336"),
        ("bad", "b\u200ba\u00add\u2060"),
        ("bad", "b\u0e48a\u20ddd\ufe0f"),
        ("bad", "b\u3164a\u115fd"),
        ("bád", "so bad"),
        ("傻瓜", "傻\ufe00瓜\U000e0100"),
        ("bad", "b\u2065a\ufff0d\U000e0080"),
        ("裸体", "裸\u0e38体\u093c"),
        ("裸体", "裸体\u3099"),
        ("ばか", "は\u0e38\u3099か\u093c"),
        ("บ้า", "บ\u093c้า\u3099"),
        ("바보", "바\u3099보\u093c"),
        ("ᾳ", "α\u0345"),
        ("Straße", "STRASSE"),
        ("bad", "bad-tempered"),
        ("bad", "my_bad_cat"),
        ("bad", "bad's"),
        ("enfer", "l’enfer"),
        ("don't", "DON’T"),
        ("bad", "bad2 the bone"),
        ("bad", "🐈bad🐈"),
        ("bad", "看bad片"),
        ("18+", "only 18+!"),
        ("🍆", "x🍆🍆y"),
        ("bad  thing", "a bad\n thing"),
        ("bad thing", "bad-thing"),
        ("傻瓜", "你是傻瓜吗"),
        ("ばか", "あのばかめ"),
        ("バカ", "ﾊﾞｶだ"),
        ("바보", "바보는"),
        ("บ้า", "คนบ้ามาก"),
        ("ບ້າ", "ຄົນບ້າຫຼາຍ"),
        ("ឆ្កួត", "មនុស្សឆ្កួតណាស់"),
        ("အရူး", "သူအရူးပါ"),
        ("बुरा", "वह बुरा है"),
        ("שלום", "שָׁלוֹם"),
        ("محمد", "مُحَمَّد"),
    ],
)
def test_a_word_is_found(word: str, prompt: str) -> None:
    assert hits(word, prompt)


@pytest.mark.parametrize(
    ("word", "prompt"),
    [
        ("ass", "class"),
        ("ass", "assassin glass passé"),
        ("hell", "he'll say hello"),
        ("88", "in 1988"),
        ("bad thing", "bad. Thing"),
        ("बुरा", "बुराई"),
        ("कम", "कमाल किकम"),
        ("가", "각"),
        ("はか", "ばか"),
        ("ကရ", "က္ကရ"),
        ("นก", "นกี"),
    ],
)
def test_another_word_is_not(word: str, prompt: str) -> None:
    assert not hits(word, prompt)


def test_a_word_is_found_behind_one_that_only_holds_it() -> None:
    assert hits("ass", "a class for an ass")
    assert found(["b", "a"], "a b") == ["b", "a"]


def stands(word: str, text: str) -> bool:
    """What it means that a word is found, place by place."""

    def ends(place: int) -> bool:
        return place in {0, len(text)} or not _joined(text[place - 1], text[place])

    places = [place for place in range(len(text)) if text.startswith(word, place)]
    return any(ends(place) and ends(place + len(word)) for place in places)


@given(PIECES, st.integers(0, 5), st.integers(1, 3))
def test_a_word_is_found_exactly_where_one_begins_and_ends(prompt: str, start: int, length: int) -> None:
    text = folded(prompt)
    if word := folded(text[start : start + length]):
        assert hits(word, prompt) is stands(word, text)


def test_an_emoji_newer_than_python_can_be_blocked() -> None:
    assert folded("\U0001faea") == "\U0001faea"


@given(TEXTS)
def test_folding_twice_changes_nothing(text: str) -> None:
    assert folded(folded(text)) == folded(text)


def test_folding_any_sign_twice_changes_nothing() -> None:
    assigned = (*range(0x32000), *range(0xE0000, 0xE0200))
    once = folded(" ".join(map(chr, assigned)))
    assert folded(once) == once


@given(TEXTS, st.sampled_from(FORMS))
def test_every_form_of_a_text_folds_the_same(text: str, form: Form) -> None:
    assert folded(unicodedata.normalize(form, text)) == folded(text)


@given(
    LETTERS,
    st.sampled_from(["\u200b", "\u0301", "\u00ad", "\ufe0f", "\u0e48", "\u2065", "\ufff0", "\U000e0080"]),
    st.text(" .,!🐈", max_size=3),
)
def test_disguises_do_not_hide_a_word(word: str, hidden: str, around: str) -> None:
    for disguised in (word.upper(), word.title(), word.translate(FULL_WIDTH), hidden.join(word)):
        assert hits(word, f"{around}{disguised}{around}")


@given(LETTERS, LETTERS)
def test_within_a_longer_word_it_is_another(word: str, more: str) -> None:
    longer = word + more
    assert hits(word, longer) is (word == longer)
