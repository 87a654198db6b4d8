"""VITS in this process: voices of transformers' VitsModel (MMS and similar) from a directory, with streamed speech.

engine      implements the engine interface with the modules below
settings    TTS_MODEL_DIR, TTS_DEVICE, TTS_THREADS, TTS_AT_ONCE, TTS_BATCH, TTS_BATCH_WAIT_MS
folders     finds and checks the directories of voices before anything is loaded
languages   language tags for the three-letter codes of models, pure
alphabet    spells a sentence with the letters that a model knows, pure
hangul      romanises Hangul as uroman does, pure
pieces      the pieces in which a sentence is decoded, pure
turns       which work is next, and which work is batched with it, pure
worker      the thread that computes for all sentences of the process
network     the model: imports torch and transformers, as only `sample` does besides
sample      small random voices, for tests without a real model
"""
