"""The node's lexicon: reads the file of TTS_LEXICON, checks it, and reads it anew on SIGHUP."""
