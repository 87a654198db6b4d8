"""Encoders by the library they need; imported when a request first asks for their format."""
