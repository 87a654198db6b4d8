"""Text into lines for the engine: sentences, SSML, a text that still comes."""
