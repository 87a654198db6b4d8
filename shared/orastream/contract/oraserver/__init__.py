"""The messages of protocol v2 between ws_bridge and OraServer (docs/reference/oraserver-v2.md)."""
