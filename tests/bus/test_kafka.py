"""What the Kafka bus does without a server: its table of topics, its sentences, sizes, times and names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import errors
from kafka.record.default_records import DefaultRecordBatchBuilder

from soc.bus.base import RAW, REJECTED, TOPICS, Message
from soc.bus.kafka.access import Cluster, KafkaAccess
from soc.bus.kafka.failures import FAILURES, failures, sentence
from soc.bus.kafka.limits import _BATCH, _ZSTD_SHARE, size
from soc.bus.kafka.member import _instance
from soc.bus.kafka.offsets import from_milliseconds, milliseconds
from soc.bus.kafka.refusal import refused
from soc.bus.kafka.topics_table import load_topics
from soc.event import ContentErrors, TransportError

PLAIN = Cluster(["kafka.example:9092"])

messages = st.builds(
    Message,
    st.binary(max_size=300),
    st.binary(max_size=20_000),
    st.dictionaries(st.text(max_size=40), st.binary(max_size=200), max_size=20),
)


# ---------------------------------------------------------------- the table


def mistakes(tmp_path: Path, text: str) -> str:
    path = tmp_path / "topics.yaml"
    path.write_text(text)
    with pytest.raises(ContentErrors) as wrong:
        load_topics(path)
    return str(wrong.value).replace(f"{path}:", "")


def test_the_shipped_table_holds_every_topic_and_what_raw_refuses_fits_whole_into_rejected(root: Path) -> None:
    table = {spec.name: spec for spec in load_topics(root / "deploy" / "kafka" / "topics.yaml")}
    assert set(table) == set(TOPICS)
    for spec in table.values():
        assert spec.settings["compression.type"] == "zstd"
        assert spec.settings["message.timestamp.type"] == "LogAppendTime"
        assert int(spec.settings["retention.ms"]) >= timedelta(days=7) / timedelta(milliseconds=1)
        assert int(spec.settings["min.insync.replicas"]) <= spec.factor
    limits = {name: int(spec.settings["max.message.bytes"]) for name, spec in table.items()}
    assert limits[REJECTED] >= 2 * limits[RAW]
    assert limits[RAW] > 1_000_000 + 100_000  # a record as collectors cut it, and its headers


def test_every_mistake_is_named_with_its_line_and_the_nearest_right_word(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        """\
replication: {factor: 1, min.insync.replicas: 2}
setings: {}
topics:
  soc.raw: {partitions: 0, retention.sm: 1, preallocate: [1]}
  soc.detection: {partitions: 6}
  soc.rejected: 3
""",
    ).splitlines()
    assert found == [
        "1: min.insync.replicas 2 is more than the 1 replicas",
        "2: unknown key 'setings'; did you mean 'settings'?",
        "4: soc.raw: partitions is 0; expected a whole number from 1 to 10000",
        "4: unknown setting 'retention.sm'; did you mean 'retention.ms'?",
        "4: preallocate: expected one value",
        "4: topic soc.detections is missing: the pipeline writes to it",
        "4: topic soc.counts is missing: the pipeline writes to it",
        "5: unknown topic 'soc.detection'; did you mean 'soc.detections'?",
        "6: soc.rejected: expected a mapping with partitions, and settings",
    ]


@pytest.mark.parametrize("text", ["", "- a", "topics: 3", "replication: 3\ntopics: {}"])
def test_a_table_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    assert "expected" in mistakes(tmp_path, text)


def test_values_are_kafkas_texts(tmp_path: Path) -> None:
    path = tmp_path / "topics.yaml"
    topics = "".join(f"  {name}: {{partitions: 2, preallocate: true, retention.ms: 5}}\n" for name in TOPICS)
    path.write_text(f"replication: {{factor: 3, min.insync.replicas: 2}}\ntopics:\n{topics}")
    spec = load_topics(path)[0]
    assert (spec.partitions, spec.factor) == (2, 3)
    assert spec.settings == {"min.insync.replicas": "2", "preallocate": "true", "retention.ms": "5"}


# ---------------------------------------------------------------- sentences


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (errors.UnknownTopicOrPartitionError(), "topic t does not exist, or this user may not see it: `soc topics app"),
        (
            errors.TopicAuthorizationFailedError("t"),
            "user 'soc-x' may not do that with topic t; deploy/kafka/acls.yaml",
        ),
        (errors.GroupAuthorizationFailedError("g"), "user 'soc-x' may not use group g"),
        (errors.SaslAuthenticationFailedError("no"), "refuses user 'soc-x'"),
        (errors.InvalidSessionTimeoutError(), "bus.session_timeout_s"),
        (errors.NotEnoughReplicasError(), "min.insync.replicas"),
        (errors.KafkaTimeoutError(), "does not answer (KafkaTimeoutError): see that its brokers run"),
        (ConnectionResetError(104, "reset"), "does not answer"),
        (errors.UnsupportedCodecError("lz4"), "compression.type=zstd"),
        (AssertionError("state"), "has failed (AssertionError: state); it is opened anew"),
    ],
)
def test_failures_are_sentences_that_say_what_to_do(wrong: BaseException, expected: str) -> None:
    cluster = Cluster(["kafka.example:9092"], KafkaAccess("SASL_SSL", user="soc-x", password="secret"))
    with pytest.raises(TransportError) as told, failures(cluster, "reading t", "t", "g"):
        raise wrong
    assert expected in str(told.value)
    assert "secret" not in str(told.value)


def test_all_errors_of_the_client_become_transport_errors() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert len(kinds) > 100
    for kind in kinds:
        wrong = kind({}) if kind is errors.LogTruncationError else kind()
        assert isinstance(wrong, FAILURES)
        assert len(sentence(wrong, PLAIN, "t", "g")) > 20


def test_who_cannot_get_in_hears_of_both_suspects_and_of_what_was_seen(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("no certificate")
    cluster = Cluster(["127.0.0.1:9"], KafkaAccess("SASL_SSL", user="soc-detect", password="secret"))
    said = cluster.unreachable()
    assert "127.0.0.1:9" in said
    assert "'soc-detect' or its password (bus.user, bus.password_file)" in said
    assert "the CA certificate of the system (bus.ca)" in said
    assert "suspects" not in Cluster(["127.0.0.1:9"]).unreachable()
    with pytest.raises(TransportError, match=r"CA certificate .*ca\.pem \(bus\.ca\) cannot be used"):
        Cluster(["127.0.0.1:9"], KafkaAccess("SSL", ca=ca)).settings()
    assert "secret" not in repr(cluster)


# ---------------------------------------------------------------- sizes, times, names


@given(messages)
def test_a_record_is_never_larger_than_we_count(message: Message) -> None:
    headers = list(message.headers.items())
    alone = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1)
    assert alone.append(0, 1_700_000_000_000, message.key, message.value, headers) is not None
    batch = len(alone.build())
    assert batch <= size(message) + _BATCH


@given(st.binary(min_size=1, max_size=3_000), st.integers(1, 40))
def test_zstd_adds_no_more_than_we_allow_for(data: bytes, times: int) -> None:
    import zstandard

    whole = b"".join(zstandard.compress(data) for _ in range(times))  # incompressible by now
    assert len(zstandard.compress(whole)) <= len(whole) + 64 + len(whole) // _ZSTD_SHARE


@given(messages, st.integers(10_000, 30_000))
def test_a_refused_message_fits_and_says_why(message: Message, room: int) -> None:
    made = refused(message, "soc.raw", 9_000, room)
    assert size(made) <= max(room, 4_096 * 2 + size(Message(b"", b"", message.headers)) + 500)
    assert made.headers["code"] == b"too_large"
    assert made.value in (message.value, message.value[:4_096])
    assert {k: v for k, v in message.headers.items() if k not in ("code", "detail", "stage")}.items() <= (
        made.headers.items()
    )


@given(st.datetimes(datetime(1900, 1, 1), datetime(9000, 1, 1)).map(lambda naive: naive.replace(tzinfo=UTC)))
def test_a_time_becomes_the_first_whole_millisecond_that_is_not_before_it(moment: datetime) -> None:
    at = milliseconds(moment)
    assert from_milliseconds(at) >= moment
    assert at == 0 or from_milliseconds(at - 1) < moment


@given(st.integers(-(2**63), 2**63 - 1))
def test_any_number_that_a_sender_writes_is_a_time(number: int) -> None:
    assert 1970 <= from_milliseconds(number).year <= 9999


@given(st.sets(st.text(max_size=20) | st.text("a", min_size=240, max_size=300), min_size=2, max_size=10))
def test_names_of_members_are_legal_and_stay_different(names: set[str]) -> None:
    made = {_instance(name) for name in names}
    assert len(made) == len(names)
    assert all(len(name) <= 249 for name in made)  # Kafka's limit
    assert all(c.isascii() and (c.isalnum() or c in "._-") for name in made for c in name)
