"""The client that an LLM server uses: request speech, cancel, watch reports, list voices."""
