"""Pictures in another shape than they came in."""

from dataclasses import dataclass
from enum import StrEnum


class Shape(StrEnum):
    """What a picture that is too wide or too narrow can be made to."""

    CROP = "crop"
    PAD = "pad"


@dataclass(frozen=True, slots=True)
class Reshaped:
    """A picture of an order, as files that fit: the same twice where it fits as it is. `name` is its member's."""

    name: str
    cropped: str
    padded: str

    @property
    def fits(self) -> bool:
        return self.cropped == self.padded

    def to(self, shape: Shape) -> str:
        return self.cropped if shape is Shape.CROP else self.padded
