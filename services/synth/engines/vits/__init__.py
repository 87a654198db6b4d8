"""VITS in this process: voices of transformers' VitsModel (MMS and its like) from a directory, spoken as they are made.

engine      the engine of the port: voices, sentences and the worker put together
settings    TTS_MODEL_DIR, TTS_DEVICE, TTS_THREADS, TTS_AT_ONCE, TTS_BATCH, TTS_BATCH_WAIT_MS
folders     what a directory must hold to be a voice, checked before anything is loaded
languages   the tags of languages that models name in three letters, pure
alphabet    a sentence in the letters that a model knows, pure
hangul      Hangul in Latin letters, as uroman writes it, pure
pieces      in which pieces a sentence is decoded, pure
turns       whose work is done next, and with whose it is done together, pure
worker      the thread that computes, for all sentences of the process
network     the model: the only file that imports torch and transformers, but for sample
sample      small random voices, to try the way without a real model
"""
