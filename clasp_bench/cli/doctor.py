def doctor() -> None:
    """Not here yet."""
    raise SystemExit("not here yet")
