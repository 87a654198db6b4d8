"""GPT-SoVITS on servers of its own (`api_v2.py`): voices by profile, several servers as a pool, speech as it is made.

engine      the engine of the port: profiles, servers and sentences put together
settings    GPT_SOVITS_URLS, GPT_SOVITS_VOICES
voices      what a profile may say, pure; voices_file reads it
tts         a sentence as the body of POST /tts, and what a refusal may be quoted with, pure
wav         the answer's bytes as samples, pure
silence     the audio that stands for a failure, pure
roster      which server is next, which one is ill and when it is asked again, pure
servers     the roster shared by threads, and the threads that ask ill servers
connection  HTTP: the only file that imports urllib3
telling     one sentence told to the servers, on a thread of its own
"""
