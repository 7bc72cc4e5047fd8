"""Conditions that no query of the server expresses → Painless scripts over a field's values.

They see the values of one field of one document, as texts. Documents with letters that Java and Unicode see apart never
depend on them (soc.index.odd).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from sys import float_info
from typing import Any, Final

from soc.store.elasticsearch.dsl import Dsl

_EACH: Final = (
    "if (!doc.containsKey(params.f)) { return false } "
    "for (def v : doc[params.f]) { String s = v.toString(); if (fits(s, params)) { return true } } return false"
)

#: Parts of a pattern: a character's number, -1 for any characters, -2 for one. As `evaluate.fits`.
_WILD: Final = """
boolean fits(String given, Map params) {
  List p = (List) params.p; String s = given.toLowerCase();
  int at = 0; int i = 0; int star = -1; int back = 0; int n = s.length();
  while (at < n) {
    int c = s.codePointAt(at); int width = Character.charCount(c);
    int want = i < p.size() ? (int) p.get(i) : -3;
    if (want == -2 || want == c) { i += 1; at += width }
    else if (want == -1) { star = i; back = at; i += 1 }
    else if (star >= 0) { back += Character.charCount(s.codePointAt(back)); i = star + 1; at = back }
    else { return false }
  }
  while (i < p.size()) { if ((int) p.get(i) != -1) { return false } i += 1 }
  return true
}
"""

#: Numbers as `values.number_of` reads them: whole ones compared exactly, others as floating-point numbers.
_NUMBER: Final = r"""
boolean fits(String s, Map params) {
  if (!(s ==~ /-?[0-9]{1,4000}(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?/)) { return false }
  boolean whole = s ==~ /-?[0-9]+/;
  double d = whole ? 0.0 : Double.parseDouble(s);
  if (Double.isInfinite(d)) { return false }
  BigDecimal n = whole ? new BigDecimal(s) : null;
  if (params.low != null) {
    int c = whole ? n.compareTo(new BigDecimal((String) params.low[0])) : Double.compare(d, (double) params.low[1]);
    if (c < 0 || (c == 0 && !params.with_low)) { return false }
  }
  if (params.high != null) {
    int c = whole ? n.compareTo(new BigDecimal((String) params.high[0])) : Double.compare(d, (double) params.high[1]);
    if (c > 0 || (c == 0 && !params.with_high)) { return false }
  }
  return true
}
"""

_TEXT: Final = """
int order(String a, String b) {
  int i = 0;
  while (i < a.length() && i < b.length()) {
    int x = a.codePointAt(i); int y = b.codePointAt(i);
    if (x != y) { return x < y ? -1 : 1 }
    i += Character.charCount(x)
  }
  return a.length() - b.length()
}
boolean fits(String given, Map params) {
  String s = given.toLowerCase();
  if (params.low != null) {
    int c = order(s, (String) params.low);
    if (c < 0 || (c == 0 && !params.with_low)) { return false }
  }
  if (params.high != null) {
    int c = order(s, (String) params.high);
    if (c > 0 || (c == 0 && !params.with_high)) { return false }
  }
  return true
}
"""

#: Dotted IPv4 addresses as numbers, within [first, last].
_IPV4: Final = """
boolean fits(String s, Map params) {
  if (s.length() > 15) { return false }
  long n = 0; int digits = 0; int part = 0; int dots = 0;
  for (int i = 0; i <= s.length(); i++) {
    char c = i < s.length() ? s.charAt(i) : (char) '.';
    if (c == (char) '.') {
      if (digits == 0 || part > 255) { return false }
      n = n * 256 + part; dots += 1; digits = 0; part = 0
    } else if (c >= (char) '0' && c <= (char) '9') {
      if (digits > 0 && part == 0 || digits == 3) { return false }
      part = part * 10 + (c - (char) '0'); digits += 1
    } else { return false }
  }
  return dots == 4 && n >= params.first && n <= params.last
}
"""


def _script(name: str, source: str, params: dict[str, Any]) -> Dsl:
    return {"script": {"script": {"source": f"{source}{_EACH}", "params": {"f": name, **params}}}}


def wild(name: str, parts: Sequence[str | None]) -> Dsl:
    """A value fits the pattern of a `tree.Wild`."""
    codes: list[int] = []
    for part in parts:
        codes += [-1] if part is None else [-2] if part == "" else [ord(char) for char in part]
    return _script(name, _WILD, {"p": codes})


def number(name: str, low: int | float | None, high: int | float | None, with_low: bool, with_high: bool) -> Dsl:
    """A value is a number between the bounds."""
    bounds = {"low": _exact(low), "high": _exact(high), "with_low": with_low, "with_high": with_high}
    return _script(name, _NUMBER, bounds)


def _exact(number: int | float | None) -> tuple[str, float] | None:
    """Its decimal digits, and the floating-point number nearest to it that JSON can say."""
    if number is None:
        return None
    try:
        return format(Decimal(number), "f"), float(number)
    except OverflowError:
        return str(number), float_info.max if number > 0 else -float_info.max


def text(name: str, low: str | None, high: str | None, with_low: bool, with_high: bool) -> Dsl:
    """A value lies between the bounds in the order of keywords."""
    return _script(name, _TEXT, {"low": low, "high": high, "with_low": with_low, "with_high": with_high})


def ipv4(name: str, first: int, last: int) -> Dsl:
    """A value is an IPv4 address between two."""
    return _script(name, _IPV4, {"first": first, "last": last})
