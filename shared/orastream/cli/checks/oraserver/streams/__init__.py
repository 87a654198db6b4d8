"""The checks of protocol v2: a bridge that speaks frame by frame, and what it tries."""
