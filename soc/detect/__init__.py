"""Sigma: rules and events in, detections out.

`load_rules` reads rules, correlations and filters, and says what it refused; `RuleSet.match` evaluates all of them over
a batch of events. What every construct means stands, case by case, in tests/corpus/sigma; correlation in
`soc.detect.correlate`.
"""

from soc.detect.correlation import Correlation
from soc.detect.explain import Explained
from soc.detect.rule import Rule
from soc.detect.ruleset import RuleSet, load_rules
from soc.event import Detection, LogSource, Matched

__all__ = ["Correlation", "Detection", "Explained", "LogSource", "Matched", "Rule", "RuleSet", "load_rules"]
