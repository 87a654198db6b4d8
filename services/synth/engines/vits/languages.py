"""BCP 47 tags for the ISO 639-3 codes (three letters) of models. Pure."""

from __future__ import annotations

_TWO_LETTERS = dict(
    pair.split(":")
    for pair in (
        "ara:ar ben:bn bul:bg cat:ca ces:cs cmn:zh dan:da deu:de ell:el eng:en est:et eus:eu fas:fa fin:fi fra:fr "
        "glg:gl guj:gu heb:he hin:hi hrv:hr hun:hu ind:id isl:is ita:it jpn:ja kan:kn kat:ka kaz:kk khm:km kor:ko "
        "lao:lo lav:lv lit:lt mal:ml mar:mr mon:mn msa:ms mya:my nld:nl nor:no pan:pa pol:pl por:pt ron:ro rus:ru "
        "slk:sk slv:sl spa:es sqi:sq srp:sr swe:sv swh:sw tam:ta tel:te tgl:tl tha:th tur:tr ukr:uk urd:ur uzb:uz "
        "vie:vi yue:yue zho:zh"
    ).split()
)


def tag_of(code: str) -> str | None:
    """Returns the BCP 47 tag for a model's language (`kor`, `ko`, `ko-KR`, `uzb-script_latin`); None if it is no code.

    A language with a two-letter code gets that one, others keep three letters.
    """
    parts = code.strip().replace("_", "-").split("-")
    first = parts[0].lower()
    if not (first.isascii() and first.isalpha() and len(first) in (2, 3)):
        return None
    first = _TWO_LETTERS.get(first, first)
    rest = [part.upper() for part in parts[1:2] if len(part) == 2 and part.isascii() and part.isalpha()]
    return "-".join([first, *rest])


def chosen(language: str, among: list[str]) -> int:
    """Returns the index of the voice for a BCP 47 tag; `among` has the language of each voice.

    It is the first equal one, else the first one of the same language with any country, else 0.
    """
    wanted = (tag_of(language) or language).lower()
    same = [tag.lower() for tag in among]
    if wanted in same:
        return same.index(wanted)
    base = [tag.partition("-")[0] for tag in same]
    first = wanted.partition("-")[0]
    return base.index(first) if first in base else 0
