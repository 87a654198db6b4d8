"""Tasks, NATS and links of a bridge: carries out what `rules` decide."""
