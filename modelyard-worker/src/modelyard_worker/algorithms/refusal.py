"""What an algorithm says when the user must change something."""


class BadInput(Exception):  # noqa: N818 (it names what it is about, as the errors of the rest do)
    """Data or hyperparameters that cannot be used. The message is a sentence for the failure file."""
