"""One parser each, as `fuzz(data: bytes) -> None`, which raises for a fault. `SHAPE` says how an input is changed."""
