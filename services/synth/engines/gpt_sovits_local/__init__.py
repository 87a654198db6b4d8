"""GPT-SoVITS in the engine process, on the CPU: the voices of `voices.yaml` without a server.

It runs in a virtual environment of its own (`make sovits`, `requirements.txt`), set in ENGINE_PYTHON: the package needs
an old numpy, and it changes the working directory and uses common module names.

engine        implements the engine interface with the modules below
settings      GPT_SOVITS_MODELS, GPT_SOVITS_VOICES
files         finds and checks the files of the profiles; the profiles are those of `gpt_sovits`
request_body  the arguments for the package, for one sentence, pure
runtime       the package: the only file that imports it
"""
