"""Sentences an analyst reads: matched predicates and counts in, Vietnamese (or English) text out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Final

from soc.event import Detection, Matched, text_of

#: Vietnam has had one zone without daylight saving since 1976 (tzdata, Asia/Ho_Chi_Minh).
VIETNAM: Final = timezone(timedelta(hours=7), "Asia/Ho_Chi_Minh")

LEVELS_VI: Final = {
    "critical": "nghiêm trọng",
    "high": "cao",
    "medium": "trung bình",
    "low": "thấp",
    "informational": "thông tin",
}

CRITICALITY_VI: Final = {"critical": "trọng yếu", "high": "quan trọng", "medium": "trung bình", "low": "thấp"}

STATUS_VI: Final = {"open": "mới", "acknowledged": "đã tiếp nhận", "closed": "đã đóng"}

VERDICTS_VI: Final = {
    "true_positive": "cảnh báo đúng",
    "false_positive": "cảnh báo nhầm",
    "benign_positive": "đúng nhưng vô hại",
    "duplicate": "trùng lặp",
    "other": "khác",
}

#: Sigma's modifier word → how the sentence goes on after the field's name.
OPERATORS: Final[dict[str, dict[str, str]]] = {
    "vi": {
        "equals": "là",
        "contains": "chứa",
        "startswith": "bắt đầu bằng",
        "endswith": "kết thúc bằng",
        "re": "khớp mẫu",
        "cidr": "thuộc mạng",
        "gt": "lớn hơn",
        "gte": "từ",
        "lt": "nhỏ hơn",
        "lte": "không quá",
        "exists": "có mặt:",
        "fieldref": "bằng trường",
        "keywords": "có từ khóa",
        "neq": "khác",
    },
    "en": {
        "equals": "is",
        "contains": "contains",
        "startswith": "starts with",
        "endswith": "ends with",
        "re": "matches",
        "cidr": "is in",
        "gt": "is above",
        "gte": "is at least",
        "lt": "is below",
        "lte": "is at most",
        "exists": "exists:",
        "fieldref": "equals the field",
        "keywords": "has the keyword",
        "neq": "is not",
    },
}

_MAX_REASON: Final = 1000  # Kibana reads keywords up to ignore_above 1024 (workflows 1.2)
_MAX_VALUE: Final = 120


def quoted(value: str, limit: int = _MAX_VALUE) -> str:
    """The value in quotes, on one line, shortened in the middle where it is long."""
    line = " ".join(value.split()) if any(c in value for c in "\r\n\t") else value
    if len(line) > limit:
        line = f"{line[: limit - 20]}…{line[-18:]}"
    return f"'{line}'"


def predicate(matched: Matched, lang: str = "vi") -> str:
    """CommandLine chứa ' -enc ' (giá trị: 'powershell -enc SQBF…')."""
    word = OPERATORS[lang].get(matched.op, matched.op)
    subject = f"{matched.field} {word}" if matched.field else word
    said = f"{subject} {quoted(matched.pattern)}"
    if matched.actual and matched.actual.casefold() != matched.pattern.casefold() and matched.op not in {"exists"}:
        value = "giá trị" if lang == "vi" else "value"
        said += f" ({value}: {quoted(matched.actual)})"
    return said


#: What a correlation measured → how the sentence says it; {field} is what was measured, {actual} the result.
MEASURES: Final[dict[str, dict[str, str]]] = {
    "vi": {
        "value_count": "{actual} giá trị khác nhau của {field}",
        "value_sum": "tổng {field} là {actual}",
        "value_avg": "trung bình {field} là {actual}",
        "value_percentile": "phân vị của {field} là {actual}",
        "value_median": "trung vị {field} là {actual}",
        "temporal": "cùng có: {actual}",
        "temporal_ordered": "lần lượt có: {actual}",
    },
    "en": {
        "value_count": "{actual} different values of {field}",
        "value_sum": "the sum of {field} is {actual}",
        "value_avg": "the mean of {field} is {actual}",
        "value_percentile": "the percentile of {field} is {actual}",
        "value_median": "the median of {field} is {actual}",
        "temporal": "together: {actual}",
        "temporal_ordered": "one after the other: {actual}",
    },
}


def measure(matched: Matched, lang: str = "vi") -> str:
    """12 giá trị khác nhau của user.name; "" for a plain count, which the sentence has already."""
    form = MEASURES[lang].get(matched.op, "")
    return form.format(field=matched.field, actual=matched.actual)


def span(first: datetime, last: datetime, lang: str = "vi") -> str:
    """How long between two times, in words: 40 giây, 5 phút, 2 giờ 10 phút."""
    seconds = int((last - first).total_seconds())
    names = ("giây", "phút", "giờ", "ngày") if lang == "vi" else ("s", "min", "h", "d")
    if seconds < 60:
        return f"{seconds} {names[0]}"
    minutes, hours = seconds // 60, seconds // 3600
    if minutes < 60:
        return f"{minutes} {names[1]}"
    if hours < 24:
        rest = minutes - hours * 60
        return f"{hours} {names[2]}" + (f" {rest} {names[1]}" if rest else "")
    return f"{hours // 24} {names[3]}" + (f" {hours % 24} {names[2]}" if hours % 24 else "")


def moment(at: datetime) -> str:
    """dd/mm/yyyy HH:MM:SS in Vietnam's time."""
    return f"{at.astimezone(VIETNAM):%d/%m/%Y %H:%M:%S}"


def group_text(group: Mapping[str, str]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in group.items())


def reason(detection: Detection, count: int, first: datetime, last: datetime, lang: str = "vi") -> str:
    """Why it fired, in one sentence of at most 1,000 characters."""
    parts: Sequence[str]
    if detection.kind == "correlation":
        what = group_text(detection.group)
        if lang == "vi":
            head = f"{count} sự kiện trong {span(first, last)}" + (f" với {what}" if what else "")
        else:
            head = f"{count} events in {span(first, last, 'en')}" + (f" with {what}" if what else "")
        parts = [head, *(said for m in detection.matched if (said := measure(m, lang)))]
    else:
        parts = [predicate(m, lang) for m in detection.matched]
        if not parts:
            parts = [
                "mọi điều kiện phủ định của luật đều thỏa mãn"
                if lang == "vi"
                else "every negated condition of the rule holds"
            ]
        if count > 1:
            parts = [
                *parts,
                f"lặp lại {count} lần trong {span(first, last)}"
                if lang == "vi"
                else f"{count} times in {span(first, last, 'en')}",
            ]
    text = "; ".join(parts)
    return text if len(text) <= _MAX_REASON else text[: _MAX_REASON - 1] + "…"


def headline(title: str, where: str, unit: str, why: str, lang: str = "vi") -> str:
    """message: <rule> trên <host> (<unit>): <why>."""
    on = "trên" if lang == "vi" else "on"
    place = f" {on} {where}" if where else ""
    return f"{title}{place}" + (f" ({unit})" if unit else "") + f": {why}"


def shown(value: object) -> str:
    """A field's value as a table shows it."""
    return text_of(value).replace("\n", " ")
