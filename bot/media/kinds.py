"""What a file looks like by its first bytes; names of files are never believed."""

HEAD = 512

_PICTURES = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
)
_OTHERS = (
    (b"GIF8", "a GIF"),
    (b"BM", "a BMP"),
    (b"II*\0", "a TIFF"),
    (b"MM\0*", "a TIFF"),
    (b"8BPS", "a Photoshop file"),
    (b"%PDF", "a PDF"),
    (b"%!PS", "an EPS"),
    (b"\xc5\xd0\xd3\xc6", "an EPS"),
    (b"\0\0\1\0", "an icon file"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (b"PK\3\4", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"Rar!", "a RAR archive"),
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a program"),
    (b"ID3", "an MP3 sound file"),
    (b"OggS", "an Ogg file"),
    (b"fLaC", "a FLAC sound file"),
    (b"#EXTM3U", "a playlist"),
    (b"ffconcat", "a playlist"),
)
_TEXTS = (
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<head", "an HTML page"),
    (b"<body", "an HTML page"),
    (b"<svg", "an SVG drawing"),
    (b"<mpd", "a playlist"),
    (b"<", "an XML or HTML text"),
    (b"{", "a JSON text"),
)
_STILL_BRANDS = {b"avif": "an AVIF picture", b"avis": "an AVIF picture"} | dict.fromkeys(
    (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"), "a HEIC picture"
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
        return "an empty file"
    if name := picture(head):
        return f"a {name} picture"
    if name := demuxer(head):
        return "an MP4 or MOV video" if name == "mov" else "a WebM or Matroska video"
    if head[4:8] == b"ftyp":
        return _STILL_BRANDS[head[8:12]]
    for magic, name in _OTHERS:
        if head.startswith(magic):
            return name
    return _text(head)


def _text(head: bytes) -> str:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith(b"<?xml") and b"<svg" in start:
        return "an SVG drawing"
    for magic, name in _TEXTS:
        if start.startswith(magic):
            return name
    printable = sum(byte >= ord(" ") or byte in b"\t\r\n" for byte in head)
    return "a text" if printable == len(head) and b"\x7f" not in head else "an unknown kind of file"
