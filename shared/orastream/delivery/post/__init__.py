"""Delivery over HTTP: one POST with the whole file per utterance. http_bridge uses it, and ws_bridge as fallback."""
