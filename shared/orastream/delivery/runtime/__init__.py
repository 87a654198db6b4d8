"""Tasks, NATS and links of a bridge. Carries out the effects that `rules` return."""
