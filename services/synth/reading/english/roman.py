"""Roman numerals in English: after a monarch the second, after a label two (World War II, Chapter IV).

A single I, V or X, and letters that are also words or abbreviations (CD, MIX, DIV, IV for a drip), need a label.
"""

from __future__ import annotations

import re

from services.synth.reading.english.context import after, before
from services.synth.reading.english.numeral import cardinal, ordinal, roman
from services.synth.reading.rule import Rule

_NUMERAL = re.compile(r"(?<![A-Za-z0-9.&'’\-])(?P<n>[CLXVI]{1,9})(?![A-Za-z0-9&]|['’](?!s\b)|-[A-Z])")
_RANGE = re.compile(r"(?<![A-Za-z0-9.&'’\-])(?P<a>[LXVI]{1,7})\s?[-–—]\s?(?P<b>[LXVI]{1,7})(?![A-Za-z0-9&'’\-])")
_RULERS = re.compile(
    r"\b(?:Henry|Elizabeth|Louis|Charles|George|Edward|William|James|Richard|Mary|John|Paul|Benedict|Pius|Leo|Gregory"
    r"|Innocent|Clement|Urban|Alexander|Nicholas|Nicolas|Peter|Catherine|Ivan|Frederick|Friedrich|Philip|Phillip|Felipe"
    r"|Ferdinand|Napol[eé]on|Wilhelm|Francis|Franz|Joseph|Leopold|Otto|Rames+es|Ramses|Ptolemy|Xerxes|Darius|Cyrus"
    r"|Amenhotep|Thutmose|Mehmed|Selim|Murad|Haakon|Olav|Gustav|Gustaf|Christian|Harald|Carlos|Alfonso|Isabella|Pedro"
    r"|Constantine|Justinian|Margrethe|Albert|Baudouin|Rainier|Abdullah|Hussein|Emmanuel|Emanuel|Umberto|Kamehameha"
    r"|Christina|Conrad|Rudolf|Maximilian|Boniface|Celestine|Sixtus|Julius|Stephen|Robert|Malcolm|David|Edmund|Harold"
    r"|Cleopatra|Antiochus|Seleucus|Theodosius|Valentinian|Manuel|Michael|Basil|Casimir|Sigismund|Rama|Mohammed|Hassan"
    r"|Thomas|Walter|Adrian|Hadrian|Callixtus|Eugene|Tiberius|Claudius|Akbar|Tutmosis|Willem|Joan|Juan|Sancho|Afonso)\s$"
)
_REIGNS = re.compile(
    r"\b(?:Pope|King|Queen|Emperor|Empress|Tsar|Czar|Prince|Sultan|Pharaoh|Kaiser|Shah)\s[A-Z][a-z]{2,14}\s$"
)
# John Smith III: the third of that name
_HEIR = re.compile(
    r"\b(?:John|William|Robert|James|Thomas|Charles|George|Henry|Edward|Richard|Joseph|David|Davis|Michael|Harry|Thurston"
    r"|Ken|Robin|Walter|Frank|Samuel|Martin|Arthur|Albert|Louis|Daniel|Mr\.|Dr\.)\s(?:[A-Z]\.\s)?[A-Z][a-z]{2,14},?\s$"
)
_LABELS = (
    r"[Cc]hapters?|[Ss]ections?|[Pp]arts?|[Aa]ct|[Ss]cene|[Vv]olumes?|[Vv]ols?\.|[Bb]ooks?|[Aa]rticles?|[Tt]ype|[Pp]hases?"
    r"|[Cc]lass|[Ll]evel|[Gg]rade|[Ss]tages?|[Tt]itle|[Ff]igure|[Ff]ig\.|[Tt]ables?|[Aa]ppendix|[Ee]pisode|[Ss]eason|[Rr]ound"
    r"|[Uu]nit|[Mm]ark|Mk\.?|[Dd]ivision|[Ss]chedule|[Gg]roup|[Ff]actor|[Nn]erve|CN|[Cc]anto|[Ss]onata|[Ss]ymphony|[Aa]nnex"
    r"|[Cc]ategory|[Tt]ier|[Oo]ption|[Vv]ersion|[Mm]ovement|[Pp]late|[Ss]tep|[Tt]rack|Amendment|[Aa]rt\.|[Nn]umerals?|[Cc]h\.|[Ss]ec\."
)
_LABEL = re.compile(rf"(?:\b(?:{_LABELS}|World\sWar|Super\sBowl|WW|Final\sFantasy|Vatican)|§)\s$")
_OF_A_PLAY = re.compile(r"(?<=[Ss]cene\s)(?P<n>x?(?:ix|iv|v?i{1,3}|v)|x)(?![A-Za-z0-9'’-])")
_ACT = re.compile(r"\b[Aa]ct\s[IVXivx1-9]{1,5},?\s[Ss]cene\s$")
_CAPITAL_LABEL = re.compile(
    r"\b(?:Chapter|Act|Scene|Volume|Vol\.|Article|Appendix|World\sWar|WORLD\sWAR|CHAPTER|ACT|SCENE|PART|SECTION|Canto|Annex"
    r"|Vatican|Elizabeth|Pope\sJohn\sPaul|(?:King|Queen|Emperor|Tsar|Czar|Kaiser)\s[A-Z][a-z]{2,14}|Napoleon|Wilhelm)\s$"
)
_AND_ONE = re.compile(
    rf"\b(?:{_LABELS}|World\sWars?|Rocky|Super\sBowls?)\s[IVXL]{{1,7}}(?:,\s|,?\s(?:and|or|to|through|of)\s)$"
)
_SMALL_LABEL = re.compile(rf"\b(?:{_LABELS})\s$")
_I_IS_ONE = re.compile(
    r"$|[.,:;)!?\]](?!\w)|[-–]|\s(?:of|and|or|to|is|was|in|diabetes|diabetics?|errors?|trials?|study|studies|collagen"
    r"|hypersensitivity|cancer|civilization|drugs?|controlled|patients?|superfund|railroads?|students?|schools?|begins|ends"
    r"|covers|describes|has|contains|shows|deals)\b"
)
# Names after which a single V is five: Rocky V, Charles V
_SINGLE = re.compile(
    r"\b(?:Saturn|Grand\sTheft\sAuto|GTA|Rocky|Apollo|Henry|Charles|George|Louis|Edward|James|Philip)\s$"
)
_REIGNED = re.compile(r"\s(?:of\s[A-Z]|ruled|reigned|became\s(?:king|queen|emperor)|abdicated)")
_CENTURY = re.compile(
    r"\s(?:century|centuries|Century|edition|[Oo]lympiad|[Dd]ynasty|Corps|anniversary|Olympic|Winter|Summer)\b"
)
_TITLE_WORD = re.compile(r"\b(?P<word>[A-Z][a-z]{2,15})\s$")
_NOT_TITLES = frozenset(
    "The This That These Those And But For With From Into Using Use Our Your His Her Their Its When Where What Why How"
    " Are Was Were Has Have Had Can Could Will Would Should May Might Did Does Not Yes Only Both All Any Each Some"
    " Start Give Take Get See Type Set Insert Remove Place Open Through Also Then Than Vitamin Size Who New Old".split()
)
# Rocky II, Final Fantasy XIV: a cardinal without a label
_SEQUELS = re.compile(
    r"\b(?:Rocky|Rambo|Saw|Jaws|Godfather|Star\sWars|Star\sTrek|Halloween|Fantasy|Civilization|Auto|Diablo|Creed|Halo|Quest"
    r"|Kombat|Fighter|Evil|Empires|Persona|Ultima|Terminator|Superman|Apollo|Gemini|Titan|Pentium|Scream|Bowl|WrestleMania"
    r"|War|Souls|iPhone|Effect|Torah|Olympics)\s$"
)
# II. at the beginning of a line
_ITEM = re.compile(r"(?:^|\n)\s{0,8}\(?$")


def _numeral(match: re.Match[str]) -> str | None:
    text = match["n"]
    number = roman(text)
    if number is None or text in ("C", "L", "CC", "LL", "CL", "CI", "CV", "CX", "CII"):
        return None
    words = before(match)
    if _CENTURY.match(after(match)) and len(text) > 1:
        return ordinal(number)
    if _follows_ruler(text, words, after(match)):
        return f"the {ordinal(number)}"
    return cardinal(number) if _follows_label(text, words, after(match)) else None


def _follows_ruler(text: str, words: str, following: str) -> bool:
    if text == "I":  # Charles I, but "Did Charles I saw": only after a title or a name that few people have
        first = _CAPITAL_LABEL.search(words) or (_RULERS.search(words) and _REIGNED.match(following))
        return first is not None and not _LABEL.search(words)
    if text == "X":
        return re.search(r"\b(?:Charles|Leo|Pius|Louis)\s$", words) is not None
    if len(text) == 1 and not _SINGLE.search(words) and not _REIGNS.search(words):
        return False
    if _LABEL.search(words) or re.search(r"(?:Saturn|Auto|GTA|Rocky|Apollo)\s$", words):
        return False
    return bool(_RULERS.search(words) or _REIGNS.search(words) or (text in ("II", "III", "IV") and _HEIR.search(words)))


def _follows_label(text: str, words: str, following: str) -> bool:
    if text == "I":
        if _CAPITAL_LABEL.search(words) or _AND_ONE.search(words):
            return True
        return _SMALL_LABEL.search(words) is not None and _I_IS_ONE.match(following) is not None
    if _LABEL.search(words) or _AND_ONE.search(words):
        return True
    if len(text) == 1:
        return text == "V" and _SINGLE.search(words) is not None
    if _SEQUELS.search(words):
        return True
    if text in ("IV", "VI", "XI", "XL", "LI", "XX", "XXX", "XXL", "XXXL", "CV", "LV", "LX"):
        return (
            _ITEM.search(words) is not None and following[:2] == ". " and text not in ("XL", "XXL", "XXXL", "IV", "VI")
        )
    if _ITEM.search(words):
        return following[:2] in (". ", ") ")
    title = _TITLE_WORD.search(words)
    return title is not None and title["word"] not in _NOT_TITLES and "C" not in text and "L" not in text


def _range(match: re.Match[str]) -> str | None:
    """Read Chapters I-IV, Parts II–III."""
    first, second = roman(match["a"]), roman(match["b"])
    if first is None or second is None or first >= second or not _LABEL.search(before(match)):
        return None
    return f"{cardinal(first)} to {cardinal(second)}"


def _of_a_play(match: re.Match[str]) -> str | None:
    """Read the iv of Act II, scene iv."""
    number = roman(match["n"].upper())
    return cardinal(number) if number and _ACT.search(before(match)) else None


RULES = (Rule(_OF_A_PLAY, _of_a_play, first="a"), Rule(_RANGE, _range, first="a"), Rule(_NUMERAL, _numeral, first="a"))
