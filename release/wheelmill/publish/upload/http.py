"""HTTP with a token that is never printed. A PassingError is worth another attempt, the rest is final."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

import requests

from wheelmill.publish.upload.errors import PassingError, UploadError

_SECONDS = (20.0, 120.0)  # to connect; without a byte
_CHUNK = 1 << 20
_SECRET = "***"


class Client:
    """Requests of one forge. `secret` is taken out of every message; `headers` go to `base` only."""

    def __init__(
        self, base: str, secret: str, headers: Mapping[str, str], clock: Callable[[], float] = time.time
    ) -> None:
        self.base = base.rstrip("/")
        self._secret = secret
        self._headers = dict(headers)
        self._clock = clock
        self._session = requests.Session()
        self._session.headers["User-Agent"] = "wheelmill"

    def json(self, method: str, path: str, *, missing: bool = False, **rest: Any) -> Any:
        """The JSON answer; None for 404 with `missing`. Raises PassingError, or UploadError for a refusal."""
        response = self.ask(method, self.base + path, headers=self._headers, **rest)
        if response.status_code == 404 and missing:
            return None
        self.judge(response)
        if not response.content:
            return {}
        try:
            return response.json()
        except ValueError:
            # Half an answer, or a page of a proxy in between.
            raise PassingError(self._clean(f"{method} {path}: the answer is no JSON")) from None

    def ask(self, method: str, url: str, **rest: Any) -> requests.Response:
        """One request; PassingError where no whole answer came."""
        try:
            return self._session.request(method, url, timeout=_SECONDS, **rest)
        except requests.RequestException as error:
            raise PassingError(self._clean(f"{method} {_plain(url)}: {_reason(error)}")) from None

    def judge(self, response: requests.Response) -> None:
        """Raise for any answer that is not a success."""
        code = response.status_code
        if code < 400:
            return
        request = response.request
        said = self._clean(
            f"{request.method} {_plain(str(request.url))}: {code} {response.reason}: {_said(response)}"
        )
        after = self._wait_asked(response)
        limited = code in (408, 429) or (code == 403 and after is not None)
        # A name that is taken: what is there is compared before the next attempt.
        taken = code == 409 or (code == 422 and "already_exists" in response.text)
        if limited or taken or code >= 500:
            raise PassingError(said, after=after)
        raise UploadError(said, hint=_HINTS.get(code, "Nothing was made public."))

    def digest(self, url: str, headers: Mapping[str, str] | None = None, **rest: Any) -> str:
        """The SHA-256 of what a URL gives."""
        digest, size = hashlib.sha256(), 0
        response = self.ask("GET", url, stream=True, headers=dict(headers or {}), **rest)
        try:
            self.judge(response)
            for chunk in response.iter_content(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
        except (requests.RequestException, OSError) as error:
            raise PassingError(self._clean(f"GET {_plain(url)}: {_reason(error)}")) from None
        finally:
            response.close()
        length = response.headers.get("Content-Length")
        if length is not None and "Content-Encoding" not in response.headers and int(length) != size:
            raise PassingError(self._clean(f"GET {_plain(url)}: {size} of {length} bytes came"))
        return digest.hexdigest()

    def put(
        self, method: str, url: str, path: Path, headers: Mapping[str, str], **rest: Any
    ) -> requests.Response:
        """Send a file as the body, with its length and never whole in memory."""
        with path.open("rb") as stream:
            sized = {**headers, "Content-Length": str(path.stat().st_size)}
            response = self.ask(method, url, data=stream, headers=sized, **rest)
        self.judge(response)
        return response

    @property
    def headers(self) -> dict[str, str]:
        """What goes to the forge itself, and to nobody else."""
        return dict(self._headers)

    def _wait_asked(self, response: requests.Response) -> float | None:
        """Seconds that the server asks to wait; None where it does not say."""
        after = response.headers.get("Retry-After", "")
        if after.isdigit():
            return float(after)
        reset = response.headers.get("X-RateLimit-Reset", "")
        if response.headers.get("X-RateLimit-Remaining") == "0" and reset.isdigit():
            return max(0.0, float(reset) - self._clock())
        return None

    def _clean(self, text: str) -> str:
        """The text without the token, plain or quoted."""
        for form in {self._secret, quote(self._secret, safe=""), quote_plus(self._secret)}:
            if form:
                text = text.replace(form, _SECRET)
        return text


_HINTS = {
    401: "The token is not accepted: is it the right one, and has it not expired?",
    403: "The token may not do this: it needs the right to write releases of this repository.",
    404: "Is the repository OWNER/NAME right, and does the token see it?",
    413: "The server does not take a file of this size.",
}


def same_site(url: str, base: str) -> bool:
    """Whether a URL that a server named may get what is meant for `base`: HTTPS, or the very same host."""
    one, other = urlsplit(url), urlsplit(base)
    if one.netloc == other.netloc:
        return one.scheme == other.scheme
    return one.scheme == "https" and not one.username and not one.password


def _plain(url: str) -> str:
    """A URL without its query, which may hold a token or a signature."""
    return url.partition("?")[0]


def _said(response: requests.Response) -> str:
    """What the server says, short and in one line."""
    try:
        data = response.json()
        text = (
            str(data.get("message") or data.get("error_message") or data)
            if isinstance(data, dict)
            else str(data)
        )
    except ValueError:
        text = response.text
    return " ".join(text.split())[:200]


def _reason(error: Exception) -> str:
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError):
        return "the connection could not be made, or was closed"
    return type(error).__name__
