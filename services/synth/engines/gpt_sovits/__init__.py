"""GPT-SoVITS on its own servers (`api_v2.py`): voices by profile, a pool of servers, streamed speech.

engine            implements the engine interface with the modules below
settings          GPT_SOVITS_URLS, GPT_SOVITS_VOICES
voices            the fields of a profile, pure; voices_file reads the file
tts               the body of POST /tts, and the quotable part of a refusal, pure
silence           detects audio that means a failure, pure
weights           which weights a server has loaded, and how servers are checked
sentence_request  requests one sentence from a server

The package `servers` has the rest: the pool of servers, HTTP, the thread of a sentence.
"""
