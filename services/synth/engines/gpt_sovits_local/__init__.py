"""GPT-SoVITS in the engine's own process, on the CPU: the voices of `voices.yaml` without a server.

It runs in an environment of its own (`make sovits`, `requirements.txt`), named by ENGINE_PYTHON: the package wants an
old numpy, and takes the working directory and common module names of its process for itself.

engine      the engine of the port: profiles, weights and sentences put together
settings    GPT_SOVITS_MODELS, GPT_SOVITS_VOICES
files       which files the profiles need, each checked; the profiles are those of `gpt_sovits`
asked       a sentence as what the package is asked for, pure
runtime     the package: the only file that imports it
"""
