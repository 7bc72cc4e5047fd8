"""What settings are made of: sections, and texts that are checked as durations, addresses, links, expressions."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

import re2
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from soc.alert.policy import duration


def _duration(value: object) -> object:
    if isinstance(value, str) and value.startswith("P"):  # ISO 8601, as dumped
        return value
    return value if isinstance(value, timedelta) else duration(str(value))


def _listen(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError(f"{value!r} is no address; write 127.0.0.1:5514, or [::1]:5514")
    return value


def _regex(value: str) -> str:
    try:
        re2.compile(value)
    except re2.error as wrong:
        raise ValueError(f"{value!r} is no regular expression (RE2): {wrong}") from None
    return value


def _url(value: str) -> str:
    found = urlsplit(value)
    if found.scheme not in {"http", "https"} or not found.hostname or found.username or found.password:
        raise ValueError(f"{value!r} is no address; write https://search.example:9200 (user and password apart)")
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Address = Annotated[str, AfterValidator(_listen)]
Regex = Annotated[str, AfterValidator(_regex)]
Url = Annotated[str, AfterValidator(_url)]


class Section(BaseModel):
    """A mapping of the configuration: unknown keys are errors, values are not changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)
