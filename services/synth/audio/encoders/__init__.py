"""Encoders, one module for each library. A module is imported when a request first needs its format."""
