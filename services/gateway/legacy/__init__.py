"""Requests in the form that the Django TTS server took (GATEWAY_LEGACY)."""
