"""The one error of the benchmark: something that whoever runs it should read, without a traceback."""


class Failure(Exception):
    """What went wrong, in a sentence for a person."""
