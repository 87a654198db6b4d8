"""Lines into audio: speakers, the phrase cache."""
