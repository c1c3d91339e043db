"""What can be read of files by whoever has the disk."""

from pathlib import Path

#: How JPEG and PNG files begin.
PICTURES = (b"\xff\xd8\xff", b"\x89PNG")


def in_plain(folder: Path, words: str) -> list[str]:
    """Files below a folder that have the words in them or show a picture, also those on their way."""
    return [
        file.name
        for file in folder.rglob("*")
        if file.is_file() and (words.encode() in (data := file.read_bytes()) or data.startswith(PICTURES))
    ]
