"""Speech servers over HTTP, for the engines `gpt_sovits` and `openai_speech`: a pool, and a request for each sentence.

server_pool       which server is next, which ones have failed and when to check them again, pure
servers           the server pool for several threads, and the threads that check the servers
connection        HTTP: the only file that imports urllib3
server_sentence   requests one sentence from the servers, on a thread of its own
audio_timeout     limits the time without audio of a server, pure
quoting           which part of a server's error text may be quoted, pure
engine_speech     yields the audio of a sentence as an engine must
settings          what the settings of both engines have in common
wav               reads samples from the bytes of an answer, pure
"""
