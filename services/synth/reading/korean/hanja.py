"""Hanja in a Korean sentence: 美 대통령 is 미 대통령, 韓國(한국) is 한국. Pure.

The readings come from the order of the 4 888 hanja in KS X 1001: it sorts them by reading, so a table needs only each
reading and the number of its hanja. Python's codec `euc_kr` gives the order. A hanja with several readings stands there
several times; its first code point is its main reading, and `_WORDS` has words with another one. The beginning of a
word follows 두음법칙 (한글 맞춤법 제10~12항), 열 and 율 follow 제11항.
"""

from __future__ import annotations

import re
from functools import cache

from services.synth.reading.edited_text import Edit, EditedText
from services.synth.reading.korean.numeral import final_consonant
from services.synth.reading.rule import after, before

_COUNTS = """
    가29 각11 간24 갈10 감20 갑6 강24 개20 객2 갱4 갹1 거17 건12 걸4 검7 겁3 게3 격7 견11 결6 겸6 경45 계24 고39 곡7
    곤10 골3 공16 곶1 과12 곽4 관17 괄4 광13 괘3 괴9 굉4 교25 구54 국6 군6 굴4 궁6 권10 궐5 궤7 귀5 규15 균7 귤1 극7
    근16 금14 급7 긍4 기64 긴1 길4 김1 끽1 나20 낙5 난7 날2 남10 납4 낭7 내7 녀1 년3 념4 녕2 노27 농5 뇌6 뇨9 눈1 눌1
    뉴8 능3 니2 닉2 다2 단20 달5 담17 답5 당11 대16 댁1 덕2 도40 독10 돈10 돌2 동17 두11 둔6 득1 등9 라9 락10 란8 랄2
    람10 랍3 랑8 래4 랭1 략2 량13 려18 력7 련12 렬6 렴5 렵1 령18 례5 로18 록7 론1 롱7 뢰8 료12 룡1 루13 류14 륙3 륜6
    률4 륭1 륵2 름1 릉6 리26 린9 림5 립4 마8 막6 만19 말7 망12 매14 맥5 맹6 멱2 면11 멸2 명15 몌1 모24 목7 몰2 몽3
    묘12 무22 묵2 문12 물3 미19 민13 밀3 박19 반25 발11 방28 배20 백8 번10 벌4 범9 법2 벽12 변6 별4 병17 보16 복17 본1
    볼1 봉16 부43 북1 분19 불5 붕6 비43 빈14 빙4 사60 삭4 산12 살5 삼8 삽4 상31 새5 색3 생5 서30 석15 선32 설13 섬8
    섭4 성18 세9 소37 속9 손6 솔1 송8 쇄5 쇠2 수61 숙12 순27 술4 숭3 슬3 습5 승10 시28 식15 신24 실4 심10 십3 쌍1 씨1
    아18 악14 안10 알4 암8 압4 앙7 애11 액7 앵4 야11 약10 양30 어10 억5 언6 얼2 엄6 업2 엔1 여24 역13 연46 열7 염15
    엽6 영38 예24 오30 옥5 온6 올1 옹9 와8 완18 왈1 왕5 왜4 외7 요36 욕6 용24 우32 욱9 운13 울3 웅2 원27 월3 위25 유57
    육7 윤16 율1 융5 은7 을1 음6 읍3 응4 의19 이40 익6 인24 일9 임11 입5 잉4 자26 작13 잔5 잠6 잡1 장37 재17 쟁4 저28
    적25 전41 절8 점9 접3 정55 제23 조46 족4 존2 졸3 종17 좌5 죄1 주40 죽2 준19 줄1 중4 즉1 즐1 즙3 증11 지34 직5 진35
    질15 짐3 집6 징3 차15 착7 찬15 찰5 참10 창22 채12 책4 처4 척15 천19 철10 첨10 첩10 청9 체9 초27 촉6 촌4 총10 촬1
    최3 추23 축12 춘3 출3 충6 췌4 취14 측5 층1 치24 칙3 친1 칠3 침9 칩1 칭2 쾌1 타14 탁16 탄10 탈2 탐4 탑3 탕5 태14
    택3 탱1 터1 토4 통7 퇴6 투6 특2 틈1 파16 판9 팔3 패11 팽4 퍅1 편10 폄1 평5 폐10 포28 폭6 표14 품2 풍5 피7 필10 핍2
    하14 학5 한14 할2 함12 합7 항17 해18 핵2 행5 향9 허4 헌4 헐1 험2 혁4 현21 혈4 혐1 협12 형20 혜9 호41 혹3 혼6 홀3
    홍10 화14 확6 환17 활5 황24 회20 획2 횡3 효13 후13 훈10 훙1 훤4 훼3 휘8 휴5 휼3 흉5 흑1 흔4 흘4 흠3 흡4 흥1 희20
    힐1
"""
"""Each reading with the number of its hanja, in the order of KS X 1001 (rows 0xCA to 0xFD of `euc_kr`)."""

_MAIN = {
    "金": "금", "宅": "택", "不": "불", "率": "률", "茶": "차", "強": "강", "研": "연", "祕": "비", "青": "청",
    "教": "교", "清": "청", "内": "내", "產": "산", "郎": "랑", "真": "진", "説": "설", "温": "온", "毎": "매",
    "黄": "황", "畫": "화", "録": "록", "緑": "록", "戸": "호", "彦": "언",
}  # fmt: skip
"""Hanja whose usual reading is not that of their first code point, and other code points for the same hanja."""

_WORDS = {
    "大統領": "대통령", "六月": "유월", "十月": "시월", "自轉車": "자전거", "人力車": "인력거", "停車場": "정거장",
    "娛樂": "오락", "快樂": "쾌락", "極樂": "극락", "樂園": "낙원", "樂觀": "낙관", "樂天": "낙천", "苦樂": "고락",
    "享樂": "향락", "哀樂": "애락", "安樂": "안락", "歡樂": "환락", "統率": "통솔", "引率": "인솔", "輕率": "경솔",
    "率先": "솔선", "率直": "솔직", "眞率": "진솔", "相殺": "상쇄", "殺到": "쇄도", "復活": "부활", "復興": "부흥",
    "降伏": "항복", "降服": "항복", "投降": "투항", "更新": "갱신", "更生": "갱생", "更年": "갱년", "憎惡": "증오",
    "嫌惡": "혐오", "容易": "용이", "難易": "난이", "簡易": "간이", "安易": "안이", "敗北": "패배", "標識": "표지",
    "省略": "생략", "遊說": "유세", "忖度": "촌탁", "宅配": "택배", "宅內": "댁내", "一切": "일체", "洞察": "통찰",
    "沙糖": "사탕", "砂糖": "사탕", "雪糖": "설탕", "茶房": "다방", "茶道": "다도", "便所": "변소", "小便": "소변",
    "大便": "대변", "行列": "행렬", "不實": "부실", "拓本": "탁본", "暴惡": "포악", "謁見": "알현", "十方": "시방",
    "復權": "복권", "木瓜": "모과", "牡丹": "모란", "什器": "집기", "遊樂": "유락", "喜怒": "희로", "許諾": "허락",
    "受諾": "수락", "困難": "곤란", "論難": "논란", "議論": "의논", "智異山": "지리산", "漢拏": "한라",
    "契丹": "거란", "媤宅": "시댁", "貴宅": "귀댁",
}  # fmt: skip
"""Words in which a hanja has another reading than its main one."""

_GOLD = frozenset("融利額賞曜色屬銀品庫錢銅星魚冠鑛佛科言髮")  # 金 and one of these: 금융; else before two hanja 김
_NAMES_OF_GIM = frozenset("氏君孃浦海泉堤")  # 김 씨, 김포
_GOLDEN = re.compile(
    r"메달|값|반지|괴|시세|목걸이|팔찌|본위|은방|붙이|\s?(?:현물|선물|시세|가격|투자|매입|거래)|\s?[0-9]{1,3}(?:개|돈|냥|[·,\s]{0,2}[銀은])"
)
_HANJA = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_ANY = re.compile(f"[{_HANJA}]")
_RUN = re.compile(f"[々〇\u3040-\u30ff{_HANJA}]+")
_WORD = re.compile("|".join(sorted(_WORDS, key=lambda word: (-len(word), word))))
_SAID = frozenset("前現故新舊男女上中下")  # 홍길동(男): not another way to write the word before it
_COMPANY = re.compile(r"\(株\)")
_WEEKDAY = re.compile(r"(?<=[0-9일.])\s?\([日月火水木金土]\)")  # 15일(月): 월요일, read by the rules of dates
_HANGUL_FIRST = re.compile(rf"(?<=[가-힣])\s?\([{_HANJA}]{{1,20}}\)")
_HANJA_FIRST = re.compile(rf"(?<![{_HANJA}])(?P<hanja>[{_HANJA}]{{1,20}})\s?\((?P<hangul>[가-힣]{{1,40}})\)")
_AS_INITIAL = {"ㄹ": 5, "ㄴ": 2, "ㅇ": 11}
_BEFORE_I = frozenset({2, 3, 6, 7, 12, 17, 20})  # ㅑ ㅒ ㅕ ㅖ ㅛ ㅠ ㅣ


@cache
def _readings() -> dict[str, str]:
    """Return the main reading of each hanja of KS X 1001."""
    codes = bytes(byte for row in range(0xCA, 0xFE) for cell in range(0xA1, 0xFF) for byte in (row, cell))
    counted = [(entry[0], int(entry[1:])) for entry in _COUNTS.split()]
    readings = (reading for reading, count in counted for _ in range(count))
    pairs = zip(codes.decode("euc_kr"), readings, strict=True)
    return {hanja: reading for hanja, reading in pairs if not "\uf900" <= hanja <= "\ufaff"} | _MAIN


def reading(run: str, before: str = "", after: str = "") -> str | None:
    """Returns the Hangul for a run of hanja between two other texts; None if one of them is not in KS X 1001."""
    readings = _readings()
    if any(hanja not in readings for hanja in run):
        return None
    said, at = "", 0
    inside = bool(before) and (before[-1].isdecimal() or "가" <= before[-1] <= "힣")  # 2024年 is 년, not 연
    while at < len(run):
        word = _WORD.match(run, at)
        if word is not None:
            said += _WORDS[word[0]]
            at = word.end()
            continue
        begins = (not said and not inside) or (at == 2 and len(run) == 4)  # 男女老少 and 國際聯合 are two words
        said += _syllable(run, at, "" if begins else said or "가", after)
        at += 1
    return said


def _syllable(run: str, at: int, said: str, after: str) -> str:
    """Return the syllable for one hanja; `said` is the word before it, empty at the beginning of a word."""
    hanja, readings = run[at], _readings()
    following = readings[run[at + 1]] if at + 1 < len(run) else ""
    if hanja == "金" and not said:
        return _surname_or_gold(run, after)
    if hanja == "不" and following and _initial(following) in (3, 12):  # ㄷ, ㅈ
        return "부"
    return _at_begin(readings[hanja]) if not said else _after(said[-1], readings[hanja])


def _surname_or_gold(run: str, after: str) -> str:
    if len(run) == 1:
        return "금" if _GOLDEN.match(after) or after[:1] in ("·", ",") else "김"
    if run[1] in _NAMES_OF_GIM or (len(run) == 3 and run[1] not in _GOLD):
        return "김"
    return "금"


def _initial(syllable: str) -> int:
    return (ord(syllable) - 0xAC00) // 588


def _at_begin(syllable: str) -> str:
    """Return the syllable as it is at the beginning of a word: 여 for 녀, 이 for 리, 노 for 로."""
    initial, rest = divmod(ord(syllable) - 0xAC00, 588)
    before_i = rest // 28 in _BEFORE_I
    if initial in (_AS_INITIAL["ㄹ"], _AS_INITIAL["ㄴ"]) and before_i:
        return chr(0xAC00 + _AS_INITIAL["ㅇ"] * 588 + rest)
    if initial == _AS_INITIAL["ㄹ"]:
        return chr(0xAC00 + _AS_INITIAL["ㄴ"] * 588 + rest)
    return syllable


def _after(previous: str, syllable: str) -> str:
    """Return 열 and 율 for 렬 and 률 after a vowel or ㄴ: 비율, 계열."""
    if syllable in ("렬", "률") and final_consonant(previous) in (0, 4):
        return _at_begin(syllable)
    return syllable


def _words(match: re.Match[str]) -> str:
    return reading(match[0], before(match, 1), after(match, 4)) or match[0]


def _names_the_same(match: re.Match[str]) -> bool:
    """Whether Hangul in brackets is another way to write the hanja before it: 韓國(한국), 北京(베이징)."""
    hanja, hangul = match["hanja"], match["hangul"]
    if len(hanja) == len(hangul):
        return True
    return 1 < len(hanja) and len(hangul) <= 2 * len(hanja)


def _only_hangul(match: re.Match[str]) -> tuple[Edit, Edit]:
    first, end = match.span("hangul")
    return (match.start(), first, ""), (end, match.end(), "")


def in_hangul(text: EditedText) -> EditedText:
    """Returns a Korean text with its hanja in Hangul; hanja and Hangul for the same word are said once.

    Runs with kana or with a character outside of KS X 1001 are unchanged: they are Japanese or Chinese.
    """
    if _ANY.search(text.text) is None:
        return text
    text = text.sub(_COMPANY, "(주)").sub(_WEEKDAY, lambda match: f"({_readings()[match[0][-2]]})")
    text = text.sub(_HANGUL_FIRST, lambda match: match[0] if match[0][-2] in _SAID and match[0][-3] == "(" else "")
    text = text.edited(
        [edit for match in _HANJA_FIRST.finditer(text.text) if _names_the_same(match) for edit in _only_hangul(match)]
    )
    return text.sub(_RUN, _words)
