"""The work of the child processes. Nothing here may be imported by the bot process, nor import pydantic."""


class Refused(Exception):
    """The file is at fault, not the machine; the text is a sentence for a person."""
