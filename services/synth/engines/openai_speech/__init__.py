"""Any server with OpenAI's speech API (`POST /v1/audio/speech`): vllm-omni, Kokoro-FastAPI, Speaches, LocalAI, OpenAI.

engine           implements the engine interface with the modules below
settings         OPENAI_SPEECH_*
voices           the fields of a voice, pure; voices_file reads the file
speech_body      the body of a request, pure
answer           what the status and the headers of an answer mean, pure
speech_audio     reads samples from the bytes of an answer, PCM or WAV, pure
server_check     how servers are checked
speech_sentence   requests one sentence from a server

The package `servers` has the rest: the pool of servers, HTTP, the thread of a sentence.
"""
