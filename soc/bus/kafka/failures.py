"""What kafka-python and the network raise → TransportError with a sentence that tells the operator what to do."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from kafka import errors

from soc.bus.kafka.access import REQUEST_S, Cluster
from soc.event import TransportError

#: What comes out of kafka-python beside its own errors: sockets, clients closed or crashed under a call (its event
#: loop hands on whatever ended it), answers that cannot be decoded.
UNEXPECTED: Final = (
    OSError,
    RuntimeError,
    ValueError,
    AssertionError,
    LookupError,
    AttributeError,
    TypeError,
    struct.error,
)
FAILURES: Final = (errors.KafkaError, *UNEXPECTED)


@contextmanager
def failures(cluster: Cluster, what: str, topic: str = "", group: str = "") -> Iterator[None]:
    """`what` was being done, such as "reading soc.raw"; topic and group by the names that the cluster knows."""
    try:
        yield
    except FAILURES as wrong:
        raise TransportError(f"{what}: {sentence(wrong, cluster, topic, group)}") from wrong


def sentence(wrong: BaseException, cluster: Cluster, topic: str = "", group: str = "") -> str:
    """What has happened and what to do about it."""
    user = cluster.access.user
    table = "deploy/kafka/acls.yaml grants such rights"
    match wrong:
        case errors.TopicAuthorizationFailedError():
            return f"user {user!r} may not do that with topic {topic or _texts(wrong)}; {table}"
        case errors.GroupAuthorizationFailedError():
            return f"user {user!r} may not use group {group or _texts(wrong)}; {table}"
        case errors.AuthorizationError():
            return f"user {user!r} may not do that on the cluster; {table}"
        case errors.SaslAuthenticationFailedError() | errors.UnsupportedSaslMechanismError():
            return (
                f"Kafka at {cluster} refuses user {user!r} ({wrong}): see its password (bus.password_file) and "
                f"bus.mechanism {cluster.access.mechanism}"
            )
        case errors.UnknownTopicOrPartitionError() | errors.InvalidTopicError():
            return missing(topic)
        case errors.InvalidSessionTimeoutError():
            return (
                "the brokers do not allow this bus.session_timeout_s; their group.min.session.timeout.ms and "
                "group.max.session.timeout.ms say what they do"
            )
        case errors.InconsistentGroupProtocolError():
            return f"group {group} is used by another kind of consumer; end that one, or set bus.prefix"
        case errors.UnsupportedCodecError():
            return (
                f"topic {topic} holds records compressed in a way that this machine cannot read ({wrong}): set "
                "compression.type=zstd on it (soc topics apply), and install the Python package lz4 or "
                "python-snappy for the records that are there"
            )
        case errors.CorruptRecordError():
            return f"a record of {topic} is damaged on the broker's disk ({wrong}): see the broker's log"
        case errors.NotEnoughReplicasError() | errors.NotEnoughReplicasAfterAppendError():
            return f"fewer brokers hold {topic} than its min.insync.replicas asks for: see which broker is down"
        case errors.KafkaStorageError():
            return "a broker cannot write to its disk: see the broker's log"
        case errors.RetriableError() | OSError():
            return f"Kafka at {cluster} does not answer ({_said(wrong)}): see that its brokers run and can be reached"
        case errors.KafkaError():
            return f"Kafka at {cluster} refuses that ({_said(wrong)}): see the broker's log"
    return f"the client of Kafka at {cluster} has failed ({type(wrong).__name__}: {wrong}); it is opened anew"


def missing(topic: str) -> str:
    """A topic that is not there; Kafka says the same of one that the user may not see."""
    return f"topic {topic} does not exist, or this user may not see it: `soc topics apply` creates the topics"


def silent(cluster: Cluster, seconds: float = REQUEST_S) -> str:
    """No answer for a while, and no error that would say why."""
    return f"Kafka at {cluster} has not answered for {seconds:.0f} s: see that its brokers run and can be reached"


def _said(wrong: BaseException) -> str:
    """kafka-python's own words; it often has none beside the name."""
    return str(wrong) if any(wrong.args) else type(wrong).__name__


def _texts(wrong: BaseException) -> str:
    return " ".join(map(str, wrong.args)) or "?"
