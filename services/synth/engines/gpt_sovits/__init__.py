"""GPT-SoVITS on its own servers (`api_v2.py`): voices by profile, a pool of servers, streamed speech.

engine            implements the engine interface with the modules below
settings          GPT_SOVITS_URLS, GPT_SOVITS_VOICES
voices            the fields of a profile, pure; voices_file reads the file
tts               the body of POST /tts, and the quotable part of a refusal, pure
wav               reads samples from the answer's bytes, pure
silence           detects audio that means a failure, pure
server_pool       which server is next, which ones have failed and when to check them again, pure
servers           the server pool for several threads, and the threads that check the servers
connection        HTTP: the only file that imports urllib3
sentence_request  requests one sentence from the servers, on a thread of its own
"""
