"""`soc store keys`: expiring API keys for components, made, listed and revoked; a secret goes into its file alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from soc.alert.policy import duration
from soc.app.backends import elastic_access
from soc.app.commands import output
from soc.app.commands.options import ConfigOption, JsonOption, settings
from soc.app.commands.store import commands, elasticsearch
from soc.app.config_backends import ElasticsearchStoreConfig
from soc.app.credentials import Role, as_role
from soc.content import unknown
from soc.event import rfc3339

if TYPE_CHECKING:  # the client library is loaded where its server is used
    from soc.store.elasticsearch.keys import Key

keys = typer.Typer(name="keys", no_args_is_help=True, help="Khóa API của từng thành phần. · API keys of components.")

_RIGHTS = Path("deploy/elasticsearch/keys.yaml")
TableOption = Annotated[Path, typer.Option("--table", help="The table of components and privileges.")]
NamespaceOption = Annotated[list[str] | None, typer.Option("--namespace", help="For these access groups alone.")]


def register(app: typer.Typer) -> None:
    """Into the group `soc store`, which is registered by its own module."""
    commands.add_typer(keys)


def _namespaces(store: ElasticsearchStoreConfig, chosen: Sequence[str] | None) -> list[str]:
    """The chosen ones, else all of the configuration's. Raises typer.BadParameter."""
    there = list(dict.fromkeys((*(n.name for n in store.namespaces), store.namespace)))
    for name in chosen or ():
        if name not in there:
            raise typer.BadParameter(unknown(name, there, "namespace"))
    return list(chosen or there)


@keys.command("create")
def create(
    component: Annotated[str, typer.Argument(help="An entry of the table, such as detect.")],
    out: Annotated[Path, typer.Option("--out", help="File that the key is written to (mode 0600); must not exist.")],
    expires: Annotated[str, typer.Option("--expires", help="How long it works: 90d, 12h.")] = "90d",
    namespace: NamespaceOption = None,
    table: TableOption = _RIGHTS,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Make a key that may do what its component needs, and no more. The key itself is never printed."""
    from soc.store.elasticsearch.keys import create as make
    from soc.store.elasticsearch.keys import load_keys, revoke

    components = load_keys(table)
    if component not in components:
        raise typer.BadParameter(unknown(component, components, "component"))
    try:
        lifetime = duration(expires)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong)) from wrong
    with elasticsearch(config) as (server, store):
        spaces = _namespaces(store, namespace)
        with _fresh(out) as file:
            key, secret = make(server, components[component], spaces, store.namespace, lifetime)
            try:
                os.write(file, f"{secret}\n".encode())
                os.fsync(file)
            except OSError:
                revoke(server, [key.id])
                raise
    if json_:
        output.document(key=_row(key), file=str(out))
    else:
        _table(key)
        output.say(f"written to {out}")


@contextmanager
def _fresh(path: Path) -> Iterator[int]:
    """A new file of mode 0600, removed again if the block fails. Raises typer.BadParameter."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise typer.BadParameter(f"{path} exists; a key is not written over another") from None
    except OSError as wrong:
        raise typer.BadParameter(f"{path} cannot be written: {wrong.strerror}") from wrong
    done = False
    try:
        yield file
        done = True
    finally:
        os.close(file)
        if not done:
            path.unlink()


@keys.command("list")
def list_keys(config: ConfigOption = None, json_: JsonOption = False) -> None:
    """Keys that this program made: whose, for what, until when. Expired and revoked ones show for a while."""
    from soc.store.elasticsearch.keys import listed

    with elasticsearch(config) as (server, _):
        found = listed(server, datetime.now(UTC))
    if json_:
        output.document(keys=[_row(key) for key in found])
    else:
        _table(*found)


@keys.command("revoke")
def revoke_keys(
    ids: Annotated[list[str], typer.Argument(help="Ids of `soc store keys list`.")],
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """End keys at once. Exit 1 if one of them is unknown or was revoked before."""
    from soc.store.elasticsearch.keys import revoke

    with elasticsearch(config) as (server, _):
        done = revoke(server, ids)
    left = [key_id for key_id in ids if key_id not in done]
    if json_:
        output.document(revoked=done, not_revoked=left)
    else:
        output.say(f"revoked: {', '.join(done) or 'none'}")
        if left:
            output.say(f"unknown, or revoked before: {', '.join(left)}")
    if left:
        raise typer.Exit(1)


@keys.command("check")
def check_key(
    component: Annotated[str, typer.Argument(help="A role whose key the configuration names, such as detect.")],
    namespace: NamespaceOption = None,
    table: TableOption = _RIGHTS,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Whether the configured key of a role may do all that the table says. Exit 1 if it lacks something.

    Worth running after an upgrade: what a key may not see, Elasticsearch leaves out of searches without an error.
    """
    from soc.store.elasticsearch.access import Server
    from soc.store.elasticsearch.keys import load_keys, missing

    components = load_keys(table)
    roles = [role for role in get_args(Role) if role in components]
    if component not in roles:
        raise typer.BadParameter(unknown(component, roles, "role"))
    store = as_role(settings(config), component).store  # type: ignore[arg-type]  # it is one of Role
    if not isinstance(store, ElasticsearchStoreConfig):
        raise typer.BadParameter("the configuration's store is not of type elasticsearch")
    spaces = _namespaces(store, namespace)
    with closing(Server(store.hosts, elastic_access(store))) as server:
        lacking = missing(server, components[component], spaces, store.namespace)
    if json_:
        output.document(component=component, namespaces=spaces, missing=lacking)
    else:
        for privilege in lacking:
            output.say(f"missing: {privilege}")
        output.say(f"{component}: {len(lacking)} privileges are missing" if lacking else f"{component}: all there")
    if lacking:
        raise typer.Exit(1)


def _row(key: Key) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "component": key.component,
        "namespaces": list(key.namespaces),
        "created": rfc3339(key.created),
        "expires": rfc3339(key.expires) if key.expires else None,
        "state": key.state,
    }


def _table(*found: Key) -> None:
    rows = [
        (k.id, k.component, ", ".join(k.namespaces), f"{k.expires:%Y-%m-%d}" if k.expires else "never", k.state)
        for k in found
    ]
    output.table(("id", "component", "namespaces", "expires", "state"), rows)
