"""What the decoders raise."""


class DecodeError(ValueError):
    """A message that cannot be read: says what it holds, what was expected and what to do."""
