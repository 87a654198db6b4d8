"""The text with which the loudness of a voice is measured, by language. Pure.

Each lasts at least 3 s at normal speed and has no digit, so that an engine needs no reading of numbers.
"""

from __future__ import annotations

_ENGLISH = "The quick brown fox jumps over the lazy dog, and then it runs away into the deep and quiet forest."
TEXTS: dict[str, str] = {
    "en": _ENGLISH,
    "ko": "오늘은 날씨가 맑고 바람이 시원해서, 우리는 점심을 먹은 뒤에 가까운 공원까지 천천히 걸어갔습니다.",
    "ja": "今日は天気がよくて風も涼しいので、昼ごはんのあとで近くの公園までゆっくり歩いて行きました。",
    "zh": "今天天气很好，风也很凉快，所以我们吃完午饭以后，慢慢地走到了附近的公园里。",
    "de": "Heute scheint die Sonne, und deshalb gehen wir nach dem Essen langsam in den Park und setzen uns hin.",
    "fr": "Il fait beau aujourd'hui, alors nous marchons lentement jusqu'au parc après le repas, près de la rivière.",
    "es": "Hoy hace buen tiempo, y por eso después de comer caminamos despacio hasta el parque que está junto al río.",
    "it": "Oggi c'è il sole, e perciò dopo pranzo camminiamo piano fino al parco che si trova vicino al fiume.",
    "pt": "Hoje está um dia bonito, e por isso depois do almoço caminhamos devagar até ao parque junto ao rio.",
    "nl": "Vandaag schijnt de zon, en daarom lopen we na het eten langzaam naar het park aan de rand van de rivier.",
    "pl": "Dzisiaj świeci słońce, więc po obiedzie idziemy powoli do parku, który leży nad rzeką.",
    "ru": "Сегодня хорошая погода, и поэтому после обеда мы медленно идём в парк, который находится у реки.",
    "uk": "Сьогодні гарна погода, і тому після обіду ми повільно йдемо до парку, який лежить біля річки.",
    "tr": "Bugün hava çok güzel, bu yüzden yemekten sonra nehrin yanındaki parka kadar yavaş yavaş yürüyoruz.",
    "vi": "Hôm nay trời đẹp và gió mát, cho nên sau bữa trưa chúng tôi đi bộ chậm rãi đến công viên gần nhà.",
    "id": "Hari ini cuaca cerah dan angin terasa sejuk, jadi setelah makan siang kami berjalan pelan ke taman.",
    "hi": "आज मौसम बहुत अच्छा है, इसलिए हम दोपहर के खाने के बाद धीरे धीरे पास के बगीचे तक चलकर गए।",
    "ar": "الطقس جميل اليوم، ولذلك مشينا ببطء بعد الغداء إلى الحديقة القريبة من النهر وجلسنا هناك.",
    "th": "วันนี้อากาศดีและลมเย็นสบาย หลังอาหารกลางวันเราจึงเดินช้าๆ ไปที่สวนสาธารณะใกล้บ้านของเรา",
}


_WRITTEN_AS = {"cmn": "zh", "yue": "zh", "hak": "zh", "in": "id"}
"""Languages, by the first part of their tag, that are written like one with a text."""


def text_for(language: str) -> str:
    """Returns the text of a BCP 47 tag's language, with any country; the English one for a language without a text."""
    first = language.replace("_", "-").partition("-")[0].lower()
    return TEXTS.get(_WRITTEN_AS.get(first, first), _ENGLISH)
