"""The fixtures of a whole bot."""

from tests.cogs.fixtures import open_bot, real_clip, scene, standin, template

__all__ = ["open_bot", "real_clip", "scene", "standin", "template"]
