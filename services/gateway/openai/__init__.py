"""The OpenAI-compatible speech route."""
