"""What an LLM server uses: have text spoken, cancel, follow reports, list voices."""
