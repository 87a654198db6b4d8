"""Turns lines into audio: speakers, the phrase cache."""
