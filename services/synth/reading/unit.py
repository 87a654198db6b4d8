"""Units of measure in Latin letters or as signs, and their names in Korean and English."""

from __future__ import annotations

import re

from services.synth.reading.edited_text import EditedText

KOREAN = {
    "km": "킬로미터", "m": "미터", "cm": "센티미터", "mm": "밀리미터", "μm": "마이크로미터", "nm": "나노미터",
    "kg": "킬로그램", "g": "그램", "mg": "밀리그램", "μg": "마이크로그램", "t": "톤", "lb": "파운드", "oz": "온스",
    "l": "리터", "L": "리터", "ml": "밀리리터", "mL": "밀리리터", "dl": "데시리터", "dL": "데시리터",
    "mmol": "밀리몰", "mol": "몰", "IU": "아이유", "cc": "시시", "m2": "제곱미터",
    "km2": "제곱킬로미터", "mm2": "제곱밀리미터", "cm2": "제곱센티미터", "m3": "세제곱미터", "cm3": "세제곱센티미터",
    "ha": "헥타르", "KB": "킬로바이트", "kB": "킬로바이트", "MB": "메가바이트", "GB": "기가바이트",
    "TB": "테라바이트", "PB": "페타바이트", "Kbps": "킬로비피에스", "kbps": "킬로비피에스", "Mbps": "메가비피에스",
    "Gbps": "기가비피에스", "Hz": "헤르츠", "kHz": "킬로헤르츠", "MHz": "메가헤르츠", "GHz": "기가헤르츠",
    "dB": "데시벨", "W": "와트", "kW": "킬로와트", "MW": "메가와트", "GW": "기가와트", "kWh": "킬로와트시",
    "Wh": "와트시", "V": "볼트", "kV": "킬로볼트", "mA": "밀리암페어", "mAh": "밀리암페어시", "kcal": "킬로칼로리",
    "cal": "칼로리", "kJ": "킬로줄", "Pa": "파스칼", "hPa": "헥토파스칼", "kPa": "킬로파스칼",
    "mmHg": "밀리미터 에이치지", "px": "픽셀", "pt": "포인트", "dpi": "디피아이", "fps": "에프피에스",
    "rpm": "알피엠", "ppm": "피피엠", "bpm": "비피엠", "μs": "마이크로초", "ms": "밀리초", "min": "분", "sec": "초",
    "s": "초", "inch": "인치", "ft": "피트", "yd": "야드", "°": "도", "%": "퍼센트", "%p": "퍼센트포인트",
    "bp": "비피", "bit": "비트",
    "%포인트": "퍼센트포인트", "‰": "퍼밀",
}  # fmt: skip
"""Unit → its name. Units with a word before the number are in AHEAD."""

AHEAD = {
    "km/h": ("시속", "킬로미터"), "kph": ("시속", "킬로미터"), "m/s": ("초속", "미터"), "m/h": ("시속", "미터"),
    "km/s": ("초속", "킬로미터"),
    "m/s²": ("제곱초당", "미터"), "m/s^2": ("제곱초당", "미터"),
    "mph": ("시속", "마일"), "°C": ("섭씨", "도"), "°F": ("화씨", "도"),
}  # fmt: skip
"""Unit → the words before and after the number."""

ENGLISH = {
    "km": "kilometer", "m": "meter", "cm": "centimeter", "mm": "millimeter", "μm": "micrometer", "nm": "nanometer",
    "kg": "kilogram", "g": "gram", "mg": "milligram", "μg": "microgram", "t": "ton", "lb": "pound", "lbs": "pound",
    "oz": "ounce", "l": "liter", "L": "liter", "ml": "milliliter", "mL": "milliliter", "m2": "square meter",
    "km2": "square kilometer", "m3": "cubic meter", "cm3": "cubic centimeter", "ha": "hectare", "KB": "kilobyte",
    "kB": "kilobyte", "MB": "megabyte", "GB": "gigabyte", "TB": "terabyte", "kW": "kilowatt", "W": "watt",
    "kWh": "kilowatt hour", "V": "volt", "mAh": "milliamp hour", "kcal": "kilocalorie", "px": "pixel",
    "ms": "millisecond", "min": "minute", "sec": "second", "s": "second", "mi": "mile", "hr": "hour", "hrs": "hour",
    "km/h": "kilometer per hour", "kph": "kilometer per hour", "mph": "mile per hour", "m/s": "meter per second",
    "°C": "degree Celsius", "°F": "degree Fahrenheit", "°": "degree", "h": "hour", "mins": "minute", "secs": "second",
    "yr": "year", "yrs": "year", "wk": "week", "wks": "week", "mo": "month", "mos": "month", "tsp": "teaspoon",
    "tbsp": "tablespoon", "Tbsp": "tablespoon", "Tsp": "teaspoon", "tsps": "teaspoon", "tbsps": "tablespoon",
    "fl oz": "fluid ounce", "fl. oz": "fluid ounce", "pt": "pint", "qt": "quart", "qts": "quart", "gal": "gallon",
    "yd": "yard", "yds": "yard", "sq mi": "square mile", "sq km": "square kilometer", "sq m": "square meter",
    "sq yd": "square yard", "sq. mi": "square mile", "mm2": "square millimeter", "cm2": "square centimeter",
    "mcg": "microgram", "ug": "microgram", "dL": "deciliter", "dl": "deciliter", "cl": "centiliter", "cal": "calorie",
    "kJ": "kilojoule", "kV": "kilovolt", "mA": "milliamp", "Wh": "watt hour", "MW": "megawatt", "GW": "gigawatt",
    "Ah": "amp hour", "PB": "petabyte", "mg/dL": "milligram per deciliter", "mg/dl": "milligram per deciliter",
    "mg/L": "milligram per liter", "kg/m2": "kilogram per square meter", "g/cm3": "gram per cubic centimeter",
    "m/s2": "meter per second squared", "m/s^2": "meter per second squared", "m/s²": "meter per second squared",
    "ft/s": "foot per second", "MB/s": "megabyte per second", "GB/s": "gigabyte per second",
    "KB/s": "kilobyte per second", "cc": "cc", "mi/h": "mile per hour", "mi/hr": "mile per hour", "km/hr":
    "kilometer per hour", "mpg": "mile per gallon", "kn": "knot", "mmol": "millimole", "mol": "mole",
    "yd2": "square yard", "μg/m3": "microgram per cubic meter", "mg/m3": "milligram per cubic meter",
    "c.": "cup",
}  # fmt: skip
"""Unit → its singular."""

ENGLISH_SAME = {
    "Hz": "hertz", "kHz": "kilohertz", "MHz": "megahertz", "GHz": "gigahertz", "Mbps": "megabits per second",
    "Gbps": "gigabits per second", "kbps": "kilobits per second", "dB": "decibels", "%": "percent", "ft": "feet",
    "rpm": "RPM", "fps": "frames per second", "ppm": "parts per million", "sq ft": "square feet",
    "sq. ft": "square feet", "sqft": "square feet", "ft2": "square feet", "ft²": "square feet", "cu ft": "cubic feet",
    "cu. ft": "cubic feet", "psi": "PSI", "bpm": "beats per minute", "mmHg": "millimeters of mercury", "hp":
    "horsepower", "dpi": "dots per inch", "Kbps": "kilobits per second", "sq in": "square inches", "sq. in":
    "square inches", "Pa": "pascals", "kPa": "kilopascals", "hPa": "hectopascals", "BTU": "BTU", "BTUs": "BTUs",
    "‰": "per mille", "MP": "megapixels", "ft/min": "feet per minute", "dBm": "dBm", "lb-ft": "pound feet",
}  # fmt: skip
"""Unit → its name, the same in singular and plural, except feet and inches (_FEET_AND_INCHES)."""

_SIGNS = {"ℓ": "l", "℃": "°C", "℉": "°F", "µ": "μ"}  # others, such as ㎏ and ㎡, are letters already (plain_characters)

_FEET_AND_INCHES = frozenset({"ft", "sq ft", "sq. ft", "sqft", "ft2", "ft²", "cu ft", "cu. ft", "sq in", "sq. in"})
_PLURALS = {"cc": "cc", "foot per second": "feet per second"}
_SIGN = re.compile(f"[{''.join(_SIGNS)}]")
_POWER = re.compile(r"(?<=[mM])[²³]")


def plain(text: EditedText) -> EditedText:
    """Returns the text with unit signs as letters of the tables: °C for ℃, m2 for m²."""
    letters = text.sub(_SIGN, lambda sign: _SIGNS[sign[0]])
    return letters.sub(_POWER, lambda power: "2" if power[0] == "²" else "3")


def english(name: str, *, one: bool) -> str:
    """Returns the English words of a unit, in the singular if `one`: foot, kilogram; percent has one form for both."""
    if name in _FEET_AND_INCHES and one:
        return ENGLISH_SAME[name].replace("feet", "foot").replace("inches", "inch")
    return ENGLISH_SAME.get(name) or (ENGLISH[name] if one else english_plural(name))


def english_plural(name: str) -> str:
    """Returns the plural of a unit in ENGLISH: square meters, kilometers per hour, kilowatt hours."""
    words = ENGLISH[name]
    if words in _PLURALS:
        return _PLURALS[words]
    first, space, rest = words.partition(" ")
    if not rest or rest.startswith("per ") or first == "degree":
        return f"{first}s{space}{rest}"
    return f"{words}s"


def pattern(*tables: dict[str, str] | dict[str, tuple[str, str]]) -> str:
    """Returns a regular expression for the units of the tables, longest first, that ends at the end of the unit."""
    names = sorted({name for table in tables for name in table}, key=lambda name: (-len(name), name))
    return f"(?:{'|'.join(map(re.escape, names))})(?![A-Za-z0-9])"
