"""Where the bytes of files lie: in the database, in a folder, or in a bucket that speaks S3."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol
from uuid import uuid4

from graph_runtime.contract.errors import ConnectorError, CredentialRejected, NotFound, Unreachable
from graph_runtime.storage.virus_scanner import Clamd, Scan

if TYPE_CHECKING:
    import psycopg
    from obstore.store import S3Config
    from psycopg.rows import DictRow

    from graph_runtime.settings import Settings

    Connection = psycopg.AsyncConnection[DictRow]

S3_SECONDS: Final = 30
INTENT_SECONDS: Final = 3600
"""How long bytes may lie outside before their row is committed; what is older belongs to a process that died."""
AGAIN_SECONDS: Final = 600
REMOVED_AT_ONCE: Final = 100


class Objects(Protocol):
    """Bytes under names of our own: a workspace, a slash, 32 hexadecimal digits."""

    async def put(self, name: str, content: bytes) -> None:
        """Keep them; when this returns they survive a loss of power. Raises: ConnectorError."""

    async def get(self, name: str) -> bytes:
        """Raises: NotFound when nothing has this name, ConnectorError when it cannot be told."""

    async def delete(self, name: str) -> None:
        """Let nothing have this name. Raises: ConnectorError."""

    def names(self, beginning: str = "") -> AsyncIterator[str]:
        """What lies here. Raises: ConnectorError."""


class Transactions(Protocol):
    """What is needed of the database."""

    def workspace(self, workspace_id: str) -> AbstractAsyncContextManager[Connection]:
        """One transaction in a workspace."""

    def system(self) -> AbstractAsyncContextManager[Connection]:
        """One transaction in none."""


class FolderObjects:
    """Files in a folder of this account; every process of the installation must see the same one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, name: str, content: bytes) -> None:
        """See `Objects`."""
        with _folder_errors():
            await asyncio.to_thread(self._put, self._path(name), content)

    def _put(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        unfinished = path.with_name(f".{path.name}.{uuid4().hex}")
        try:
            with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(path)
        finally:
            unfinished.unlink(missing_ok=True)
        for folder in (path.parent, path.parent.parent):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    async def get(self, name: str) -> bytes:
        """See `Objects`."""
        with _folder_errors():
            return await asyncio.to_thread(self._path(name).read_bytes)

    async def delete(self, name: str) -> None:
        """See `Objects`."""
        with _folder_errors():
            await asyncio.to_thread(self._path(name).unlink, missing_ok=True)

    async def names(self, beginning: str = "") -> AsyncIterator[str]:
        """See `Objects`."""
        with _folder_errors():
            found = await asyncio.to_thread(lambda: sorted(p for p in self._folder.rglob("*") if p.is_file()))
        for path in found:
            name = path.relative_to(self._folder).as_posix()
            if not path.name.startswith(".") and name.startswith(beginning):
                yield name

    def _path(self, name: str) -> Path:
        return self._folder / _checked(name)


class S3Objects:
    """Objects in a bucket: of Amazon, or of any server that speaks S3."""

    def __init__(
        self,
        bucket: str,
        *,
        endpoint: str = "",
        region: str = "us-east-1",
        prefix: str = "",
        key_id: str = "",
        secret: str = "",
        seconds: float = S3_SECONDS,
    ) -> None:
        from obstore.store import S3Store

        config: S3Config = {"region": region, "virtual_hosted_style_request": not endpoint}
        if endpoint:
            config["endpoint"] = endpoint.rstrip("/")
        if key_id:
            config["access_key_id"], config["secret_access_key"] = key_id, secret
        limit = timedelta(seconds=seconds)
        self._store = S3Store(
            bucket, prefix=prefix.strip("/") or None, config=config,
            client_options={"allow_http": endpoint.startswith("http://"), "timeout": limit, "connect_timeout": limit},
            retry_config={"max_retries": 3, "retry_timeout": limit},
        )  # fmt: skip

    async def put(self, name: str, content: bytes) -> None:
        """See `Objects`."""
        import obstore

        with _s3_errors():
            await obstore.put_async(self._store, _checked(name), content, use_multipart=False)

    async def get(self, name: str) -> bytes:
        """See `Objects`."""
        import obstore

        with _s3_errors():
            found = await obstore.get_async(self._store, _checked(name))
            return bytes(await found.bytes_async())

    async def delete(self, name: str) -> None:
        """See `Objects`."""
        import obstore

        with contextlib.suppress(NotFound), _s3_errors():
            await obstore.delete_async(self._store, _checked(name))

    async def names(self, beginning: str = "") -> AsyncIterator[str]:
        """See `Objects`."""
        import obstore

        with _s3_errors():
            async for part in obstore.list(self._store):
                for about in part:
                    if str(about["path"]).startswith(beginning):
                        yield str(about["path"])


@dataclass(frozen=True, slots=True)
class Kept:
    """Bytes on their way to a row: `content` goes into it, or it says `place`. `size` in bytes."""

    size: int
    content: bytes | None
    place: str = ""


class FileBytes:
    """The bytes of rows of `file` and `knowledge_source`: new ones where the setting says, old ones where they are.

    Outside, bytes are written before their row and removed after it, each noted in `stored_object` first: a process may
    die between any two steps, and nothing is lost and nothing stays.
    """

    def __init__(
        self,
        database: Transactions,
        stores: Mapping[str, Objects] | None = None,
        to: str = "",
        scan: Scan | None = None,
    ) -> None:
        """`stores`: by the beginning of a place; `to`: where new bytes go, "" for the database; `scan`: looks into them."""
        self._database = database
        self._stores = dict(stores or {})
        self._to = to
        self._scan = scan

    async def keep(self, workspace_id: str, content: bytes, *, is_ours: bool = False) -> Kept:
        """Bytes of a row that is going to be written. `is_ours`: we made them, so nobody hides anything in them.

        Raises: FileHarmful, ConnectorError.
        """
        if self._scan is not None and not is_ours:
            await self._scan(content)
        if not self._to:
            return Kept(len(content), content)
        name = f"{workspace_id}/{uuid4().hex}"
        place = f"{self._to}:{name}"
        async with self._database.workspace(workspace_id) as connection:
            await connection.execute(
                "INSERT INTO stored_object (place, workspace_id, remove_at)"
                " VALUES (%s, current_setting('app.workspace_id')::uuid, clock_timestamp() + make_interval(secs => %s))",
                (place, INTENT_SECONDS),
            )
        await self._stores[self._to].put(name, content)
        return Kept(len(content), None, place)

    async def read(self, row: Mapping[str, Any] | None) -> bytes | None:
        """Of a row with `content` and `place`; None without a row. Raises: ConnectorError, NotFound."""
        if row is None:
            return None
        if not row["place"]:
            return bytes(row["content"])
        kind, _, name = row["place"].partition(":")
        store = self._stores.get(kind)
        if store is None:
            raise Unreachable(f"This file lies in “{kind}”, which this installation is not told how to reach.")
        return await store.get(name)

    async def remove_gone(self) -> int:
        """Remove what no row has any more; how many. What cannot be removed now is tried again later."""
        async with self._database.system() as connection:
            cursor = await connection.execute(
                "SELECT place FROM claim_removals(%s, %s)", (REMOVED_AT_ONCE, AGAIN_SECONDS)
            )
            places = [row["place"] async for row in cursor]
        done = []
        try:
            for place in places:
                kind, _, name = place.partition(":")
                if (store := self._stores.get(kind)) is not None:
                    await store.delete(name)
                    done.append(place)
        finally:
            async with self._database.system() as connection:
                await connection.execute("SELECT forget_removed(%s::text[])", (done,))
        return len(done)


async def settle(connection: Connection, kept: Kept) -> None:
    """In the transaction that writes the row: its bytes stay. Raises: NotFound when it took so long that they are gone."""
    if kept.place:
        cursor = await connection.execute("DELETE FROM stored_object WHERE place = %s AND NOT is_going", (kept.place,))
        if not cursor.rowcount:
            raise NotFound("Keeping this file took too long. Bring it once more.")


def file_bytes(database: Transactions, settings: Settings) -> FileBytes:
    """As the settings say."""
    stores: dict[str, Objects] = {"folder": FolderObjects(settings.data_dir / "files")}
    if settings.s3_bucket:
        stores["s3"] = S3Objects(
            settings.s3_bucket, endpoint=settings.s3_endpoint, region=settings.s3_region, prefix=settings.s3_prefix,
            key_id=settings.s3_access_key_id, secret=settings.s3_secret_access_key.get_secret_value(),
        )  # fmt: skip
    scan = Clamd(settings.virus_scanner).scan if settings.virus_scanner else None
    return FileBytes(database, stores, "" if settings.files == "database" else settings.files, scan)


def _checked(name: str) -> str:
    parts: Sequence[str] = name.split("/")
    if len(name) > 200 or not all(p and p.replace("-", "").isalnum() and p.isascii() for p in parts):
        raise ValueError("a name of an object is letters, digits and hyphens between slashes")
    return name


@contextlib.contextmanager
def _folder_errors() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound("This file is not where it was kept.") from error
    except OSError as error:
        raise Unreachable(f"The folder of files cannot be used ({error.strerror or 'error'}).") from error


@contextlib.contextmanager
def _s3_errors() -> Iterator[None]:
    from obstore import exceptions as of

    try:
        yield
    except (FileNotFoundError, of.NotFoundError) as error:
        raise NotFound("This file is not where it was kept.") from error
    except (PermissionError, of.PermissionDeniedError, of.UnauthenticatedError) as error:
        raise CredentialRejected("The bucket of files refused the key. Check PATCHCORD_S3_ACCESS_KEY_ID.") from error
    except ConnectorError:
        raise
    except of.BaseError as error:
        raise Unreachable("The bucket of files does not answer.") from error
