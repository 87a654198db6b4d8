"""What all bridges share: the pure machines, session ownership and the runner. Bridges differ in their sink only."""
