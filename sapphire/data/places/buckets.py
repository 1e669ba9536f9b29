"""Bytes in a bucket: of the S3 API by obstore, of Google's by its own client. Each is put only where there is none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sapphire.domain.errors import ConfigError, PlaceDenied, PlaceError, PlaceFull, PlaceUnreachable, SapphireError

if TYPE_CHECKING:
    from google.cloud.storage import Bucket as GoogleBucket
    from obstore.store import S3Store

__all__ = ["GoogleBlobs", "S3Blobs"]

_CONNECT_S, _WHOLE_S, _RETRIES = 5, 30, 2
_CODE, _STATUS = re.compile(r"<Code>([A-Za-z]+)</Code>"), re.compile(r"status code: ([0-9]{3})")
_DENIED_CODES = ("AccessDenied", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch")
_FULL_CODES = ("InsufficientStorage", "QuotaExceeded", "StorageFull", "XMinioStorageFull", "ServiceQuotaExceeded")
_FULL_WORDS = ("507", "no space", "quota", "no writable volumes", "no free volumes", "storage full")
_WRONG_CODES = ("NoSuchBucket", "InvalidBucketName", "PermanentRedirect", "AuthorizationHeaderMalformed")


class S3Blobs:
    """A bucket of the S3 API.

    Parameters
    ----------
    bucket, prefix : where in it.
    url : of the server; Amazon's own unless given.
    region : of the bucket.
    key, secret, token : credentials; those of the machine unless given. No error repeats one.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str,
        *,
        url: str | None = None,
        region: str | None = None,
        key: str | None = None,
        secret: str | None = None,
        token: str | None = None,
    ) -> None:
        from obstore.store import S3Store

        self.where = f"bucket s3://{bucket}/{prefix}".rstrip("/") + (f" at {url}" if url else "")
        options = {"endpoint": url, "access_key_id": key, "secret_access_key": secret, "session_token": token}
        given: dict[str, Any] = {name: value for name, value in options.items() if value}
        self._store: S3Store = S3Store(
            bucket,
            prefix=prefix or None,
            region=region or "us-east-1",
            client_options={
                "allow_http": bool(url and url.startswith("http://")),
                "connect_timeout": timedelta(seconds=_CONNECT_S),
                "timeout": timedelta(seconds=_WHOLE_S),
            },
            retry_config={"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=_WHOLE_S)},
            **given,
        )

    def put(self, key: str, data: bytes) -> None:
        """Put bytes where there are none."""
        import obstore
        from obstore.exceptions import AlreadyExistsError

        with self._as_place_errors():
            try:
                obstore.put(self._store, key, data, mode="create", use_multipart=False)
            except AlreadyExistsError:
                return

    def get(self, key: str) -> bytes | None:
        """The bytes under a key."""
        import obstore

        with self._as_place_errors():
            try:
                return bytes(obstore.get(self._store, key).bytes())
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise
                return None

    def keys(self, prefix: str) -> tuple[str, ...]:
        """Every key in a folder."""
        import obstore

        with self._as_place_errors():
            return tuple(sorted(str(entry["path"]) for page in obstore.list(self._store, prefix) for entry in page))

    @contextmanager
    def _as_place_errors(self) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            raise _s3_error(error, self.where) from None


class GoogleBlobs:
    """A bucket of Google's.

    Parameters
    ----------
    bucket, prefix : where in it.
    url : of another server than Google's: an emulator, which is asked without credentials. Else they are the machine's.
    """

    def __init__(self, bucket: str, prefix: str, *, url: str | None = None) -> None:
        self.where = f"bucket gs://{bucket}/{prefix}".rstrip("/") + (f" at {url}" if url else "")
        self._name, self._url, self._prefix = bucket, url, f"{prefix}/" if prefix else ""
        self._bucket: GoogleBucket | None = None

    def put(self, key: str, data: bytes) -> None:
        """Put bytes where there are none."""
        from google.api_core.exceptions import PreconditionFailed

        with self._as_place_errors():
            blob = self._opened().blob(self._prefix + key)
            try:
                blob.upload_from_string(
                    data, "application/octet-stream", if_generation_match=0, timeout=_WHOLE_S, retry=_google_retry()
                )
            except PreconditionFailed:
                return

    def get(self, key: str) -> bytes | None:
        """The bytes under a key."""
        from google.api_core.exceptions import NotFound

        with self._as_place_errors():
            try:
                blob = self._opened().blob(self._prefix + key)
                return bytes(blob.download_as_bytes(timeout=_WHOLE_S, retry=_google_retry()))
            except NotFound:
                self._check_there()
                return None

    def keys(self, prefix: str) -> tuple[str, ...]:
        """Every key in a folder."""
        with self._as_place_errors():
            found = self._opened().list_blobs(prefix=self._prefix + prefix, timeout=_WHOLE_S, retry=_google_retry())
            return tuple(sorted(str(blob.name).removeprefix(self._prefix) for blob in found))

    def _check_there(self) -> None:
        """Tell bytes that are not there from a bucket that is not."""
        next(iter(self._opened().list_blobs(max_results=1, timeout=_WHOLE_S, retry=_google_retry())), None)

    def _opened(self) -> GoogleBucket:
        if self._bucket is None:
            from google.auth.credentials import AnonymousCredentials
            from google.cloud.storage import Client

            if self._url is None:
                client = Client()
            else:
                anonymous = AnonymousCredentials()  # type: ignore[no-untyped-call]
                client = Client("emulated", anonymous, client_options={"api_endpoint": self._url})
            self._bucket = client.bucket(self._name)
        return self._bucket

    @contextmanager
    def _as_place_errors(self) -> Iterator[None]:
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.exceptions import GoogleAuthError
        from requests.exceptions import RequestException

        try:
            yield
        except (GoogleAPIError, GoogleAuthError, RequestException) as error:
            raise _google_error(error, self.where) from None


def _google_retry() -> Any:
    from google.cloud.storage.retry import DEFAULT_RETRY

    return DEFAULT_RETRY.with_timeout(_CONNECT_S)


def _s3_error(error: Exception, where: str) -> SapphireError:
    from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

    text = str(error).partition("Debug source")[0]
    code, status = _CODE.search(text), _STATUS.search(text)
    named, number = code[1] if code else "", status[1] if status else ""
    answer = f"{number} {named}".strip() or text.splitlines()[0].rpartition(": ")[2][:200]
    if number == "507" or named in _FULL_CODES or any(word in text.lower() for word in _FULL_WORDS[1:]):
        return _full(where, answer)
    if isinstance(error, PermissionDeniedError | UnauthenticatedError) or named in _DENIED_CODES:
        return _denied(where, answer, "SAPPHIRE_PLACES_BUCKET_KEY and _SECRET")
    if named in _WRONG_CODES:
        return _wrong(where, answer)
    return _silent(where, answer)


def _google_error(error: Exception, where: str) -> SapphireError:
    from google.api_core.exceptions import Forbidden, NotFound, TooManyRequests, Unauthorized
    from google.auth.exceptions import GoogleAuthError

    answer = _google_answer(error)
    if any(word in answer.lower() for word in _FULL_WORDS) and not isinstance(error, TooManyRequests):
        return _full(where, answer)
    if isinstance(error, Forbidden | Unauthorized | GoogleAuthError):
        return _denied(where, answer, "GOOGLE_APPLICATION_CREDENTIALS, or the machine's service account")
    if isinstance(error, NotFound):
        return _wrong(where, answer)
    return _silent(where, answer)


def _google_answer(error: Exception) -> str:
    """What the server answered, where there is an answer: a retry that was given up has it in its cause."""
    from google.api_core.exceptions import RetryError

    last = getattr(error, "cause", None) if isinstance(error, RetryError) else error
    response = getattr(last, "response", None)
    if isinstance(error, RetryError) and response is not None:
        try:
            message = str(response.json()["error"]["message"])
        except (ValueError, KeyError, TypeError):
            message = response.text
        return f"{response.status_code} {message}"[:300]
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


def _denied(where: str, answer: str, names: str) -> PlaceError:
    return PlaceDenied(
        f"{where} refuses",
        expected="a credential that it knows, that has not ended, with the rights to read, list and write",
        got=answer,
        next=f"renew {names}",
    )


def _full(where: str, answer: str) -> PlaceError:
    return PlaceFull(
        f"{where} is full",
        expected="room for more bytes",
        got=answer,
        next="free some or raise its quota, then do it again: nothing was half kept",
    )


def _wrong(where: str, answer: str) -> ConfigError:
    return ConfigError(
        f"no such {where}",
        expected="a bucket that is there, in its region",
        got=answer,
        next="create it, or name another as [places] bucket in sapphire.toml",
    )


def _silent(where: str, answer: str) -> PlaceError:
    return PlaceUnreachable(
        f"{where} does not answer as a bucket does",
        expected=f"an answer within {_WHOLE_S} s",
        got=answer,
        next="see whether it runs, can be reached from here and has room (where they have none, some servers answer "
        "500); what was not kept can be done again",
    )
