"""Paints a clip on this machine: what the sandbox delivers instead of a model's work."""

from dataclasses import dataclass
from pathlib import Path

from bot.domain.catalog import Format, Mode, Resolution
from bot.media import child
from bot.media.files import arriving

SIZES: dict[Resolution, tuple[int, int]] = {"512p": (912, 512), "768p": (1366, 768), "1080p": (1920, 1080)}
_CPU_SECONDS_A_SECOND = 10
# Measured at 1080p: 403 MB of address space.
_MEMORY = 640 << 20


@dataclass(frozen=True, slots=True)
class PaintOrder:
    """`first` and `last` are picture files: none for text, the first for image, both for transition."""

    mode: Mode
    format: Format
    prompt: str
    target: Path
    first: Path | None = None
    last: Path | None = None


async def paint(order: PaintOrder) -> None:
    """Write a silent H.264 MP4 of exactly `duration` × 24 frames. `ChildFailed` where that is not possible."""
    cpu_seconds = 10 + order.format.duration * _CPU_SECONDS_A_SECOND
    width, height = SIZES[order.format.resolution]
    with arriving(order.target) as part:
        arguments = {
            "mode": order.mode.value,
            "width": width,
            "height": height,
            "seconds": order.format.duration,
            "prompt": order.prompt,
            "label": f"Conch sandbox · {order.format.id}",
            "pictures": [str(path) for path in (order.first, order.last) if path],
            "target": str(part),
        }
        answer = await child.run(
            "paint",
            arguments,
            cpu_seconds=cpu_seconds,
            memory_bytes=_MEMORY,
            seconds=2.0 * cpu_seconds,
        )
        if "refused" in answer:
            raise child.ChildFailed(answer["refused"])


async def codecs() -> str:
    """The version of PyAV that can encode H.264 here; `ChildFailed` where none can."""
    answer = await child.run("codecs", {}, cpu_seconds=10, memory_bytes=_MEMORY, seconds=30)
    if "refused" in answer:
        raise child.ChildFailed(answer["refused"])
    return str(answer["version"])
