"""Pocket TTS (Kyutai) in process: a small torch model that speaks frame by frame, voices from recordings.

engine        the engine of the port: model, voices and pace put together
settings      POCKET_CONFIG, POCKET_VOICES, POCKET_LANGUAGE
config_file   the model's YAML and the files that it names, each checked
voice_files   the folder of voices
model         the model: the only file that imports pocket_tts and torch
"""
