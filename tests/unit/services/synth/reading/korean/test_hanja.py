"""Hanja in Korean text: the table against known words, 두음법칙, brackets, and what stays for other engines."""

import pytest

from services.synth.reading import EditedText, read_out
from services.synth.reading.korean import hanja

pytestmark = pytest.mark.unit

# Words of dictionaries, from all parts of the table.
WORDS = """
    家庭 가정 各自 각자 簡單 간단 感謝 감사 強調 강조 開始 개시 客觀 객관 健康 건강 檢査 검사 結果 결과 經濟 경제
    計劃 계획 古代 고대 空氣 공기 科學 과학 觀光 관광 光州 광주 交通 교통 國民 국민 軍隊 군대 權利 권리 規律 규율
    極東 극동 近代 근대 金額 금액 資金 자금 期間 기간 緊急 긴급 洛東江 낙동강 樂園 낙원 亂世 난세 南北 남북 內容 내용
    冷房 냉방 女性 여성 男女 남녀 年度 연도 新年 신년 念願 염원 老人 노인 路線 노선 綠色 녹색 論文 논문 農業 농업
    雷雨 뇌우 累積 누적 能力 능력 多數 다수 團體 단체 談話 담화 大學 대학 道路 도로 獨立 독립 東京 동경 登錄 등록
    羅州 나주 落葉 낙엽 來年 내년 兩國 양국 良心 양심 旅行 여행 歷史 역사 鍊習 연습 列車 열차 禮節 예절 料金 요금
    龍宮 용궁 流行 유행 陸軍 육군 輪廻 윤회 律法 율법 隆起 융기 李朝 이조 理由 이유 隣近 인근 臨時 임시 立法 입법
    馬車 마차 萬歲 만세 每日 매일 命令 명령 母親 모친 無料 무료 文化 문화 未來 미래 民主 민주 博物館 박물관 反對 반대
    發展 발전 方法 방법 百姓 백성 番號 번호 法律 법률 變化 변화 病院 병원 報告 보고 福祉 복지 部分 부분 北韓 북한
    不便 불편 不足 부족 不動産 부동산 祕密 비밀 貧困 빈곤 社會 사회 産業 산업 三國 삼국 相對 상대 色彩 색채 生活 생활
    書類 서류 先生 선생 說明 설명 成功率 성공률 世界 세계 少年 소년 速度 속도 孫子 손자 送金 송금 水曜日 수요일
    宿題 숙제 順序 순서 承認 승인 時間 시간 食堂 식당 信用 신용 失敗 실패 心臟 심장 雙方 쌍방 兒童 아동 安全 안전
    愛情 애정 藥局 약국 陽曆 양력 漁夫 어부 言語 언어 嚴格 엄격 餘裕 여유 研究 연구 熱心 열심 英語 영어 藝術 예술
    午前 오전 溫度 온도 完全 완전 外國 외국 要求 요구 龍山 용산 優秀 우수 運動 운동 元來 원래 位置 위치 有名 유명
    銀行 은행 音樂 음악 醫師 의사 二次 이차 利益 이익 人間 인간 日本 일본 入口 입구 子女 자녀 作品 작품 雜誌 잡지
    長官 장관 財産 재산 貯蓄 저축 適用 적용 電話 전화 節約 절약 點心 점심 接受 접수 情報 정보 第一 제일 朝鮮 조선
    種類 종류 左右 좌우 主人 주인 中國 중국 證明 증명 地下鐵 지하철 職業 직업 眞實 진실 質問 질문 集中 집중 次例 차례
    着手 착수 贊成 찬성 參加 참가 窓口 창구 責任 책임 處理 처리 千年 천년 鐵道 철도 靑年 청년 體育 체육 初期 초기
    村落 촌락 總額 총액 最高 최고 秋夕 추석 春節 춘절 出發 출발 忠告 충고 取消 취소 測定 측정 親舊 친구 七月 칠월
    打者 타자 卓球 탁구 炭素 탄소 太陽 태양 土曜日 토요일 統一 통일 投票 투표 特別 특별 波濤 파도 判決 판결 八月 팔월
    敗北 패배 平和 평화 廢止 폐지 包裝 포장 爆發 폭발 表現 표현 品質 품질 風景 풍경 必要 필요 學校 학교 韓國 한국
    合計 합계 海外 해외 行動 행동 許可 허가 憲法 헌법 現金 현금 血液 혈액 協力 협력 形態 형태 護士 호사 混亂 혼란
    火災 화재 確認 확인 環境 환경 會社 회사 效果 효과 訓練 훈련 休日 휴일 黑白 흑백 興味 흥미 希望 희망 比率 비율
    確率 확률 百分率 백분율 統率 통솔 系列 계열 行列 행렬 先烈 선열 六月 유월 十月 시월 自轉車 자전거 自動車 자동차
    娛樂 오락 復活 부활 更新 갱신 貿易 무역 容易 용이 相殺 상쇄 降伏 항복 憎惡 증오 住宅 주택 宅配 택배 綠茶 녹차
    茶房 다방 大韓民國 대한민국 國際聯合 국제연합 男女老少 남녀노소 大統領室 대통령실 喜怒哀樂 희로애락 李舜臣 이순신
    金大中 김대중 盧武鉉 노무현 文在寅 문재인 朴槿惠 박근혜 尹錫悅 윤석열 柳寬順 유관순 安重根 안중근 金浦 김포
    金融 금융 金融業 금융업 金曜日 금요일 漢拏山 한라산 智異山 지리산 許諾 허락 困難 곤란 寧越 영월 安寧 안녕
""".split()
PAIRS = list(zip(WORDS[::2], WORDS[1::2], strict=True))


@pytest.mark.parametrize(("word", "spoken"), PAIRS, ids=[word for word, _ in PAIRS])
def test_a_word_has_the_reading_of_a_dictionary(word: str, spoken: str) -> None:
    assert hanja.reading(word) == spoken


def test_every_hanja_of_the_standard_has_a_syllable() -> None:
    codes = bytes(byte for row in range(0xCA, 0xFE) for cell in range(0xA1, 0xFF) for byte in (row, cell))
    of_the_standard = [char for char in codes.decode("euc_kr") if not "\uf900" <= char <= "\ufaff"]
    assert len(of_the_standard) == 4888 - 268  # 268 stand there once more with another reading
    for char in of_the_standard:
        said = hanja.reading(char, "가")
        assert said is not None and len(said) == 1 and "가" <= said <= "힣", char


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("女 선수", "여 선수"),
        ("2024年 3月에", "이천이십사 년 삼월에"),
        ("신年 인사", "신년 인사"),  # not the begin of a word
        ("한국(韓國)이", "한국이"),
        ("한국 (韓國)이", "한국이"),
        ("도쿄(東京)에서", "도쿄에서"),
        ("韓國(한국)이", "한국이"),
        ("北京(베이징)에서", "베이징에서"),
        ("(株)대한", "주식회사 대한"),
        ("삼성(株)는", "삼성 주식회사는"),
        ("金 대표", "김 대표"),
        ("金메달 3개", "금메달 세 개"),
        ("金값이", "금값이"),
        ("美(대선)", "미(대선)"),  # not the same word
        ("15일(月)은", "십오 일 월요일은"),
        ("5/3(金)에", "오월 삼 일 금요일에"),
        ("홍길동(男)", "홍길동(남)"),
        ("日·美가", "일 미가"),
        # another language, and a hanja outside of the table, stay for the engine
        ("일본어로 日本の", "일본어로 日本の"),
        ("중국어로 你好", "중국어로 你好"),
    ],
)
def test_a_korean_sentence_says_hanja_once(written: str, spoken: str) -> None:
    said = read_out(written, "ko-KR")
    assert said.replace(" ", "") == spoken.replace(" ", "")


@pytest.mark.parametrize("written", ["日本語です", "我们的中国", "大韓民國", "北京 2008"])
def test_a_sentence_without_hangul_stays_as_it_is(written: str) -> None:
    for language in ("ko-KR", "ja-JP", "zh-CN"):
        assert read_out(written, language) == written


def test_the_words_map_back_to_the_hanja() -> None:
    text = hanja.in_hangul(EditedText("前 대표, 韓國(한국)의 女子"))
    assert text.text == "전 대표, 한국의 여자"
    at = text.text.index("여자")
    assert text.back(at, at + 2) == (14, 16)
    at = text.text.index("한국")
    first, end = text.back(at, at + 2)
    assert "韓國(한국)의"[3:5] == "한국" and (first, end) == (9, 11)
