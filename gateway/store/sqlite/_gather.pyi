def gather(address: int, /) -> None:
    """Gather what is written to the open SQLite file at this address, until it is closed.

    Raises:
        ValueError: there is none, it is gathered already, or of a kind that cannot be.
    """
