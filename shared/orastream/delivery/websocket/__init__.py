"""Delivery over WebSocket: the connection to OraServer, and the frames of protocol v1."""
