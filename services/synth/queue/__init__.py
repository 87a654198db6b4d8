"""Which request is spoken next, and whether it may be."""
