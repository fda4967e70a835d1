"""How a command ends that did not do what it was asked to."""


class CommandFailed(Exception):
    """The text is what the user reads: what is wrong, and what to do."""
