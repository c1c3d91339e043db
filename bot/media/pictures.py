"""Checks a member's picture and makes the frame that a provider gets: pixels alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.domain.catalog import ImageRules
from bot.domain.errors import PictureRefused, WrongShape
from bot.domain.language import kept, said, tr
from bot.media import child
from bot.media.files import arriving

_SHOWN_NAME = 60
_CPU_SECONDS = 20
_SECONDS = 40.0
_RULES = {"max_bytes", "min_side", "min_ratio", "max_ratio"}
# Measured: 788 MB of address space for a WebP of 40 million pixels, 452 MB for a PNG, 390 MB for a JPEG.
_MEMORY = 1 << 30


@dataclass(frozen=True, slots=True)
class PictureInfo:
    """The prepared JPEG; `was` tells what came in, such as "PNG, 4000×3000"."""

    width: int
    height: int
    bytes: int
    was: str


async def prepare(source: Path, target: Path, rules: ImageRules, *, name: str) -> PictureInfo:
    """Write the upright sRGB JPEG to `target`, without any metadata. `PictureRefused` says what to do instead.

    `WrongShape` where it is only too wide or too narrow: then `reshape` makes it fit.
    """
    with arriving(target) as part:
        answer = await _run("picture", source, rules, name, target=str(part))
        if "wrong_shape" in answer:
            raise WrongShape(said(answer["wrong_shape"]))
    return PictureInfo(**answer)


async def reshape(
    source: Path, rules: ImageRules, *, name: str, cropped: tuple[Path, Path], padded: tuple[Path, Path]
) -> None:
    """Write both shapes of a picture that `prepare` found too wide or too narrow: the frame, and a small copy."""
    files = {"cropped": cropped, "padded": padded}
    await _run("shape", source, rules, name, **{shape: list(map(str, pair)) for shape, pair in files.items()})


def preview_of(frame: Path) -> Path:
    """Where the small copy of a frame lies."""
    return frame.with_stem(f"{frame.stem}-preview")


async def _run(job: str, source: Path, rules: ImageRules, name: str, **targets: object) -> dict[str, Any]:
    shown = _shown(name)
    arguments = {
        "source": str(source),
        "rules": rules.model_dump(include=_RULES),
        "name": shown,
        **targets,
    }
    try:
        answer = await child.run(
            job, arguments, cpu_seconds=_CPU_SECONDS, memory_bytes=_MEMORY, seconds=_SECONDS
        )
    except child.ChildFailed as error:
        raise PictureRefused(
            tr(
                "{file} could not be prepared: {problem}. Save it again as a smaller, plain JPEG and attach that; if "
                "that fails too, tell the operator.",
                file=said(shown),
                problem=said(str(error)),
            )
        ) from error
    if "refused" in answer:
        raise PictureRefused(said(answer["refused"]))
    return answer


def _shown(name: str) -> str:
    """A stranger's file name as inline code: no mention, no markdown, no invisible or turning characters."""
    plain = "".join(letter for letter in name if letter.isprintable()).replace("`", "'").strip()
    if len(plain) > _SHOWN_NAME:
        half = _SHOWN_NAME // 2
        plain = f"{plain[: half - 1]}…{plain[-half:]}"
    return f"`{plain}`" if plain else kept("the picture")
