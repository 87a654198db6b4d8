"""README.md: `"tts.request.s1", json.dumps(body)`"""

SAMPLE
