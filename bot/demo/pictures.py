"""The two pictures of the demo: a small harbour by day and by night, drawn here so that none must be shipped."""

import io

from PIL import Image, ImageDraw, ImageFilter

_SIZE = (1280, 720)
_HORIZON = 430


def harbour(*, night: bool) -> bytes:
    """A PNG of 1280×720 pixels."""
    sky = ((12, 18, 52), (64, 50, 104)) if night else ((92, 164, 232), (252, 226, 178))
    sea = ((20, 28, 66), (8, 12, 30)) if night else ((70, 146, 180), (24, 74, 118))
    picture = Image.new("RGB", _SIZE)
    picture.paste(_gradient(*sky, _HORIZON), (0, 0))
    picture.paste(_gradient(*sea, _SIZE[1] - _HORIZON), (0, _HORIZON))
    picture = _light(picture, night=night)
    draw = ImageDraw.Draw(picture)
    hills = (24, 26, 50) if night else (96, 132, 116)
    draw.polygon([(0, 430), (150, 330), (360, 400), (560, 310), (820, 420), (900, 430)], fill=hills)
    for left, top, scale in ((240, 470, 1.0), (640, 500, 1.4), (980, 455, 0.8)):
        _boat(draw, left, top, scale, night=night)
    target = io.BytesIO()
    picture.save(target, "PNG")
    return target.getvalue()


def _gradient(top: tuple[int, int, int], bottom: tuple[int, int, int], height: int) -> Image.Image:
    mask = Image.linear_gradient("L").resize((_SIZE[0], height))
    return Image.composite(Image.new("RGB", mask.size, bottom), Image.new("RGB", mask.size, top), mask)


def _light(picture: Image.Image, *, night: bool) -> Image.Image:
    """The sun or the moon with its glow, and its way on the water."""
    glow = Image.new("L", _SIZE)
    draw = ImageDraw.Draw(glow)
    draw.ellipse((940, 120, 1100, 280), fill=160)
    for step in range(12):
        width = 90 - step * 5
        draw.line((1020 - width, 440 + step * 22, 1020 + width, 440 + step * 22), fill=90, width=4)
    glow = glow.filter(ImageFilter.GaussianBlur(14))
    colour = (226, 230, 255) if night else (255, 240, 190)
    picture = Image.composite(Image.new("RGB", _SIZE, colour), picture, glow)
    ImageDraw.Draw(picture).ellipse((975, 155, 1065, 245), fill=colour)
    return picture


def _boat(draw: ImageDraw.ImageDraw, left: int, top: int, scale: float, *, night: bool) -> None:
    def at(*points: tuple[int, int]) -> list[tuple[float, float]]:
        return [(left + x * scale, top + y * scale) for x, y in points]

    hull, sail = ((58, 40, 44), (120, 118, 140)) if night else ((140, 58, 44), (250, 244, 230))
    draw.polygon(at((0, 60), (160, 60), (130, 95), (30, 95)), fill=hull)
    draw.line(at((80, 60), (80, -60)), fill=(40, 30, 30), width=round(5 * scale))
    draw.polygon(at((88, -55), (88, 48), (150, 48)), fill=sail)
    if night:
        draw.ellipse((*at((72, -70))[0], *at((88, -54))[0]), fill=(255, 214, 120))
