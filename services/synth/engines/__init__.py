"""Text-to-speech engines; `base` is the interface."""
