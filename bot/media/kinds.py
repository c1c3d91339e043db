"""What a file looks like by its first bytes; names of files are never believed."""

from bot.domain.language import kept

HEAD = 512

_PICTURES = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
)
_OTHERS = (
    (b"GIF8", kept("a GIF")),
    (b"BM", kept("a BMP")),
    (b"II*\0", kept("a TIFF")),
    (b"MM\0*", kept("a TIFF")),
    (b"8BPS", kept("a Photoshop file")),
    (b"%PDF", kept("a PDF")),
    (b"%!PS", kept("an EPS")),
    (b"\xc5\xd0\xd3\xc6", kept("an EPS")),
    (b"\0\0\1\0", kept("an icon file")),
    (b"\0\0\0\x0cjP  ", kept("a JPEG 2000 picture")),
    (b"\xff\x0a", kept("a JPEG XL picture")),
    (b"\0\0\0\x0cJXL ", kept("a JPEG XL picture")),
    (b"PK\3\4", kept("a ZIP archive")),
    (b"\x1f\x8b", kept("a gzip archive")),
    (b"Rar!", kept("a RAR archive")),
    (b"MZ", kept("a Windows program")),
    (b"\x7fELF", kept("a program")),
    (b"ID3", kept("an MP3 sound file")),
    (b"OggS", kept("an Ogg file")),
    (b"fLaC", kept("a FLAC sound file")),
    (b"#EXTM3U", kept("a playlist")),
    (b"ffconcat", kept("a playlist")),
)
_TEXTS = (
    (b"<!doctype html", kept("an HTML page")),
    (b"<html", kept("an HTML page")),
    (b"<head", kept("an HTML page")),
    (b"<body", kept("an HTML page")),
    (b"<svg", kept("an SVG drawing")),
    (b"<mpd", kept("a playlist")),
    (b"<", kept("an XML or HTML text")),
    (b"{", kept("a JSON text")),
)
_STILL_BRANDS = {b"avif": kept("an AVIF picture"), b"avis": kept("an AVIF picture")} | dict.fromkeys(
    (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"), kept("a HEIC picture")
)
#: A QuickTime file may begin with any of these boxes instead of `ftyp`.
_MOVIE_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"})


def picture(head: bytes) -> str | None:
    """PNG, JPEG or WEBP; None for everything else."""
    for magic, name in _PICTURES:
        if head.startswith(magic):
            return name
    return "WEBP" if head[:4] == b"RIFF" and head[8:12] == b"WEBP" else None


def demuxer(head: bytes) -> str | None:
    """FFmpeg's name of the container; None where it is neither MP4/MOV nor Matroska/WebM."""
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "matroska"
    if head[4:8] in _MOVIE_BOXES and head[8:12] not in _STILL_BRANDS:
        return "mov"
    return None


def container(head: bytes) -> str:
    """How the name of the file should end: mp4, mov, webm or mkv."""
    if demuxer(head) == "matroska":
        return "webm" if b"webm" in head[:64] else "mkv"
    quicktime = head[8:12] == b"qt  " if head[4:8] == b"ftyp" else demuxer(head) == "mov"
    return "mov" if quicktime else "mp4"


def describe(head: bytes) -> str:
    """Words for a person, such as "an HTML page"."""
    if not head:
        return kept("an empty file")
    if name := picture(head):
        return kept("a {kind} picture", kind=name)
    if name := demuxer(head):
        return kept("an MP4 or MOV video") if name == "mov" else kept("a WebM or Matroska video")
    if head[4:8] == b"ftyp":
        return _STILL_BRANDS[head[8:12]]
    for magic, name in _OTHERS:
        if head.startswith(magic):
            return name
    return _text(head)


def _text(head: bytes) -> str:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith(b"<?xml") and b"<svg" in start:
        return kept("an SVG drawing")
    for magic, name in _TEXTS:
        if start.startswith(magic):
            return name
    printable = sum(byte >= ord(" ") or byte in b"\t\r\n" for byte in head)
    return (
        kept("a text") if printable == len(head) and b"\x7f" not in head else kept("an unknown kind of file")
    )
