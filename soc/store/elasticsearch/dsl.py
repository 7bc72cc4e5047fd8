"""Small parts of Elasticsearch's query language, joined and simplified."""

from __future__ import annotations

from typing import Any, Final

Dsl = dict[str, Any]

ALL: Final[Dsl] = {"match_all": {}}
NONE: Final[Dsl] = {"match_none": {}}


def all_of(*parts: Dsl) -> Dsl:
    """Documents that meet every part."""
    some = [part for part in parts if part != ALL]
    if NONE in some:
        return NONE
    if len(some) == 1:
        return some[0]
    return {"bool": {"filter": some}} if some else ALL


def any_of(*parts: Dsl) -> Dsl:
    """Documents that meet at least one part."""
    some: list[Dsl] = []
    for part in parts:
        if part not in some and part != NONE:
            some.append(part)
    if ALL in some:
        return ALL
    if len(some) == 1:
        return some[0]
    return {"bool": {"should": some, "minimum_should_match": 1}} if some else NONE


def none_of(part: Dsl) -> Dsl:
    """Documents that do not meet it."""
    if part == NONE:
        return ALL
    return NONE if part == ALL else {"bool": {"must_not": [part]}}
