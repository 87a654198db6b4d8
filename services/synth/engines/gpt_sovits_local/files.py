"""Finds and checks the files that profiles need on this machine. The package itself would silently use other files.

Models are laid out as in GPT-SoVITS' folder `pretrained_models`. A profile's relative path starts at the voices file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from services.synth.engines.base import Misconfigured
from services.synth.engines.gpt_sovits.voices import Profile, Voices, spoken_language

BERT, HUBERT = "chinese-roberta-wwm-ext-large", "chinese-hubert-base"
SPEAKER = "sv/pretrained_eres2netv2w24s4ep4.ckpt"
CHINESE, JAPANESE = "G2PWModel", "open_jtalk_dic_utf_8-1.11"
LANGUAGE_DETECTOR = "fast_langdetect/lid.176.bin"

WEIGHTS = {
    "v1": ("s1bert25hz-2kh-longer-epoch=68e-step=50232.ckpt", "s2G488k.pth"),
    "v2": (
        "gsv-v2final-pretrained/s1bert25hz-5kh-longer-epoch=12-step=369668.ckpt",
        "gsv-v2final-pretrained/s2G2333k.pth",
    ),
    "v2Pro": ("s1v3.ckpt", "v2Pro/s2Gv2Pro.pth"),
    "v2ProPlus": ("s1v3.ckpt", "v2Pro/s2Gv2ProPlus.pth"),
}
"""Default GPT and SoVITS weights of a profile, by its version: the pretrained ones for many voices."""

_ALWAYS = (
    *(f"{BERT}/{name}" for name in ("config.json", "tokenizer.json", "pytorch_model.bin")),
    *(f"{HUBERT}/{name}" for name in ("config.json", "preprocessor_config.json", "pytorch_model.bin")),
)


@dataclass(frozen=True, slots=True)
class ModelsFolder:
    """The folder in GPT_SOVITS_MODELS."""

    path: Path

    @property
    def detector(self) -> Path | None:
        """Path of a language detector that is better than the package's own small one, if it exists."""
        return self.optional(LANGUAGE_DETECTOR)

    def optional(self, name: str) -> Path | None:
        """Returns the path of a file or a folder in it, None if it does not exist."""
        return path if (path := self.path / name).exists() else None

    def required(self, name: str, why: str = "") -> Path:
        """Returns the path of a file in it. Raises Misconfigured if it does not exist."""
        path = self.path / name
        if not path.is_file():
            raise Misconfigured(f"GPT_SOVITS_MODELS: there is no file {path}{why}")
        return path


def on_this_machine(voices: Voices, models: ModelsFolder, source: Path) -> dict[str, Profile]:
    """Returns the profiles with absolute paths of existing files, weights included; `source` is the voices file.

    Raises Misconfigured that names what is missing, and the profile that needs it.
    """
    for name in _ALWAYS:
        models.required(name)
    return {
        name: _checked(profile, models, f"{source}: voice {name!r}", source)
        for name, profile in voices.profiles.items()
    }


def files_of(profile: Profile) -> list[Path]:
    """Returns the files of a profile of `on_this_machine`."""
    named = [profile.ref_audio_path, *profile.aux_ref_audio_paths, *profile.weights]
    return [Path(path) for path in named if path is not None]


def models_of(models: ModelsFolder) -> list[Path]:
    """Returns the model files that all profiles need."""
    return [models.path / name for name in _ALWAYS]


def languages_of(profile: Profile) -> set[str]:
    """Returns the languages of the profile and of its recording, with the package's names."""
    tags = {spoken_language(tag) for tag in profile.languages}
    return {profile.text_lang or tag for tag in tags} | ({profile.prompt_lang} if profile.prompt_text else set())


def _checked(profile: Profile, models: ModelsFolder, where: str, source: Path) -> Profile:
    if profile.version not in WEIGHTS:
        raise Misconfigured(
            f"{where}: version: {profile.version} needs a server (TTS_ENGINE=gpt_sovits); without one use "
            f"{', '.join(WEIGHTS)}"
        )
    languages = languages_of(profile)
    if profile.version == "v1" and (unknown := sorted(languages - {"en", "zh", "ja", "auto", "all_zh", "all_ja"})):
        raise Misconfigured(f"{where}: version: v1 does not speak {', '.join(unknown)}; v2 or later does")
    if "Pro" in profile.version:
        models.required(SPEAKER, f", which {profile.version} needs ({where})")
    for folder, ends in ((CHINESE, ("zh", "yue")), (JAPANESE, ("ja",))):
        if (needs := sorted(name for name in languages if name.endswith(ends))) and models.optional(folder) is None:
            raise Misconfigured(
                f"GPT_SOVITS_MODELS: there is no folder {models.path / folder}, which {needs[0]} needs ({where})"
            )

    def there(field: str, said: str) -> str:
        path = source.parent / Path(said).expanduser()
        if not path.is_file():
            raise Misconfigured(f"{where}: {field}: there is no file {path}")
        return str(path)

    chosen = {}
    for field, default in zip(("gpt_weights", "sovits_weights"), WEIGHTS[profile.version], strict=True):
        said = getattr(profile, field)
        needed = f", the default for {profile.version} ({where}: {field} is not set)"
        chosen[field] = there(field, said) if said else str(models.required(default, needed))
    return profile.model_copy(
        update={
            **chosen,
            "ref_audio_path": there("ref_audio_path", profile.ref_audio_path),
            "aux_ref_audio_paths": tuple(there("aux_ref_audio_paths", p) for p in profile.aux_ref_audio_paths),
        }
    )
