def pretrain() -> None:
    """Not here yet."""
    raise SystemExit("not here yet")
