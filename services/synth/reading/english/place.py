"""Addresses in English: 221B Baker St. is two twenty-one B Baker Street; St. Louis is Saint Louis; Austin, TX 78701."""

from __future__ import annotations

import re

from services.synth.reading.english.context import after, before, stop
from services.synth.reading.english.date import MONTHS
from services.synth.reading.english.numeral import digits, in_pairs
from services.synth.reading.rule import Rule, always

_TYPES = {
    "St": "Street", "Ave": "Avenue", "Av": "Avenue", "Blvd": "Boulevard", "Rd": "Road", "Dr": "Drive", "Ln": "Lane",
    "Ct": "Court", "Pl": "Place", "Hwy": "Highway", "Pkwy": "Parkway", "Sq": "Square", "Ter": "Terrace",
    "Cir": "Circle", "Trl": "Trail", "Expy": "Expressway", "Fwy": "Freeway", "Tpke": "Turnpike", "Plz": "Plaza",
}  # fmt: skip
_ALWAYS = frozenset({"Ave", "Blvd", "Hwy", "Pkwy", "Expy", "Fwy", "Tpke", "Rd"})
_DIRECTIONS = {
    "N": "North", "S": "South", "E": "East", "W": "West", "NE": "Northeast", "NW": "Northwest", "SE": "Southeast",
    "SW": "Southwest",
}  # fmt: skip
_STATES = dict(
    pair.split(":")
    for pair in (
        "AL:Alabama AK:Alaska AZ:Arizona AR:Arkansas CA:California CO:Colorado CT:Connecticut DE:Delaware FL:Florida "
        "GA:Georgia HI:Hawaii ID:Idaho IL:Illinois IN:Indiana IA:Iowa KS:Kansas KY:Kentucky LA:Louisiana ME:Maine "
        "MD:Maryland MA:Massachusetts MI:Michigan MN:Minnesota MS:Mississippi MO:Missouri MT:Montana NE:Nebraska "
        "NV:Nevada NH:New_Hampshire NJ:New_Jersey NM:New_Mexico NY:New_York NC:North_Carolina ND:North_Dakota OH:Ohio "
        "OK:Oklahoma OR:Oregon PA:Pennsylvania RI:Rhode_Island SC:South_Carolina SD:South_Dakota TN:Tennessee TX:Texas "
        "UT:Utah VT:Vermont VA:Virginia WA:Washington WV:West_Virginia WI:Wisconsin WY:Wyoming DC:D.C."
    ).split()
)
_SAINTS = (
    r"Louis|Paul|Patrick|Mary|John|Peter|Petersburg|Joseph|James|George|Helens|Lucia|Augustine|Andrew|Thomas|Francis|Michael"
    r"|Nicholas|Nick|Jude|Vincent|Kitts|Martin|Maarten|Bernard|Regis|Lucie|Anthony|Luke|Mark|Matthew|Catharines|Catherine|Cloud"
    r"|Croix|Charles|Albans|Elizabeth|Ann|Clair|Moritz|Tropez|Barts|Ives|Agnes|Valentine|Lawrence|Germain|Simon|Stephen"
    r"|Pancras|Olaf|Teresa|Theresa|Therese|Ambrose|Dominic|Gabriel|David|Clare|Helena|Cecilia|Bonaventure|Benedict|Pierre"
    r"|Barth|Kilda|Lawrence|Johns|Basil|Edward|Christopher|Barnabas|Rita|Bede|Jerome|Ignatius"
)
_SAINT = re.compile(rf"\s(?:{_SAINTS})")
_ROAD = (
    r"(?:St|Street|Ave|Avenue|Av|Blvd|Boulevard|Rd|Road|Dr|Drive|Ln|Lane|Ct|Court|Pl|Place|Way|Hwy|Highway|Pkwy|Parkway"
    r"|Sq|Square|Terrace|Ter|Circle|Cir|Trail|Plaza|Broadway|Row|Alley)"
)
_HOUSE = re.compile(
    r"(?<![0-9A-Za-z.,$€£#/\-])(?P<n>[1-9][0-9]{0,4})(?P<letter>[A-Za-z])?(?=\s(?:(?:[NSEW]{1,2}|North|South|East|West)\.?\s)?"
    rf"(?:(?:[A-Z][a-z'’]{{1,20}}\.?|[0-9]{{1,3}}(?:st|nd|rd|th))\s){{1,3}}{_ROAD}(?![A-Za-z])"
    rf"|\s(?:Broadway|Main|Park\sAvenue|Avenue\sof)(?![A-Za-z]))"
)
_NOT_A_HOUSE = re.compile(
    r"\b(?:in|since|until|till|by|before|after|during|of|from|circa|year|the)\s$"
    rf"|\b(?:{'|'.join(MONTHS)})\s$",
    re.IGNORECASE,
)
_STREET = re.compile(
    r"(?<![A-Za-z0-9.&'’\-])(?P<type>St|Ave|Av|Blvd|Rd|Dr|Ln|Ct|Pl|Hwy|Pkwy|Sq|Ter|Cir|Trl|Expy|Fwy|Tpke|Plz)(?![A-Za-z'’\-])\.?"
)
_NAME_BEFORE = re.compile(r"(?:\b[A-Z][a-z'’]{1,20}|\b[0-9]{1,3}(?:st|nd|rd|th)|\b[A-Z])\s$")
# 221B Baker: an address before St.
_ADDRESS_BEFORE = re.compile(
    r"\b[0-9]{1,5}[A-Za-z]?\s(?:(?:[NSEW]{1,2}|North|South|East|West)\.?\s)?(?:(?:[A-Z][a-z'’.]{1,20}|[0-9]{1,3}(?:st|nd|rd|th))\s){1,3}$"
)
_NOT_A_ROAD_NAME = re.compile(
    r"\b(?:The|Ask|Call|See|Tell|And|But|With|Visit|From|To|In|At|Near|My|Our|Your|His|Her|For|By|Is|Was|If|When|Thanks"
    r"|Dear|Hello|Hi|Meet|Mount|Port|Lake|Fort|Sault|Your|Then|Today|Professor|Via|Mr|Mrs|Ms|Contact|Thank|Does|Did)\s$"
)
_ROAD_ENDS = re.compile(
    r"$|[,;:!?)]|\s(?:[a-z0-9#(&]|Apt|Ste|Suite|Unit|NW|NE|SW|SE|N\b|S\b|E\b|W\b|Bldg|Floor|Fl\b|Exit|Station|Bridge|Subway|and\b)"
)
_COUPLE = re.compile(r"\s(?:and|&)\s(?:Mrs?|Ms|Dr)\b")
_CAPITAL = re.compile(r"\s[A-Z]")
_STATION = re.compile(r"\s(?:Station|Bridge|Subway|Exit|Apt|Ste|Suite|Unit|NW|NE|SW|SE|Bldg|Floor)\b")
_DIRECTION = re.compile(r"(?<![A-Za-z0-9.&'’\-])(?P<d>[NS][EW]|[NSEW])(?![A-Za-z'’\-])\.?")
_AFTER_ROAD = re.compile(
    rf"\b{_ROAD}\.?,?\s$|\b(?:I|US|U\.S\.|Route|Rte\.?|Highway|Hwy\.?|Interstate)[\s\-][0-9]{{1,4}}\s$"
)
_ROAD_AHEAD = re.compile(
    rf"\s(?:(?:[A-Z][a-z'’]{{1,20}}|[0-9]{{1,3}}(?:st|nd|rd|th))\s){{1,3}}{_ROAD}(?![A-Za-z])|\s[A-Z][a-z]{{2,20}}\b"
)
_NAMED_ROAD_AHEAD = re.compile(rf"\s(?:[A-Z][a-z'’]{{1,20}}\s){{1,3}}{_ROAD}(?![A-Za-z])")
_NO_NAME_BEFORE = re.compile(r"(?:^|(?<![A-Za-z'’])[a-z]{1,12},?\s|[0-9,&]\s)$")  # not Robert E. Lee Blvd
_REGION_AHEAD = re.compile(r"\s(?:Korea|Carolina|Dakota|America|Africa|Virginia|Sudan|Atlantic|Pacific|Hollywood)")
_NUMBERED_ROAD_AHEAD = re.compile(rf"\s[0-9]{{1,3}}(?:st|nd|rd|th)\s{_ROAD}(?![A-Za-z])")
_NUMBER_BEFORE = re.compile(r"\b[0-9]{1,5}[A-Za-z]?\s$")
_ROOM = re.compile(
    r"(?<![A-Za-z0-9])(?P<kind>Apt|apt|Ste|Suite|suite|Unit|Bldg|Rm|rm|Apartment|apartment)(?P<mark>\.?\s?#?)(?P<n>[0-9]{1,5})(?P<letter>[A-Za-z])?(?![A-Za-z0-9]|[.,][0-9])"
)
_ROOM_LETTER = re.compile(r"(?<![A-Za-z0-9])(?P<kind>Apt|Ste|Bldg|Rm)(?:\.?\s)(?=#?[A-Z0-9](?![a-z]))")
_ROOMS = {"apt": "apartment", "ste": "suite", "bldg": "building", "rm": "room"}
_SAINTE = re.compile(r"(?<![A-Za-z])Ste\.?(?=\s(?:Marie|Genevieve|Anne)\b)")
_FLOOR = re.compile(r"(?<=[0-9](?:st|nd|rd|th)\s)[Ff]l(?![A-Za-z])\.?")
_ROUTE = re.compile(r"(?<=[A-Za-z.\-\s])(?P<n>[1-9][0-9]{0,3})(?![0-9A-Za-z]|[.,:/\-–][0-9]|\sof\b)")
# Route 66, Form 1040, Boeing 747, A380
_ROUTE_BEFORE = re.compile(
    r"\b(?:Route|Rte\.?|Highway|Hwy\.?|Interstate|Freeway|US|U\.S\.|Form|Boeing|Airbus|Porsche|Cessna|RTX|GTX|RX|I)[\s\-]$|\b(?:[Ff]orms?(?:\s[A-Z]?-?[0-9]{1,4},?\s(?:or|and))?|[Tt]he|[Aa])\s$|\bA$"
)
# the 737 MAX: an airplane also after an article
_AIRCRAFT = re.compile(r"7[0-8]7")
_JET = re.compile(
    r"$|[.,;!?)]|\s(?:MAX|Max|Dreamliner|jet|jets|jumbo|plane|planes|aircraft|freighter|crash|landed|flight|to|from|is|was|and)\b|-[0-9]"
)
_STATE = re.compile(
    rf"(?<=,\s)(?P<state>{'|'.join(_STATES)})\s(?P<zip>[0-9]{{5}})(?:-(?P<more>[0-9]{{4}}))?(?![0-9A-Za-z\-])"
)


def _house(match: re.Match[str]) -> str | None:
    if _NOT_A_HOUSE.search(before(match)):
        return None  # In 1999 Wall Street boomed
    return in_pairs(match["n"]) + (f" {match['letter'].upper()}" if match["letter"] else "")


def _street(match: re.Match[str]) -> str | None:
    """Return Street or Saint, Drive or Doctor; None if nothing says which."""
    kind, words, following = match["type"], before(match), after(match)
    road = _NAME_BEFORE.search(words) is not None and not _NOT_A_ROAD_NAME.search(words)
    name_follows = _CAPITAL.match(following) is not None and not _STATION.match(following) and not stop(match)
    if kind == "St" and _SAINT.match(following) and not _ADDRESS_BEFORE.search(words):
        return "Saint"
    if kind in ("St", "Dr") and name_follows and not (road and (kind == "St" or _ADDRESS_BEFORE.search(words))):
        return "Saint" if kind == "St" else "Doctor"
    if kind == "Dr" and _COUPLE.match(following):
        return "Doctor"
    if kind == "Dr" and match[0][-1] == "." and re.search(r"\b(?:the|a|my|your|our|his|her)\s$", words, re.IGNORECASE):
        return f"Doctor{stop(match)}"
    dotted = match[0][-1] == "."
    if not road or not (dotted or _ROAD_ENDS.match(following) or kind in _ALWAYS):
        return f"{_TYPES[kind]}{stop(match)}" if dotted and kind in _ALWAYS else None
    return f"{_TYPES[kind]}{stop(match)}"


def _direction(match: re.Match[str]) -> str | None:
    words, following, dotted = before(match), after(match), match[0][-1] == "."
    if _AFTER_ROAD.search(words) and not (dotted and len(match["d"]) == 1 and not stop(match)):
        return _DIRECTIONS[match["d"]] + stop(match)
    ahead = (
        (_NUMBER_BEFORE.search(words) and _ROAD_AHEAD.match(following))
        or _NUMBERED_ROAD_AHEAD.match(following)
        or (dotted and _NO_NAME_BEFORE.search(words) and _NAMED_ROAD_AHEAD.match(following))
        or (dotted and _REGION_AHEAD.match(following))
    )
    return _DIRECTIONS[match["d"]] + stop(match) if ahead else None


def _room(match: re.Match[str]) -> str | None:
    kind = match["kind"]
    name = _ROOMS.get(kind.lower(), kind)
    if kind == "Unit" and len(match["n"]) < 3:
        return None
    letter = f" {match['letter'].upper()}" if match["letter"] else ""
    return f"{name.capitalize() if kind[0].isupper() else name} {in_pairs(match['n'])}{letter}"


def _room_letter(match: re.Match[str]) -> str:
    return f"{_ROOMS[match['kind'].lower()].capitalize()} "


def _route(match: re.Match[str]) -> str | None:
    """Read the number of a road, a form or an airplane in pairs: I-405, Form 1040, Boeing 747."""
    found = _ROUTE_BEFORE.search(before(match))
    if found is None:
        return None
    plane = _AIRCRAFT.fullmatch(match["n"]) is not None and _JET.match(after(match)) is not None
    if found[0] == "A":
        return in_pairs(match["n"]) if match["n"][0] == "3" and len(match["n"]) == 3 else None
    if found[0].lower() in ("the ", "a "):
        return in_pairs(match["n"]) if plane else None
    return in_pairs(match["n"])


def _state(match: re.Match[str]) -> str:
    more = f", {digits(match['more'])}" if match["more"] else ""
    return f"{_STATES[match['state']].replace('_', ' ')} {digits(match['zip'])}{more}"


RULES = (
    Rule(_STATE, _state, first="a"),
    Rule(_HOUSE, _house, first="0"),
    Rule(_ROOM, _room, first="a"),
    Rule(_ROOM_LETTER, _room_letter, first="a"),
    Rule(_SAINTE, always("Saint"), first="a"),
    Rule(_FLOOR, lambda match: f"floor{stop(match)}", first="a"),
    Rule(_STREET, _street, first="a"),
    Rule(_DIRECTION, _direction, first="a"),
    Rule(_ROUTE, _route, first="0"),
)
