"""`soc events`, `soc ledger`, `soc rejected`: what is stored, what became of every record, what was set aside."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from soc.alert import words
from soc.app.backends import open_bus, open_store, stored
from soc.app.books import balanced
from soc.app.commands import output
from soc.app.commands.options import ConfigOption, JsonOption, SinceOption, UntilOption, language, settings
from soc.event import nested, parse_rfc3339, rfc3339
from soc.store.query import parse_query

events = typer.Typer(name="events", no_args_is_help=True, help="Sự kiện đã lưu. · Stored events.")
rejected = typer.Typer(
    name="rejected", no_args_is_help=True, help="Bản ghi bị loại: xem, phát lại. · Records set aside."
)


def register(app: typer.Typer) -> None:
    app.add_typer(events, rich_help_panel="Triage")
    app.add_typer(rejected, rich_help_panel="Running")
    app.command("ledger", rich_help_panel="Running")(ledger)


@events.command("search", context_settings={"ignore_unknown_options": True})  # a query may begin with -field:
def search(
    query: Annotated[str, typer.Argument(help='Such as: host.name:web01 AND source.ip:203.0.113.0/24 "dang nhap"')],
    config: ConfigOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 100,
    oldest_first: Annotated[bool, typer.Option("--oldest-first")] = False,
    json_: JsonOption = False,
) -> None:
    """Events that meet a Lucene-like query, newest first; words are found without Vietnamese marks."""
    now = datetime.now(UTC)
    page = stored(settings(config, reading=True)).search(
        parse_query(query),
        since=output.moment(since, now),
        until=output.moment(until, now),
        limit=limit,
        oldest_first=oldest_first,
    )
    if json_:
        output.document(total=page.total, events=[nested(hit) for hit in page.hits])
        return
    output.table(
        ("time (VN)", "source", "host", "user", "peer", "what"),
        [
            (
                words.moment(parse_rfc3339(hit["@timestamp"])),
                str(hit.get("event.dataset", "")),
                str(hit.get("host.name", "")),
                str(hit.get("user.name", "")),
                str(hit.get("source.ip", "")),
                str(hit.get("message") or hit.get("event.original", ""))[:160],
            )
            for hit in page.hits
        ],
    )
    output.say(f"{len(page.hits)} of {page.total}")


def ledger(config: ConfigOption = None, since: SinceOption = None, json_: JsonOption = False) -> None:
    """Sổ đối chiếu: nhận, lưu, loại, thiếu. · Every record's fate by unit, source and hour. Exit 1 on a deficit."""
    settled = settings(config, reading=True)
    now = datetime.now(UTC)
    rows = balanced(settled, stored(settled), output.moment(since, now), now)
    if json_:
        output.document(
            rows=[
                {"unit": r.unit, "source": r.source, "hour": rfc3339(r.hour), "received": r.received}
                | {"stored": r.stored, "filtered": r.filtered, "rejected": r.rejected, "late": r.late}
                | {"shed": r.shed, "deficit": r.deficit}
                for r in rows
            ]
        )
    else:
        vi = language(settled) == "vi"
        output.table(
            ("đơn vị", "nguồn", "giờ", ">nhận", ">lưu", ">lọc", ">loại", ">muộn", ">bỏ", ">thiếu")
            if vi
            else (
                "unit",
                "source",
                "hour",
                ">received",
                ">stored",
                ">filtered",
                ">rejected",
                ">late",
                ">shed",
                ">deficit",
            ),
            [
                (
                    *(r.unit, r.source, words.moment(r.hour)[:16]),
                    *map(str, (r.received, r.stored, r.filtered, r.rejected, r.late, r.shed, r.deficit)),
                )
                for r in rows
            ],
        )
    if any(r.deficit for r in rows):
        raise typer.Exit(1)


@rejected.command("list")
def list_rejected(
    config: ConfigOption = None,
    since: SinceOption = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 100,
    json_: JsonOption = False,
) -> None:
    """What was set aside and why, newest first."""
    items = stored(settings(config, reading=True)).rejected(since=output.moment(since, datetime.now(UTC)), limit=limit)
    if json_:
        output.document(
            rejected=[
                {"id": r.record.id, "received": rfc3339(r.record.received), "source": r.record.source}
                | {"sender": r.record.sender, "stream": r.record.stream, "stage": r.stage}
                | {"code": r.code, "detail": r.detail, "facts": dict(r.record.facts)}
                | {"original": r.record.data.decode("utf-8", "backslashreplace")}
                for r in items
            ]
        )
        return
    output.table(
        ("received (VN)", "source", "code", "detail", "original"),
        [
            (
                words.moment(r.record.received),
                r.record.source,
                r.code,
                r.detail.splitlines()[-1][:80] if r.detail else "",
                r.record.data[:80].decode("utf-8", "backslashreplace"),
            )
            for r in items
        ],
    )


@rejected.command("replay")
def replay(
    config: ConfigOption = None,
    since: SinceOption = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000)] = 100_000,
    json_: JsonOption = False,
) -> None:
    """Send what was set aside through the pipeline again, as after a parser or a source definition was mended."""
    from soc.collect.publish import publish

    settled = settings(config, role="ingest")
    store, bus = open_store(settled), open_bus(settled)
    items = store.rejected(since=output.moment(since, datetime.now(UTC)), limit=limit)
    publish(bus, [r.record for r in items])
    bus.flush()
    store.forget_rejected(r.record.id for r in items)  # last: a crash before it replays twice, which changes nothing
    if json_:
        output.document(replayed=len(items))
    else:
        output.say(f"{len(items)} records are on their way again; `soc run all` or `soc ingest` takes them on")
