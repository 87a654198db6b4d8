"""Abbreviations in English: Mr., No. 5, approx., e.g., vs., w/o. A period that also ends the sentence is kept."""

from __future__ import annotations

import re

from services.synth.reading.english.context import after, before, stop
from services.synth.reading.rule import Rule, always

# Before a name: a word in capitals or with a capital follows.
_TITLES = {
    "Mr": "Mister", "Mrs": "Missus", "Ms": "Ms", "Prof": "Professor", "Gen": "General", "Sgt": "Sergeant",
    "Capt": "Captain", "Rev": "Reverend", "Hon": "Honorable", "Sen": "Senator", "Rep": "Representative",
    "Gov": "Governor", "Lt": "Lieutenant", "Col": "Colonel", "Maj": "Major", "Cpl": "Corporal", "Pvt": "Private",
    "Adm": "Admiral", "Cmdr": "Commander", "Cdr": "Commander", "Det": "Detective", "Pres": "President",
    "Supt": "Superintendent", "Fr": "Father", "Mt": "Mount", "Ft": "Fort", "Amb": "Ambassador", "Insp": "Inspector",
    "Messrs": "Messieurs", "Msgr": "Monsignor", "Atty": "Attorney", "Sens": "Senators", "Reps": "Representatives",
    "Profs": "Professors", "Drs": "Doctors", "Univ": "University", "Sr": "Senior", "Jr": "Junior", "Asst": "Assistant",
    "Assoc": "Associate", "Dir": "Director",
}  # fmt: skip
_UNDOTTED_TITLES = frozenset({"Mr", "Mrs", "Prof", "Capt", "Sgt", "Mt"})
_RANKS = frozenset("Lt Sgt Capt Gen Maj Cpl Pvt Adm Cmdr Det Gov Sen Rep Prof Supt Insp".split())
# After a name.
_SUFFIXES = {
    "Jr": "Junior", "Sr": "Senior", "Inc": "Incorporated", "Ltd": "Limited", "Corp": "Corporation", "Co": "Company",
    "Bros": "Brothers", "Univ": "University", "Assn": "Association", "Assoc": "Associates", "Mfg": "Manufacturing",
    "Dept": "Department", "Mt": "Mount", "Mtn": "Mountain", "Intl": "International", "Natl": "National",
    "Ctr": "Center", "Hosp": "Hospital",
}  # fmt: skip
# Before a number, or a Roman numeral.
_NUMBERED = {
    "no": "number", "nos": "numbers", "fig": "figure", "figs": "figures", "vol": "volume", "vols": "volumes",
    "p": "page", "pp": "pages", "pg": "page", "pgs": "pages", "ch": "chapter", "chap": "chapter", "sec": "section",
    "eq": "equation", "ext": "extension", "para": "paragraph", "art": "article", "rte": "Route", "hwy": "Highway",
    "est": "established", "ver": "version", "ed": "edition", "tel": "telephone", "ph": "phone", "ca": "circa",
    "c": "circa", "v": "version", "lv": "level", "lvl": "level", "qty": "quantity", "temp": "temperature",
    "amt": "amount", "wt": "weight", "ht": "height", "cat": "category",
}  # fmt: skip
# Anywhere.
_WORDS = {
    "approx": "approximately", "dept": "department", "est": "estimated", "min": "minimum", "max": "maximum",
    "avg": "average", "etc": "et cetera", "vs": "versus", "govt": "government", "incl": "including",
    "excl": "excluding",
    "misc": "miscellaneous", "qty": "quantity", "amt": "amount", "tel": "telephone", "acct": "account", "appt":
    "appointment", "addr": "address", "mgr": "manager", "mgmt": "management", "intl": "international", "natl":
    "national", "hrs": "hours", "hr": "hour", "mins": "minutes", "secs": "seconds", "yrs": "years", "wk": "week",
    "tsp": "teaspoon", "tbsp": "tablespoon", "oz": "ounces", "lbs": "pounds", "lb": "pound", "pkg": "package", "doz":
    "dozen", "gal": "gallon", "blvd": "boulevard", "ave": "avenue", "temp": "temperature", "ref": "reference",
    "mph": "miles per hour", "ext": "extension", "asst": "assistant", "apt": "apartment", "univ": "university",
    "sq": "square", "ft": "feet", "corp": "corporation", "inc": "incorporated", "ltd": "limited", "wt": "weight",
    "esp": "especially", "cont": "continued", "resp": "respectively", "attn": "attention", "rd": "road", "yr": "year",
    "mo": "month", "orig": "originally", "prob": "probably", "def": "definitely", "co": "company"
}  # fmt: skip
UNDOTTED = frozenset("vs approx dept avg tsp tbsp govt mgr acct appt lbs attn mph qty incl".split())
"""Abbreviations in small letters that need no period."""
_NOT_BEFORE_CAPITALS = frozenset("min max est temp fig ref wk mo def prob co rd".split())  # names: Max. He
_UNDOTTED_NUMBERED = frozenset("Hwy hwy Rte Vol vol Vols Fig fig Figs Nos pp Lvl lvl".split())
_COMPANY = frozenset({"inc", "corp", "ltd", "co"})
_COUNTED = frozenset("hr yr wk mo lb tsp tbsp gal".split())

_DOTTED = re.compile(r"(?<![A-Za-z0-9.'’&])(?P<w>[A-Za-z]{1,6})\.(?!\.|[A-Za-z@])")
_GLUED_TITLE = re.compile(r"(?<![A-Za-z])(?P<w>Mrs?|Ms|Dr)\.(?=[A-Z][a-z])")
_LABELED_NO = re.compile(r"(?<=[a-z.]\s)no\.(?=:?\s(?:is|was|for|and|will|or|on)\b|:)")
_LABEL_BEFORE = re.compile(
    r"\b(?:tracking|account|acct\.?|routing|card|case|order|phone|serial|policy|reference|ref\.?|invoice|claim|flight|room|model|ticket|confirmation|license|id|part)\s$",
    re.IGNORECASE,
)
_PLAIN = re.compile(r"(?<![A-Za-z0-9.'’&\-/@#])(?P<w>[A-Za-z]{2,6})(?![A-Za-z0-9'’.\-/@])")
_FOR_EXAMPLE = re.compile(r"(?<![A-Za-z0-9.])(?P<w>[Ee]\.\s?g|[Ii]\.\s?e)(?:\.,?|(?![A-Za-z.]))")
_ET_AL = re.compile(r"(?<![A-Za-z])et al\b\.?")
_WITH = re.compile(
    r"(?<![A-Za-z0-9/])(?P<w>(?:[Ww]/o|[Bb]/c|[Cc]/o|[Bb]/w)(?![A-Za-z0-9/])|[Ww]/(?=\s?(?:[A-Za-z]{2}|[aI](?![A-Za-z])|[0-9$\"'(])))\s?"
)
_WITHS = {"w/o": "without", "w/": "with", "b/c": "because", "c/o": "care of", "b/w": "between"}
_WORLD_WAR = re.compile(r"(?<![A-Za-z0-9])WW(?P<n>II?|1|2)(?![A-Za-z0-9])")
_VERSUS = re.compile(r"(?<=[a-z]\s)v\.(?=\s[A-Z])")
_NUMBER_AHEAD = re.compile(r"\s?#?(?:[0-9]|[IVXL]{2,6}(?![A-Za-z])|[VX](?![A-Za-z])|I[.,;:)])")
_YEAR_AHEAD = re.compile(r"\s?(?:1[5-9]|20)[0-9]{2}(?![0-9,])")
_CIRCA_AHEAD = re.compile(r"\s?(?:1[0-9]{3}|20[0-9]{2}|[1-9][0-9]{0,2}\s(?:B\.?C|A\.?D|C\.?E))(?![0-9,])")
_OVER = re.compile(r"(?<![A-Za-z0-9])(?P<w>YoY|QoQ|MoM)(?![A-Za-z0-9])")
_OVERS = {"YoY": "year over year", "QoQ": "quarter over quarter", "MoM": "month over month"}
# Of a prescription, in Latin.
_DOSE = re.compile(r"(?<![A-Za-z0-9.])(?P<w>b\.i\.d|t\.i\.d|q\.i\.d|p\.r\.n|q\.d)\.(?![A-Za-z])")
_DOSES = {
    "b.i.d": "twice a day", "t.i.d": "three times a day", "q.i.d": "four times a day", "p.r.n": "as needed",
    "q.d": "once a day",
}  # fmt: skip
_DIGIT_AHEAD = re.compile(r"\s?#?[0-9]")
_NAME_AHEAD = re.compile(r"\s?[\"“]?[A-Z]|\s(?:and|or|&)\s(?:Mrs?|Ms|Dr|Prof)\b")
_NAME_BEFORE = re.compile(r"(?:[A-Z][A-Za-z&'’.]{0,20}|&),?\s$")
_RANKED = re.compile(r"\b(?:[Tt]he|[Aa]n?|[Oo]ur|[Mm]y|1st|2nd|[Ff]irst|[Ss]econd)\s$")
_MINUTE_BEFORE = re.compile(r"(?:[0-9](?:st|nd|rd|th)|\bper|\beach|\bevery|\b(?:first|second|third|last))\s$")
_CAPITALS_BEFORE = re.compile(r"(?<![A-Za-z])[A-Z]{2,20}\s$")
_MANY_BEFORE = re.compile(r"(?:[2-9]|[0-9]{2}|half|many|few|several)\s$")


def _dotted(match: re.Match[str]) -> str | None:
    word, lower = match["w"], match["w"].lower()
    following, end = after(match), stop(match)
    if word in _TITLES and not end and _NAME_AHEAD.match(following) and not _is_suffix(match):
        return _TITLES[word]
    if word in _RANKS and _RANKED.search(before(match)) and not _DIGIT_AHEAD.match(following):  # the Sgt. left
        return f"{_TITLES[word]}{end}"
    if lower in _NUMBERED and word not in ("C", "V", "P", "NO", "Ed") and _NUMBER_AHEAD.match(following):
        if lower == "est" and not _YEAR_AHEAD.match(following):
            return "estimated"
        if lower in ("c", "ca") and not _CIRCA_AHEAD.match(following):
            return None
        if lower in ("v", "ed", "ca", "temp", "sec", "cat") and not _DIGIT_AHEAD.match(following):
            return None
        return _cased(_NUMBERED[lower], word)
    if word in _SUFFIXES and _NAME_BEFORE.search(before(match)):
        return f"{_SUFFIXES[word]}{end}"
    return _word(match, end)


def _is_suffix(match: re.Match[str]) -> bool:
    """Whether Jr., Sr. or Univ. belongs to the name before it: Sammy Davis Jr. Show."""
    return match["w"] in _SUFFIXES and match["w"] != "Mt" and _NAME_BEFORE.search(before(match)) is not None


def _word(match: re.Match[str], end: str) -> str | None:
    lower = match["w"].lower()
    if lower in _COMPANY and not match["w"].islower():
        return None  # Inc. magazine
    if lower not in _WORDS or (match["w"].isupper() and lower not in ("vs", "approx", "max", "min")):
        return None
    if lower in _NOT_BEFORE_CAPITALS and (end or _NAME_AHEAD.match(after(match))) and not match["w"].islower():
        return None
    if lower in _NOT_BEFORE_CAPITALS and end and lower in ("def", "fig", "mo", "temp", "prob"):
        return None
    if lower == "min" and _MINUTE_BEFORE.search(before(match)):
        return f"minute{end}"
    many = "s" if lower in _COUNTED and _MANY_BEFORE.search(before(match)) else ""
    return f"{_cased(_WORDS[lower], match['w'])}{many}{end}"


def _cased(words: str, written: str) -> str:
    return words[0].upper() + words[1:] if written[0].isupper() else words


def _plain(match: re.Match[str]) -> str | None:
    word, lower = match["w"], match["w"].lower()
    if word in _UNDOTTED_TITLES and _NAME_AHEAD.match(after(match)):
        return _TITLES[word]
    if word in _UNDOTTED_NUMBERED and _DIGIT_AHEAD.match(after(match)):
        return _cased(_NUMBERED[lower], word)
    if word in ("Jr", "Sr") and re.search(r"[A-Z][a-z]{1,20},?\s$", before(match)):
        return _SUFFIXES[word]
    if lower in UNDOTTED and (not word.isupper() or _CAPITALS_BEFORE.search(before(match))):
        many = "s" if lower in _COUNTED and _MANY_BEFORE.search(before(match)) else ""
        return f"{_cased(_WORDS[lower], word)}{many}"
    return None


def _for_example(match: re.Match[str]) -> str:
    words = "for example" if match["w"][0] in "eE" else "that is"
    if after(match, 1) not in tuple(":;.!?)"):
        words += ","
    return _cased(words, match["w"])


def _with(match: re.Match[str]) -> str:
    return f"{_cased(_WITHS[match['w'].lower()], match['w'])} "


RULES = (
    Rule(_FOR_EXAMPLE, _for_example, first="a"),
    Rule(_OVER, lambda match: _OVERS[match["w"]], first="a"),
    Rule(_DOSE, lambda match: f"{_DOSES[match['w']]}{stop(match)}", first="a"),
    Rule(_ET_AL, lambda match: f"et al{stop(match)}", first="a"),
    Rule(_WITH, _with, first="a"),
    Rule(_WORLD_WAR, lambda match: f"World War {'one' if match['n'] in ('I', '1') else 'two'}", first="a"),
    Rule(_VERSUS, always("versus"), first="a"),
    Rule(_GLUED_TITLE, lambda match: f"{'Doctor' if match['w'] == 'Dr' else _TITLES[match['w']]} ", first="a"),
    Rule(_LABELED_NO, lambda match: "number" if _LABEL_BEFORE.search(before(match)) else None, first="a"),
    Rule(_DOTTED, _dotted, first="a"),
    Rule(_PLAIN, _plain, first="a"),
)
