"""pySigma's Lucene conversion, made to mean on our indices what the rule means: a pySigma rule in, the query out.

Equal to `sigma convert -t lucene` but for what would fail or silently find something else there: regular expressions
(Lucene's own dialect), networks asked of fields that are kept as text, keywords, brackets in field names.
What cannot be said is a SigmaError, too where pySigma would write a query that means something else.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, Final

from sigma.backends.elasticsearch.elasticsearch_lucene import LuceneBackend
from sigma.exceptions import SigmaFeatureNotSupportedByBackendError
from sigma.processing.pipeline import ProcessingPipeline
from sigma.types import SigmaNumber, SigmaRegularExpression, SigmaString, SigmaTimestampPart, SpecialChars

from soc.author.lucene_network import network
from soc.author.lucene_regex import lucene

#: Field name → its type in the index, in the words of soc.author.kinds.
Kind = Callable[[str], str]

_FLAGS: Final = SigmaRegularExpression.sigma_to_re_flag
_DATES: Final = "parts of dates (hour, week, …) cannot be asked for"
#: As the analyzer of our text fields takes them: letters and digits.
_WORD: Final = re.compile(r"[^\W_]+")
_NUMBERS: Final = ("long", "float", "double")


class Lucene(LuceneBackend):
    """One conversion; pySigma's backends keep state, so make one for each thread."""

    field_escape_pattern: ClassVar[re.Pattern[str]] = re.compile(r'[\s*?():"/\\\[\]{}^~!+&|<>=]')

    #: What parts the words of a query beside the blank, too (Lucene's QueryParser.jj, <_WHITESPACE>).
    add_escaped: ClassVar[str] = LuceneBackend.add_escaped + "\t\n\r\u3000"

    def __init__(self, pipeline: ProcessingPipeline, kind: Kind) -> None:
        super().__init__(pipeline)
        self.kind = kind

    def convert_condition_field_eq_val_re(self, cond: Any, state: Any) -> str:
        if self.kind(cond.field) not in ("keyword", "exact", ""):
            raise _cannot(f"{cond.field} is kept as {self.kind(cond.field)}, where no regular expression can look")
        return f"{self.escape_and_quote_field(cond.field)}:/{_regex(cond.value)}/"

    def convert_condition_val_str(self, cond: Any, state: Any) -> str:
        """Our indices know words: `dpapi::masterkey` looked for as one term would find nothing."""
        words = list(dict.fromkeys(_words(cond.value.s)))
        if not words:
            raise _cannot(f"the keyword {str(cond.value)!r} holds no word that could be looked for")
        return words[0] if len(words) == 1 else f"({' AND '.join(words)})"

    def convert_condition_val_re(self, cond: Any, state: Any) -> str:
        return f"/{_regex(cond.value)}/"

    def convert_condition_val_num(self, cond: Any, state: Any) -> str:
        return f"*{cond.value}*"  # a keyword is looked for within values, a number, too

    def convert_condition_field_eq_val_cidr(self, cond: Any, state: Any) -> str:
        if self.kind(cond.field) == "ip":
            return str(super().convert_condition_field_eq_val_cidr(cond, state))
        return f"{self.escape_and_quote_field(cond.field)}:/{network(cond.value.network)}/"

    def convert_condition_field_eq_val_str_case_sensitive(self, cond: Any, state: Any) -> str:
        raise _cannot("`cased`: letter case does not count in a search")

    def convert_condition_field_eq_val_timestamp_part(self, cond: Any, state: Any) -> str:
        raise _cannot(_DATES)

    def convert_condition_field_compare_op_val(self, cond: Any, state: Any) -> str:
        if isinstance(cond.value.number, SigmaTimestampPart):
            raise _cannot(_DATES)
        if self.kind(cond.field) not in _NUMBERS:
            raise _cannot(f"{cond.field} is kept as {self.kind(cond.field)}, which is not compared as a number")
        return str(super().convert_condition_field_compare_op_val(cond, state))

    def convert_condition_field_eq_val_str(self, cond: Any, state: Any) -> str:
        self.check(cond)
        return str(super().convert_condition_field_eq_val_str(cond, state))

    def convert_condition_field_eq_val_num(self, cond: Any, state: Any) -> str:
        self.check(cond)
        return str(super().convert_condition_field_eq_val_num(cond, state))

    def convert_condition_as_in_expression(self, cond: Any, state: Any) -> str:
        for one in cond.args:
            self.check(one)
        return str(super().convert_condition_as_in_expression(cond, state))

    def convert_value_str(self, s: SigmaString, state: Any) -> str:
        """In quotes are terms that begin with `<` or `>` (to the server a range, escaped or not), and its operators."""
        if s.contains_special() or not (str(s) in ("AND", "OR", "NOT") or str(s)[:1] in ("<", ">")):
            return str(super().convert_value_str(s, state))
        inner = s.convert(self.escape_char, self.wildcard_multi, self.wildcard_single, '"\\', self.filter_chars)
        return f'"{inner}"'

    def check(self, cond: Any) -> None:
        """Raises where the server would refuse the whole query for the field's type."""
        kind = self.kind(cond.field)
        value = cond.value
        if kind not in ("ip", "date", "boolean", *_NUMBERS) or (
            isinstance(value, SigmaString) and list(value.s) == [SpecialChars.WILDCARD_MULTI]
        ):
            return
        if isinstance(value, SigmaString) and value.contains_special():
            raise _cannot(f"{cond.field} is kept as {kind}, where a part of it cannot be looked for")
        if not _is(kind, str(value)) and not (kind in _NUMBERS and isinstance(value, SigmaNumber)):
            raise _cannot(f"{cond.field} is kept as {kind}, and {str(value)!r} is none")


def _is(kind: str, text: str) -> bool:
    try:
        if kind == "ip":
            ipaddress.ip_network(text)
        elif kind in _NUMBERS:
            float(text)
    except ValueError:
        return False
    return True


def _words(parts: Iterable[Any]) -> Iterator[str]:
    """The words of a keyword, open at an end where it may go on: `foo::b*r` → `*foo`, `b*`, `*r*`."""
    for part in parts:
        if isinstance(part, str):
            for found in _WORD.finditer(part):
                before = "*" if found.start() == 0 else ""
                after = "*" if found.end() == len(part) else ""
                yield f"{before}{found[0].lower()}{after}"


def _regex(expression: SigmaRegularExpression) -> str:
    try:
        return lucene(str(expression.regexp), "".join(_FLAGS[flag] for flag in expression.flags))
    except ValueError as wrong:
        raise _cannot(f"the regular expression cannot be said in Lucene's language: {wrong}") from None


def _cannot(why: str) -> SigmaFeatureNotSupportedByBackendError:
    return SigmaFeatureNotSupportedByBackendError(why)
