"""Words in the reader's language, from real files of our own making."""

import asyncio
import gettext
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.pofile import PoFileError

from bot.domain import language
from bot.domain.language import (
    ENGLISH,
    LANGUAGES,
    kept,
    language_of,
    named,
    read_by,
    reader,
    reading,
    said,
    short,
    tr,
    trn,
)

HEADER = """
msgid ""
msgstr ""
"Language: {language}\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Plural-Forms: {plurals}\\n"
"""
TWO_FORMS = HEADER.format(language="de", plurals="nplurals=2; plural=(n != 1);")
ONE_FORM = HEADER.format(language="zh_CN", plurals="nplurals=1; plural=0;")

#: The general templates stand before the particular ones: their place must not decide.
GERMAN = """
msgid "It costs {price} and is held for {member}."
msgstr "Für {member} werden {price} zurückgelegt."

msgid "Cancel"
msgstr "Abbrechen"

msgid "One clip waits for {who}."
msgid_plural "{number} clips wait for {who}."
msgstr[0] "Ein Clip wartet auf {who}."
msgstr[1] "{number} Clips warten auf {who}."

msgid "Nobody has translated this."
msgstr ""

msgid "One is untold."
msgid_plural "{number} are untold."
msgstr[0] ""
msgstr[1] ""

msgctxt "name"
msgid "cancel"
msgstr "abbrechen"

msgctxt "kept"
msgid "Cancel"
msgstr "ein Abbruch"

msgctxt "kept"
msgid "cancelled by {actor}"
msgstr "von {actor} abgebrochen"

msgctxt "kept"
msgid "cancelled by an admin: {reason}"
msgstr "ein Admin hat abgebrochen: {reason}"

msgctxt "kept"
msgid "goes to {provider}: {why}"
msgstr "geht an {provider}, denn: {why}"

msgctxt "kept"
msgid "{provider} refused the request ({said})."
msgstr "Die Anfrage an {provider} wurde abgelehnt ({said})."

msgctxt "kept"
msgid "{provider} lost it ({why})."
msgstr "Verloren bei {provider} ({why})."

msgctxt "kept"
msgid "the provider works on it"
msgstr "der Anbieter arbeitet daran"

msgctxt "kept"
msgid "Was it worth $1? (yes|no) [+] {answer} \\\\d*"
msgstr "War es einen Dollar wert? {answer}"

msgctxt "kept"
msgid "untranslated, because {why}"
msgstr ""
"""
CHINESE = """
msgid "It costs {price} and is held for {member}."
msgstr "已为 {member} 预留 {price}。"

msgid "One clip waits for {who}."
msgid_plural "{number} clips wait for {who}."
msgstr[0] "{number} 个视频在等待 {who}。"

msgctxt "kept"
msgid "the provider works on it"
msgstr "服务商正在制作"
"""
FILES = {"de": TWO_FORMS + GERMAN, "zh-CN": ONE_FORM + CHINESE}


@pytest.fixture(autouse=True)
def _languages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for one in LANGUAGES[1:]:
        (tmp_path / f"{one}.po").write_text(FILES.get(one, TWO_FORMS), "utf-8")
    english = {ENGLISH: language._Catalogue(gettext.NullTranslations(), ())}
    monkeypatch.setattr(language, "FILES", tmp_path)
    monkeypatch.setattr(language, "_catalogues", english)
    language._said.cache_clear()
    language.load()
    with reading(ENGLISH):
        yield
    language._said.cache_clear()


def held() -> str:
    return tr("It costs {price} and is held for {member}.", price="$0.28", member="<@7>")


# Whose language


@pytest.mark.parametrize(
    ("locale", "ours"),
    [
        ("de", "de"),
        ("zh-CN", "zh-CN"),
        ("zh-TW", "zh-CN"),
        ("es-419", "es-ES"),
        ("es-ES", "es-ES"),
        ("pt-BR", "pt-BR"),
        ("en-GB", ENGLISH),
        ("en-US", ENGLISH),
        ("ko", ENGLISH),
        ("", ENGLISH),
        ("deutsch", ENGLISH),
    ],
)
def test_every_locale_of_discord_has_a_language(locale: str, ours: str) -> None:
    assert language_of(locale) == ours
    with reading(locale):
        assert reader() == ours


@pytest.mark.parametrize(
    ("locale", "words"),
    [
        ("de", "Für <@7> werden $0.28 zurückgelegt."),
        ("zh-TW", "已为 <@7> 预留 $0.28。"),
        ("en-GB", "It costs $0.28 and is held for <@7>."),
        ("ko", "It costs $0.28 and is held for <@7>."),
    ],
)
def test_words_and_their_values_are_told_in_it(locale: str, words: str) -> None:
    with reading(locale):
        assert held() == words


def test_nobody_in_particular_reads_english() -> None:
    assert held() == "It costs $0.28 and is held for <@7>."


def test_the_reader_before_is_back_afterwards() -> None:
    with reading("de"):
        with reading("ja"):
            assert reader() == "ja"
        assert reader() == "de"
        with pytest.raises(RuntimeError), reading("fr"):
            raise RuntimeError
        assert reader() == "de"
    assert reader() == ENGLISH


async def test_two_at_once_do_not_mix() -> None:
    met = asyncio.Barrier(2)

    async def spoken(locale: str) -> list[str]:
        words = []
        for _ in range(3):
            read_by(locale)
            await met.wait()
            words.append(held())
            await met.wait()
        return words

    german, chinese = await asyncio.gather(spoken("de"), spoken("zh-CN"))
    assert german == ["Für <@7> werden $0.28 zurückgelegt."] * 3
    assert chinese == ["已为 <@7> 预留 $0.28。"] * 3
    assert reader() == ENGLISH


async def test_what_a_reader_sets_off_is_in_his_language() -> None:
    with reading("de"):
        begun = asyncio.create_task(asyncio.to_thread(held))
    assert await begun == "Für <@7> werden $0.28 zurückgelegt."


# Words that are told


@pytest.mark.parametrize(
    ("locale", "number", "words"),
    [
        ("de", 1, "Ein Clip wartet auf Ann."),
        ("de", 0, "0 Clips warten auf Ann."),
        ("de", 2, "2 Clips warten auf Ann."),
        ("zh-CN", 1, "1 个视频在等待 Ann。"),
        ("zh-CN", 2, "2 个视频在等待 Ann。"),
        ("en-US", 1, "One clip waits for Ann."),
        ("en-US", 2, "2 clips wait for Ann."),
        ("fr", 1, "One clip waits for Ann."),
    ],
)
def test_a_number_of_things_has_each_languages_forms(locale: str, number: int, words: str) -> None:
    with reading(locale):
        assert trn("One clip waits for {who}.", "{number} clips wait for {who}.", number, who="Ann") == words


def test_what_has_no_translation_is_told_in_english() -> None:
    with reading("de"):
        assert tr("Nobody has translated this.") == "Nobody has translated this."
        assert tr("Nobody has {verb} this.", verb="seen") == "Nobody has seen this."
        assert trn("One is untold.", "{number} are untold.", 1) == "One is untold."
        assert trn("One is untold.", "{number} are untold.", 3) == "3 are untold."


def test_values_may_have_braces() -> None:
    with reading("de"):
        words = tr("It costs {price} and is held for {member}.", price="{member}", member="{0} {")
    assert words == "Für {0} { werden {member} zurückgelegt."


def test_words_without_values_may_have_braces_too() -> None:
    assert tr("Write {price}.") == "Write {price}."
    assert kept("Write {price}.") == "Write {price}."


def test_one_word_may_be_many_things() -> None:
    """A button, a command's name and a note have translations of their own."""
    with reading("de"):
        assert (short("Cancel"), named("cancel"), said("Cancel")) == ("Abbrechen", "abbrechen", "ein Abbruch")
        assert (named("Cancel"), said("cancel")) == ("Cancel", "cancel")


def test_a_file_that_cannot_be_read_is_no_file_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fr.po").write_text(TWO_FORMS + 'msgid "x"\nwhat is this\n', "utf-8")
    monkeypatch.setattr(language, "_catalogues", {ENGLISH: language._catalogues[ENGLISH]})
    with pytest.raises(PoFileError):
        language.load()


# Words that were kept


def test_what_was_kept_is_english_whoever_reads() -> None:
    with reading("de"):
        assert kept("cancelled by {actor}", actor="Ann") == "cancelled by Ann"


def test_what_was_kept_is_told_to_each_reader() -> None:
    note = kept("the provider works on it")
    told = {}
    for locale in ("de", "zh-CN", "fr", "en-US"):
        with reading(locale):
            told[locale] = said(note)
    assert told == {"de": "der Anbieter arbeitet daran", "zh-CN": "服务商正在制作", "fr": note, "en-US": note}


def test_what_was_kept_within_is_told_too() -> None:
    """The words around are found first, also where those within are more, and begin or end with a value."""
    refused = kept("{provider} refused the request ({said}).", provider="Runware", said="no whales")
    told = "Die Anfrage an Runware wurde abgelehnt (no whales)."
    with reading("de"):
        assert said(refused) == told
        assert said(kept("goes to {provider}: {why}", provider="gmi", why=refused)) == (
            f"geht an gmi, denn: {told}"
        )
        assert said(kept("{provider} lost it ({why}).", provider="gmi", why=refused)) == (
            f"Verloren bei gmi ({told})."
        )
        twice = kept("goes to {provider}: {why}", provider="gmi", why=refused)
        assert said(kept("{provider} lost it ({why}).", provider="gmi", why=twice)) == (
            f"Verloren bei gmi (geht an gmi, denn: {told})."
        )


@pytest.mark.parametrize(
    "value",
    ["{why}", "{0} {", "}{", "a\nb\n", "\n", ".*(b|c)\\1", "[^)]+$", "\\", "\\g<0>", "%s %(x)s", "a: b: c"],
    ids=repr,
)
def test_values_stay_as_they_are(value: str) -> None:
    with reading("de"):
        note = kept("goes to {provider}: {why}", provider="gmi", why=value)
        assert said(note) == f"geht an gmi, denn: {value}"
        answer = kept("Was it worth $1? (yes|no) [+] {answer} \\d*", answer=value)
        assert said(answer) == f"War es einen Dollar wert? {value}"


@pytest.mark.parametrize(
    "words",
    [
        "Was it worth $1? yes + never 3",
        "Was it worth $1? (yes|no) [+] never \\d* and more",
        "so Was it worth $1? (yes|no) [+] never \\d*",
        "the provider works on it.",
        "The provider works on it",
        "out of whales",
        "cancelled by ",
        "",
    ],
)
def test_words_that_are_not_ours_stay(words: str) -> None:
    with reading("de"):
        assert said(words) == words


def test_somebodys_words_within_stay_as_they_are() -> None:
    note = kept("cancelled by an admin: {reason}", reason=kept("cancelled by {actor}", actor="Ann"))
    with reading("de"):
        assert said(note) == "ein Admin hat abgebrochen: cancelled by Ann"


def test_the_most_particular_template_is_meant() -> None:
    with reading("de"):
        assert said(kept("cancelled by an admin: {reason}", reason="spam")) == (
            "ein Admin hat abgebrochen: spam"
        )
        assert said(kept("cancelled by {actor}", actor="an adminlike: robot")) == (
            "von an adminlike: robot abgebrochen"
        )


def test_a_note_without_a_translation_is_told_in_english_but_what_it_holds_is() -> None:
    note = kept("untranslated, because {why}", why=kept("cancelled by {actor}", actor="Ann"))
    with reading("de"):
        assert said(note) == "untranslated, because von Ann abgebrochen"
    with reading("fr"):
        assert said(note) == note
