"""The rules of a connection of protocol v2: which frame the bridge sends next, and what an answer means. Pure."""
