"""Pocket TTS (Kyutai) in this process: a small torch model that speaks frame by frame, with voices from recordings.

engine        implements the engine interface with the modules below
settings      POCKET_CONFIG, POCKET_VOICES, POCKET_LANGUAGE
config_file   reads the model's YAML and checks the files that it names
voice_files   finds the voices in their folder
model         the model: the only file that imports pocket_tts and torch
"""
