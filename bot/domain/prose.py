"""How words of ours and of others are put together."""

from bot.domain.language import UNSPACED, reader, tr

_ENDINGS = (".", "!", "?", "…", "。", "！", "？")


def sentence(text: str) -> str:
    """Somebody's words, with a full stop where no mark ends them already."""
    return text if text.endswith(_ENDINGS) else tr("{words}.", words=text)


def together(*sentences: str) -> str:
    """Sentences after each other; where words have no spaces between them, sentences have none either."""
    return ("" if reader() in UNSPACED else " ").join(sentences)


def capitalised(text: str) -> str:
    """As it begins a sentence; nothing else of it changes."""
    return text[:1].upper() + text[1:]


def counted(number: int, noun: str) -> str:
    """As in "1 hour" and "2 hours"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
