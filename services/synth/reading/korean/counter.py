"""Korean counters, and which numerals they take: 세 명, but 삼 년.

The tables have what is usual in speech; the standard (한글 맞춤법 제43항) only defines the space. A counter in neither
table takes Sino-Korean numerals.
"""

from __future__ import annotations

import re

from services.synth.reading.korean.numeral import month, native, sino

_MAX_NATIVE = 49  # from 50 on speakers use both numerals, Sino-Korean ones more often: 오십 명

_NATIVE = """
    명 사람 마리 그루 송이 벌 켤레 채 척 가지 군데 곳 잔 병 권 장 통 자루 쌍 줄 갑 다발 봉지 봉투 봉 상자 박스 그릇
    접시 모금 조각 바퀴 걸음 발자국 끼 입 방울 번째 개비 개피 토막 마디 묶음 자릿수 자리 글자 단어 나라 팀 칸 팩
    캔 컵 스푼 숟갈 숟가락 큰술 작은술 꼬집 덩어리 덩이 포기 뿌리 알 톨 모 편 곡 골 경기 문제 과목 가구 식구 집 판 발
    차례 배 번 대 개 시간 달 건 돌 시 살 분 자 정 포 포대 첩 근 줌 스쿱 공기 다스 톳 두름 꾸러미 바구니 가닥 가마니 종류
""".split()
_MAX_OF = {
    "살": 99, "시": 12, "시간": 23, "배": 10, "번": 29, "번째": 99, "건": 10, "편": 20, "곡": 20, "판": 20, "자": 10,
    "정": 10, "포": 20,
}  # fmt: skip
"""Maximum number with native numerals, by counter; for other counters it is _MAX_NATIVE."""

_SINO = """
    년도 년대 년간 년 연도 개월 월 주년 주일 주간 주 일간 일 분기 분 초 층 원 인분 인치 인 세 학년 학기 반 호선 호실
    호 동 차선 차원 차 위 등급 등 점 쪽 페이지 회 도 단계 단 평 박 교시 기 부작 부 급 국 열 번지 항 절 주차 개국 개년
    개소 개사 배속 퍼센트포인트 퍼센트 프로 킬로미터 킬로그램 킬로 센티미터 센티 밀리미터 밀리그램 밀리리터 밀리 미터
    그램 리터 톤 달러 유로 엔 위안 파운드 센트 마일 피트 칼로리 와트 볼트 헤르츠 승 패 무 석 량 행 개정 세기 세대
    번길 원권 원대 배럴 헥타르 에이커 캐럿 데시벨 픽셀 기가 메가 테라 바이트 비트 막
""".split()

# 표준어 규정 제17항: 서/너 before 돈, 말, 발, 푼; 석/넉 before 냥, 되, 섬, 자. Ambiguous ones are left out.
_OLD = {"돈": ("서", "너"), "냥": ("석", "넉"), "되": ("석", "넉"), "섬": ("석", "넉")}

_NATIVE_SET = frozenset(_NATIVE)
# Text that may not follow a short counter, because it would be another word: 2정거장, but 2정을 is a counter.
_ALONE = "(?!이|가|은|는|을|를|의|에|로|와|과|도|만|씩|쯤|당|까지|부터|입니|였)[가-힣]"
# Words that begin like a counter and are not one: 3시리즈, 2시즌, 5대양, 3개 국어, 8자 모양, 10정도.
_NOT = {
    "시": "리즈|즌|스템|점",
    "대": "대로|학|륙|양|회|강|문|주|보험|그룹|기업|재벌|도시|범죄|의무|원칙|과제|천왕|악|명산|리그|종교|영양소",
    "번": "역|호|가(?!량)",
    "자": rf"가|도|만|{_ALONE}|\s?(?:회담|구도|협상|통화|간|대면|합의|토론|대결|모양|매듭|걸음|주름|드라이버)",
    "정": f"도|의|이|{_ALONE}",
    "포": f"도|로|만|{_ALONE}",
    "첩": _ALONE,
    "근": f"의|로|{_ALONE}",
    "줌": _ALONE,
    "공기": _ALONE,
    "막": f"이|{_ALONE}",
    "발": "견|표|행",
    "부": "터",
    "알": "파",
    "집": "합|중",
    "입": "니|장|력|구|금|학|원|법",
    "인": "데|지|가|것|즉",
    "개": "인|월|국|년|소|사",
}

_NAMES = "|".join(
    f"{name}(?!{_NOT[name]})" if name in _NOT else name
    for name in sorted({*_NATIVE, *_SINO, *_OLD}, key=lambda name: (-len(name), name))
)
# Particles that may follow a counter after a space: without this list, "2 번호" would be read as a counter.
_PARTICLES = (
    "입니|이다|이고|이며|이나|이라|이었|인데|이서|이상|이하|이내|에서|에게|까지|부터|마다|만에|보다|밖에|처럼|정도|동안|짜리|으로|이|가|은|는|을|를|의|에|로|와|과|도|만|"
    "씩|쯤|째|간|당|전|후|내|뿐|들|께|여|인|라|였"
)
# The names stand once in it: a regular expression with all of them takes 10 ms to compile, at each start.
PATTERN = rf"(?P<space>\s)?(?P<counter>{_NAMES})(?(space)(?:(?![가-힣])|(?=(?:{_PARTICLES})(?![가-힣]{{4}}))))"
"""A regular expression for a counter after its number, longest first; `name_in` returns its name from a match."""

_COUNTER = re.compile(PATTERN)

# 차 3대, 노트북 2대
_VEHICLES = re.compile(
    r"(?:차|자동차|승용차|버스|택시|트럭|열차|비행기|여객기|헬기|드론|로봇|오토바이|자전거|컴퓨터|노트북|서버|카메라|에어컨|냉장고|세탁기|전화|"
    r"휴대폰|스마트폰|폰|태블릿|모니터|텔레비전|피아노|기계|장비|담배|주사|PC|TV)(?:이|가|를|을|는|은|도)?\s*$"
)
# 16대 대통령: the sixteenth president
_TERM = re.compile(r"\s?(?:대통령|총리|국회|의회|회장|총장|왕|임금|장관|시장|대표)")
_ONE_OF = re.compile(r"\s[가-힣]")
# 고객님 3분, 환자 2분: 분 counts people
_PEOPLE = re.compile(
    r"(?:[가-힣]님|(?:환자|남자|여자|고객|회원|일행|가족)분|고객|어른|어르신|성인|일행|회원|환자|위원|직원|손님|남자|여자|남성|여성|의사|간호사|교사|강사|기사|작가|교수|친구|보호자|학부모|어머니|아버지|할머니|할아버지|승객|관객|시민|주민|(?:대기|탑승|생존|참석|참가|당첨|신청|지원|합격|수상|방문|이용|예약|가입|후원|기부)자)"
    r"(?:이|은|께서|도|들)?\s*$"
)
# 3분간, 5분 동안, 10분 거리: 분 is a minute, also after a word for people
_LASTS = re.compile(
    r"\s?(?:만|간|동안|정도|쯤|이?내|안에|이면|거리|기다|남|걸|소요|후|뒤|전|마다|이\s(?:지나|지났|넘|걸|경과|흘|소요)|의\s?[0-9]|(?:자유\s?)?발언|진료|휴식|토론)"
)
# 몇 분이 …, 대기자는 3분: a number of people follows
_WAITING = re.compile(
    r"몇\s?분이[^0-9]{0,12}$|인원[^0-9]{0,6}[0-9]{1,2}분에서\s?$|(?:대기자|인원|총원|[가-힣]\s분)(?:은|는|이|가)?(?:\s?(?:총|모두))?\s?$"
)  # 예약하신 분은 총 5분
# 3분께서, 2분이 먼저 신청, 4분 예약하셨: people, because of the honorific or of what they do
_SEAT = re.compile(
    r"께서|께|이서|의?\s?(?:손님|고객|어르신|선생님)|을\s(?:모[시셔십신셨실]|만나|만났|뵙|뵈|뵀|초대|추첨|선정|뽑)|이(?:십니|세요|신가|신데|시고|시며|시네|시죠|셨)"
    r"|(?:이|은|도|만)?\s?(?:더\s)?(?:계시|계십|계신|계셨|계세|모시|모십|모셨|오셨|오시|오십|오신|앉으)"
    r"|이\s(?:먼저\s)?(?:대기\s?(?:중|하)|기다리[시고]|참석|신청|당첨|가입|탑승|선정|응모|예약)"
    r"|이\s(?:더\s)?(?:사[시십세셨는]|살고|앉아|서\s계|와\s계|오세|타[시십세셨]|드[시십셨])|이\s[가-힣]{1,6}(?:\s[가-힣]{1,4})?\s?중이[시십신셨]|\s?이상이[시십신]|과\s(?:이야기|통화|면담|인터뷰|식사|함께|같이)"
    r"|\s(?:예약\s(?:손님|고객|팀)|안내해\s드)|\s예약(?:이[십시세]|하[셨신시]|하겠|해)|\s(?:맞으시|맞으신|모두\s|전부\s|다\s(?:오|계)|들어오[실세시])"
)
# 4분으로 예약, 3분 자리 있나요
_BOOKED = re.compile(
    r"으로\s예약|\s자리\s?(?:있|가능|비)|\s자리(?:로|를)\s?(?:예약|부탁|잡)|\s예약(?:\s?(?:가능|되|돼|됐|부탁|문의|도와|받|잡|확인|변경|취소|완료|확정|요(?![가-힣])|$|[.?!]))"
)
_A_WHILE = re.compile(
    r"(?:시|까지|시간|소요|길이|간격)(?:은|는|이)?\s?(?:약|총|최대)?\s?$"
)  # 7시 30분, 대기 시간은 5분
# What follows a 번 that numbers something: 1번 출구, 2번으로 이동, 3번이 정답, 1번이나 2번
_LABEL = re.compile(
    r"\s?(?:출구|버스|문제|국도|타자|선수|채널|창구|게이트|승강장|트랙|레인|보기|문항|지원자|후보|환자|좌석|척추|염색체|(?:방|홀|줄|칸|키|국|룸)(?![가-힣])|(?:방|홀|줄|칸|룸)(?:으로|에|의|은|이|을|과)|[*#]|아이언|우드|"
    r"교향곡|항목|메뉴|버튼|노선|마을버스|타순|시드|질문|답안|선택지|예시|유형|슬라이드|호기|주자|"
    r"(?:진료|검사|수술|치료|회의|강의|처치|주사|면회|상담|분만|회복|연습|대기|응급|촬영|채혈|접견|녹음|탈의|샤워|놀이|교)실|병실|병동|병상|침대|테이블|"
    r"부스|출입구|입구|플랫폼|플랫홈|탑승구|코스|구역|블록|라인|고속도로|도로|선석|부두|활주로|사물함|락커|보관함|서랍|카메라|이미지|사진|그림|파일|"
    r"고객|손님|학생|어린이|참가자|참가번호|수험생|열차|객차|차량|엘리베이터|투수|포수|마커|표지|카드를|상자를|접수처|계산대|카운터|상담원|상담사)"
    r"|\s?홈(?:\s?$|[,.!?]|(?:입니다|이에요|으로)(?![가-힣]))"
    r"|\s?(?:예약|접수|수납|조회|이체|대출|계좌|취소|변경|확인|문의|안내|주문|배송|환불|반품|교환|신고|해지|가입|결제|상담)"
    r"(?:\s?(?:확인|문의|조회|변경|취소|상담|안내|접수|신청))?(?=\s?(?:$|[,./·:;)]|[0-9]{1,2}번|입니다|이에요|예요|이고))"
    r"|으로\s(?:가|오|와|이동|연결|입장|전화|문의|돌아|변경|배정|안내|할게|하겠|해|부탁|들어|신청|접수|내려|나(?:가|오|와)|찍)"
    r"|\s?자리(?:로|에|는|가|입니다|예요)|\s?답(?:이|은|을|안)|\s말고\s?[0-9]{1,3}번|\s[0-9]{1,3}번(?!째)"
    r"|에\s(?:서|앉|체크|표시|답|동그라미|주차)|에서\s(?:틀|막|내리|타|기다|결제|수납|접수|뵙)|의\s(?:정답|보기)|이\s(?:정답|맞|답|더(?!\s?(?:필요|남))|좋|낫|나은|마음|제일|가장|아니)"
    r"|\s[^\s,]{1,8}(?:\s[^\s,]{1,8})?(?<![고며서만데다요]),\s[0-9]{1,2}번"  # 1번 예약, 2번 변경
    r"|은\s[^\s,.]{1,12}(?:\s[^\s,.]{1,8})?(?:,|입니다|이고|이며|이에요|예요)|을\s(?:못\s)?(?:풀|고른|골라|찍|틀)"
    r"|(?:을|를|으로|이나)\s?(?:누르|눌러|눌렀|선택|고르|골라|입력|원하|말씀|불러|택하|클릭|단(?![가-힣]))"
    r"|(?:과|와|,|부터|에서|이나|이랑|하고|또는|\s또는|\s혹은|\s아니면|\s및)\s?(?:[0-9]{1,3}번|['\"‘“]?(?:[*#]|별표|우물|샵))"
)
# 버스 5번을 타고 is a line; 버스를 5번 탔다, 버스 5번이면 are times.
_LINE_BEFORE = re.compile(r"(?:버스|지하철|전철|트램|국도|지방도|고속도로)\s?$")
_LINE_AFTER = re.compile(r"(?:을|이(?!면|나|라|상|하)|은|으로|에(?:서)?|과|이?랑|하고|입니다|이에요|이요)(?![0-9])")
_PRESSED = re.compile(r"\s?(?:누르|눌러|눌렀|선택|고르|골라|입력)")
# What stands before one: 채널 7번, 정답은 3번, 2층 5번, 교향곡 9번
_LABELLED = re.compile(
    r"(?:반|채널|노선|등번호|(?<!비밀)(?<!인증)(?<!전화)번호|문제|정답|(?<![가-힣])답)(?:은|는|이)?\s*$|[0-9],\s?$|[0-9]층\s?$|[0-9A-Z가-하]열\s?$|[A-Z0-9]\s?구역\s?$|[0-9]번\s[^\s,]{1,8}(?:\s[^\s,]{1,8})?(?<![고며서만데다요]),\s?$"
    r"|[0-9]번\s$|[0-9]번(?:\s말고|과|와|,|부터|에서|이나|이랑|하고|또는|\s또는|\s혹은|\s아니면|\s및)\s?$"
    r"|(?:교향곡|협주곡|소나타|녹턴|야상곡|왈츠|발라드|연습곡|전주곡|즉흥곡|랩소디|교향시|변주곡|모음곡|작품)\s?(?:제\s?)?$"
    r"|(?:창구|메뉴|문항|보기|타자|자리|테이블|룸|진료실|검사실|게이트|출구|레인|탑승구|승강장|플랫폼)(?:은|는|이|가)?\s?$"
)
# 예약은 1번, 상담은 2번: an answer or an entry of a menu; not 횟수는 2번, 약은 3번.
_TOPIC = re.compile(r"(?:[가-힣A-Za-z](?:은|는)|[시으하되려]면|[:,])\s?$")
_OF_TIMES = re.compile(
    r"(?:횟수|기회|시도|방문|복용|투약|식사|휴식|하루|한\s?달|일주일|오늘|어제|이번|지금까지|최근|평생|경기|우승|수술|통화|실패|(?<![가-힣])약|(?<![가-힣])총|실수|지각|결석|벌써)"
    r"(?:에만|에는|에|은|는)?\s?[:,]?\s?$"
)
# 하루 3번, 월 1번: how often
_PER = re.compile(
    r"(?:하루|매일|매주|매월|매달|매년|한\s?달|일주일|(?<![가-힣])[월주연년일]|[0-9]\s?(?:일|주|개월|년|시간))(?:에)?\s?$"
)
_ENDS = re.compile(r"\s?(?:$|[,.;!?)/]|입니다|이에요|예요|이요|이고|이며|이야)")
# 1번: 예약 / 2번: 취소
_FIRST_IN_A_LIST = re.compile(r"(?:^|[/,·|\n(•-]|[0-9]번\s?[:.)–→-][^0-9]{1,16})\s?$")
_LISTED = re.compile(r"\s?[:.)(–→-](?=\s?[가-힣A-Za-z])")
_ACTED_ON = re.compile(r"(?:을|를|버튼|키|연속|연속으로|연달아|하루|하루에)\s*$")  # 버튼을 두 번 누르세요
# 3장 2절, 1장에서는: 장 is a chapter
_CHAPTER = re.compile(
    r"\s?[0-9]{1,3}절|(?:에서|부터|과)\s?[0-9]{1,3}장|에서는|\.?\s(?:서론|본론|결론|개요|요약|연습)|\s?(?:참고|참조)"
)
# 2막 3장, 요한복음 3장
_OF_A_BOOK = re.compile(
    r"(?:막|[0-9]부|[0-9]편|[0-9]장(?:에서|부터|과|와)|[0-9]권|책의|복음|전서|후서|시편|창세기|챕터)\s?$"
)
# 마늘 3쪽: cloves and slices, not pages
_SLICED = re.compile(r"(?:마늘|생강|대추|사과|배|귤|오렌지|레몬|수박|참외|곶감|피자|빵|케이크|파이|초콜릿)\s*$")
_BEST_OF = re.compile(r"\s?[0-9]\s?선승")  # 오 판 삼선승
_ONE_HOUSE = re.compile(r"\s?(?:[0-9]|다)\s?주택")  # 일 가구 일 주택
# 3개 국어: 삼 개 국어
_LANGUAGES = re.compile(r"\s(?:국어|국|년|언어)")


def name_in(match: re.Match[str]) -> str:
    """Returns the counter in a match of PATTERN; empty if there is none."""
    return match["counter"] or ""


def begins(text: str) -> bool:
    """Whether the text, which comes right after a number, begins with a counter."""
    match = _COUNTER.match(text)
    return match is not None and match["space"] is None


def beginning(text: str) -> str:
    """Returns the counter that the text, which comes right after a number, begins with; empty if there is none."""
    match = _COUNTER.match(text)
    return match["counter"] if match else ""


def counted(number: int, counter: str, before: str = "", after: str = "") -> str:
    """Reads a number and its counter; `before` and `after` are the text around them.

    세 명, 스물한 살, 삼 개월, 유월, 첫 번째. The reading of 대, 분 and 번 depends on the text around them.
    """
    if counter == "월":
        return month(number) if 0 < number < 13 else f"{sino(number)} 월"
    if counter == "번째" and number == 1:
        return "첫 번째"
    if counter in _OLD and number in (3, 4):
        return f"{_OLD[counter][number - 3]} {counter}"
    words = native(number) if takes_native(number, counter, before, after) else sino(number)
    return f"{words} {counter}"


def takes_native(number: int, counter: str, before: str = "", after: str = "") -> bool:
    """Whether the number before this counter is read with native numerals."""
    if counter == "쪽":
        return 0 < number <= _MAX_NATIVE and bool(_SLICED.search(before))  # cloves: 마늘 세 쪽; but a page: 책 삼 쪽
    if number == 0 or counter not in _NATIVE_SET and counter not in _OLD:
        return False
    if counter == "대":
        return _counts_machines(number, before, after)
    if counter == "분":
        people = _PEOPLE.search(before) and not _LASTS.match(after)
        seated = _SEAT.match(after) or (number < 15 and _BOOKED.match(after))
        waiting = _WAITING.search(before) or (seated and not _A_WHILE.search(before))
        return number < 100 and bool(people or waiting)
    if counter == "번" and _is_label(before, after):
        return False
    if counter == "장" and (_CHAPTER.match(after) or _OF_A_BOOK.search(before)):
        return False
    if counter == "판" and _BEST_OF.match(after):
        return False
    if counter == "가구" and _ONE_HOUSE.match(after):
        return False
    if counter == "개" and _LANGUAGES.match(after):
        return False
    maximum = _MAX_OF.get(counter, _MAX_NATIVE)
    return number <= maximum or (
        number > 100 and number % 100 in range(1, 10) and counter in ("명", "개", "마리", "살")
    )


def _is_label(before: str, after: str) -> bool:
    """Whether 번 numbers something (일 번 출구) and does not count times (하루에 세 번)."""
    pressed = _PRESSED.match(after) and not _ACTED_ON.search(before)
    if _PER.search(before):  # 월 1번 결제
        return False
    if pressed or _LABEL.match(after) or _LABELLED.search(before):
        return True
    if _LINE_BEFORE.search(before) and _LINE_AFTER.match(after):
        return True
    if _LISTED.match(after) and _FIRST_IN_A_LIST.search(before):  # 1번: 예약
        return True
    return bool(_ENDS.match(after) and _TOPIC.search(before) and not _OF_TIMES.search(before))


def _counts_machines(number: int, before: str, after: str) -> bool:
    """Whether 대 counts machines (차 세 대), not decades of life (이십 대), terms (십육 대 대통령) or ranks."""
    if _VEHICLES.search(before):
        return number <= _MAX_NATIVE
    if number % 10 == 0 or after.startswith("째") or _TERM.match(after) or _ONE_OF.match(after):
        return False
    return number <= _MAX_NATIVE
