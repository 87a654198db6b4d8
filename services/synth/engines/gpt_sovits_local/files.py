"""The files that profiles need on this machine, each checked: the package itself silently takes others instead.

Models lie as in GPT-SoVITS' own folder `pretrained_models`; a relative path of a profile starts at the voices file.
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
"""GPT's and SoVITS' weights of a profile that names none, by its version: those that were trained on many voices."""

_ALWAYS = (
    *(f"{BERT}/{name}" for name in ("config.json", "tokenizer.json", "pytorch_model.bin")),
    *(f"{HUBERT}/{name}" for name in ("config.json", "preprocessor_config.json", "pytorch_model.bin")),
)


@dataclass(frozen=True, slots=True)
class ModelsFolder:
    """GPT_SOVITS_MODELS."""

    path: Path

    @property
    def detector(self) -> Path | None:
        """What tells languages apart better than the package's own small model, if it is there."""
        return self.optional(LANGUAGE_DETECTOR)

    def optional(self, name: str) -> Path | None:
        """A file or a folder in it, if it is there."""
        return path if (path := self.path / name).exists() else None

    def required(self, name: str, why: str = "") -> Path:
        """A file of the folder. Raises Misconfigured naming it."""
        path = self.path / name
        if not path.is_file():
            raise Misconfigured(f"GPT_SOVITS_MODELS: there is no file {path}{why}")
        return path


def on_this_machine(voices: Voices, models: ModelsFolder, source: Path) -> dict[str, Profile]:
    """The profiles with absolute paths of files that are there, weights included; `source` is their file.

    Raises Misconfigured naming what is missing, and where it was asked for.
    """
    for name in _ALWAYS:
        models.required(name)
    return {
        name: _checked(profile, models, f"{source}: voice {name!r}", source)
        for name, profile in voices.profiles.items()
    }


def files_of(profile: Profile) -> list[Path]:
    """The files of a profile that is on this machine."""
    named = [profile.ref_audio_path, *profile.aux_ref_audio_paths, *profile.weights]
    return [Path(path) for path in named if path is not None]


def models_of(models: ModelsFolder) -> list[Path]:
    """The files that all profiles have in common."""
    return [models.path / name for name in _ALWAYS]


def languages_of(profile: Profile) -> set[str]:
    """What is spoken with the profile, and in it, as the package names languages."""
    tags = {spoken_language(tag) for tag in profile.languages}
    return {profile.text_lang or tag for tag in tags} | ({profile.prompt_lang} if profile.prompt_text else set())


def _checked(profile: Profile, models: ModelsFolder, where: str, source: Path) -> Profile:
    if profile.version not in WEIGHTS:
        raise Misconfigured(
            f"{where}: version: {profile.version} speaks on a server only (TTS_ENGINE=gpt_sovits); here: "
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
        needed = f", which {profile.version} is spoken with ({where}: {field} names no other)"
        chosen[field] = there(field, said) if said else str(models.required(default, needed))
    return profile.model_copy(
        update={
            **chosen,
            "ref_audio_path": there("ref_audio_path", profile.ref_audio_path),
            "aux_ref_audio_paths": tuple(there("aux_ref_audio_paths", p) for p in profile.aux_ref_audio_paths),
        }
    )
