"""Vietnamese names of administrative units: kind, level or text → the words that people read and search by."""

from __future__ import annotations

import unicodedata
from datetime import timedelta, timezone
from typing import Final

#: Asia/Ho_Chi_Minh: UTC+7 without daylight saving since 1975-06-13 (tzdata); the zone of every date in this room.
LOCAL: Final = timezone(timedelta(hours=7), "Asia/Ho_Chi_Minh")

#: kind of a unit → the label before its name (a country and the unknown unit have none).
KIND_LABELS: Final = {
    "quoc_gia": "",
    "tinh": "Tỉnh",
    "thanh_pho": "Thành phố",
    "quan": "Quận",
    "huyen": "Huyện",
    "thi_xa": "Thị xã",
    "thanh_pho_thuoc_tinh": "Thành phố",
    "phuong": "Phường",
    "thi_tran": "Thị trấn",
    "xa": "Xã",
    "dac_khu": "Đặc khu",
    "chua_xac_dinh": "",
}

#: level → label. Districts ended with the reform of 2025-07-01 and stay visible for the time before.
LEVEL_LABELS: Final = {
    "trung_uong": "trung ương",
    "tinh": "cấp tỉnh",
    "huyen": "cấp huyện (đến 30/06/2025)",
    "xa": "cấp xã",
    "unknown": "chưa xác định",
}

#: Letters that NFD does not take apart, and two that only look like Đ (U+00D0 lowercases to ð, not to đ).
_STROKES: Final = str.maketrans({"đ": "d", "Đ": "d", "ð": "d", "Ð": "d", "Ɖ": "d", "ɖ": "d"})


def label(kind: str, name: str) -> str:
    """Full name: "Xã Minh Quang", "Tỉnh Tuyên Quang", "Việt Nam"."""
    return f"{KIND_LABELS[kind]} {name}".lstrip()


def fold(text: str) -> str:
    """Search form of a text: no marks, lower case, single spaces; "Hoà Bình", "Hòa  Bình" and "hoa binh" are one.

    For search only. Never for account names, paths or hashes: a folded collision would hide an impersonation.
    """
    bare = "".join(c for c in unicodedata.normalize("NFD", text.translate(_STROKES)) if not unicodedata.combining(c))
    return " ".join(bare.lower().split())
