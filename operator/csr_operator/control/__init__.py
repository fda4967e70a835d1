"""Which object is looked at when, and what became of it."""
