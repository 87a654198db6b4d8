"""Which request is spoken next, and whether it is spoken."""
