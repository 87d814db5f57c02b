"""Objects of S3, and of whatever speaks its protocol, with the standard library alone.

Code of people's environments reads and writes them, where no client may be there and none may be brought. Requests are
signed as AWS Signature Version 4 has it. What they are signed with comes from the environment under AWS's own names
(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL), or
else from the profile AWS_PROFILE of the shared credentials file; without any they are sent unsigned, for public
buckets.

Nothing of a credential is ever in a message.
"""

import configparser
import contextlib
import hashlib
import hmac
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ET
from typing import Any, BinaryIO, Dict, Generator, Iterator, List, Mapping, NamedTuple, Optional, Tuple

SCHEME = "s3://"
SECONDS_MAX = 30.0
"""How long a server may say nothing."""
KEYS_MAX = 1_000_000
"""Objects of one listing."""
LIST_BYTES_MAX = 16 * 2**20
PART_BYTES = 16 * 2**20
"""What is sent at once: a larger object goes in parts, at most 10,000."""
REGION_DEFAULT = "us-east-1"

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")
_ALGORITHM = "AWS4-HMAC-SHA256"
_NAMESPACE = re.compile(r"\{[^}]*\}")


class Place(NamedTuple):
    """A key in a bucket, or the prefix of several."""

    bucket: str
    key: str

    @property
    def url(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}"


class Listed(NamedTuple):
    place: Place
    size_bytes: int
    etag: str


class Credentials(NamedTuple):
    access_key: str
    secret_key: str
    session_token: str


def is_object_url(text: str) -> bool:
    return text.startswith(SCHEME)


def parse_place(url: str) -> Place:
    """Raises ValueError for what is no `s3://BUCKET/KEY`."""
    bucket, _, key = url[len(SCHEME) :].partition("/")
    if not is_object_url(url) or not _BUCKET.fullmatch(bucket) or "\0" in key:
        raise ValueError(f"cannot read {url[:120]!r} as an object's URL: write s3://BUCKET/KEY")
    return Place(bucket, key)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A signature is for one host, and no server may say where else to send it."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


class ObjectStore:
    """One client. `environment` says where and as whom."""

    def __init__(self, environment: Optional[Mapping[str, str]] = None) -> None:
        found = os.environ if environment is None else environment
        self._endpoint = (found.get("AWS_ENDPOINT_URL_S3") or found.get("AWS_ENDPOINT_URL") or "").rstrip("/")
        self._credentials = _credentials(found)
        self._region = found.get("AWS_REGION") or found.get("AWS_DEFAULT_REGION") or _profile(found).get("region", "")

    @contextlib.contextmanager
    def open(
        self,
        method: str,
        place: Place,
        query: Optional[Mapping[str, str]] = None,
        headers: Optional[Mapping[str, str]] = None,
        body: bytes = b"",
    ) -> "Generator[Any]":
        """The answer to a request, to be read. Raises OSError; `urllib.error.HTTPError` with the server's status."""
        try:
            with self._send(method, place, query or {}, headers or {}, body) as answer:
                yield answer
        except urllib.error.HTTPError as error:
            region = error.headers.get("x-amz-bucket-region")
            if error.code not in (301, 307, 400) or not region or region == self._region:
                raise
            # The bucket is in another region, which the server names: signatures are of one region.
            self._region = region
            with self._send(method, place, query or {}, headers or {}, body) as answer:
                yield answer

    def _send(
        self, method: str, place: Place, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> Any:
        base, path = self._address(place)
        host = urllib.parse.urlsplit(base).netloc
        line = urllib.parse.urlencode(sorted(query.items()), quote_via=urllib.parse.quote, safe="-_.~")
        signed = self._signed(method, host, path, line, headers, body)
        url = f"{base}{path}{'?' + line if line else ''}"
        data = body if method in ("PUT", "POST") else None
        if data is not None:
            # Without one urllib would say that it is a form.
            signed["content-type"] = "application/octet-stream"
        request = urllib.request.Request(url, data, signed, method=method)  # noqa: S310 (of the configured endpoint)
        try:
            return _OPENER.open(request, timeout=SECONDS_MAX)
        except urllib.error.HTTPError as error:
            # Its answer is not read, and would hold the connection as long as somebody holds the error.
            error.close()
            raise

    def _address(self, place: Place) -> Tuple[str, str]:
        """Scheme and host, and the path as it is signed."""
        key = urllib.parse.quote(place.key, safe="-_.~/")
        if self._endpoint:
            parts = urllib.parse.urlsplit(self._endpoint)
            return f"{parts.scheme}://{parts.netloc}", f"{parts.path}/{place.bucket}/{key}"
        host = f"s3.{self._region or REGION_DEFAULT}.amazonaws.com"
        if "." in place.bucket or place.bucket != place.bucket.lower():
            # TLS's wildcard covers one label.
            return f"https://{host}", f"/{place.bucket}/{key}"
        return f"https://{place.bucket}.{host}", f"/{key}"

    def _signed(
        self, method: str, host: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Dict[str, str]:
        digest = hashlib.sha256(body).hexdigest()
        sent = {**{name.lower(): value for name, value in headers.items()}, "host": host}
        if self._credentials is None:
            return sent
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        sent.update({"x-amz-date": now, "x-amz-content-sha256": digest})
        if self._credentials.session_token:
            sent["x-amz-security-token"] = self._credentials.session_token
        names = ";".join(sorted(sent))
        lines = "".join(f"{name}:{sent[name].strip()}\n" for name in sorted(sent))
        canonical = f"{method}\n{path}\n{query}\n{lines}\n{names}\n{digest}"
        scope = f"{now[:8]}/{self._region or REGION_DEFAULT}/s3/aws4_request"
        text = f"{_ALGORITHM}\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.new(self._key(scope), text.encode(), hashlib.sha256).hexdigest()
        identity = f"{self._credentials.access_key}/{scope}"
        sent["authorization"] = f"{_ALGORITHM} Credential={identity}, SignedHeaders={names}, Signature={signature}"
        return sent

    def _key(self, scope: str) -> bytes:
        assert self._credentials is not None
        key = f"AWS4{self._credentials.secret_key}".encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return key

    # -- whole objects -----------------------------------------------------------------------------------------------

    def find(self, prefix: Place) -> Iterator[Listed]:
        """Objects whose key begins with a prefix, by key, folders' markers left out. Raises OSError."""
        token, count = "", 0
        while True:
            query = {"list-type": "2", "prefix": prefix.key}
            if token:
                query["continuation-token"] = token
            with self.open("GET", Place(prefix.bucket, ""), query) as answer:
                document = _document(answer.read(LIST_BYTES_MAX))
            for one in document.findall("Contents"):
                key = one.findtext("Key") or ""
                if not key.endswith("/"):
                    count += 1
                    etag = (one.findtext("ETag") or "").strip('"')
                    yield Listed(Place(prefix.bucket, key), int(one.findtext("Size") or 0), etag)
            if count > KEYS_MAX:
                raise OSError(f"{prefix.url} has more than {KEYS_MAX} objects")
            token = document.findtext("NextContinuationToken") or ""
            if document.findtext("IsTruncated") != "true" or not token:
                return

    def put(self, source: str, place: Place) -> None:
        """A file as an object, which is there as a whole or not at all. Raises OSError."""
        with open(source, "rb") as file:
            if os.fstat(file.fileno()).st_size <= PART_BYTES:
                with self.open("PUT", place, body=file.read()):
                    return
            self._put_parts(file, place)

    def _put_parts(self, file: BinaryIO, place: Place) -> None:
        with self.open("POST", place, {"uploads": ""}) as answer:
            upload = _document(answer.read(LIST_BYTES_MAX)).findtext("UploadId") or ""
        try:
            etags: List[str] = []
            for block in iter(lambda: file.read(PART_BYTES), b""):
                query = {"partNumber": str(len(etags) + 1), "uploadId": upload}
                with self.open("PUT", place, query, body=block) as answer:
                    etags.append(answer.headers.get("ETag") or "")
            parts = "".join(
                f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
                for number, etag in enumerate(etags, start=1)
            )
            body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
            with self.open("POST", place, {"uploadId": upload}, body=body) as answer:
                said = _document(answer.read(LIST_BYTES_MAX))
            if said.tag == "Error":
                # This one request answers 200 before it knows how it ends.
                raise OSError(f"cannot write {place.url}: {said.findtext('Code')}")
        except BaseException:
            with contextlib.suppress(OSError), self.open("DELETE", place, {"uploadId": upload}):
                pass
            raise


def relative_name(prefix: Place, key: str) -> str:
    """What an object below a prefix is called: as a file in the folder, or the file, that the prefix names."""
    if key == prefix.key:
        return key.rpartition("/")[2]
    if prefix.key == "" or prefix.key.endswith("/"):
        return key[len(prefix.key) :]
    if key.startswith(f"{prefix.key}/"):
        return key[len(prefix.key) + 1 :]
    folder = prefix.key.rpartition("/")[0]
    return key[len(folder) + 1 :] if folder else key


def _document(text: bytes) -> ET.Element:
    """XML without its namespaces. Raises OSError for what is none, or what declares entities of its own."""
    if b"<!" in text:
        raise OSError("the server's answer is no plain XML")
    try:
        root = ET.fromstring(text)  # noqa: S314 (no declaration comes this far)
    except ET.ParseError as error:
        raise OSError("the server's answer is no XML") from error
    for one in root.iter():
        one.tag = _NAMESPACE.sub("", one.tag)
    return root


def _credentials(found: Mapping[str, str]) -> Optional[Credentials]:
    key, secret = found.get("AWS_ACCESS_KEY_ID"), found.get("AWS_SECRET_ACCESS_KEY")
    if key and secret:
        return Credentials(key, secret, found.get("AWS_SESSION_TOKEN", ""))
    profile = _profile(found)
    if "aws_access_key_id" in profile and "aws_secret_access_key" in profile:
        return Credentials(
            profile["aws_access_key_id"], profile["aws_secret_access_key"], profile.get("aws_session_token", "")
        )
    return None


def _profile(found: Mapping[str, str]) -> Dict[str, str]:
    """Of the shared credentials file; empty where there is none."""
    place = found.get("AWS_SHARED_CREDENTIALS_FILE") or os.path.join(os.path.expanduser("~"), ".aws", "credentials")
    parser = configparser.RawConfigParser()
    try:
        parser.read(place, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError):
        return {}
    name = found.get("AWS_PROFILE") or "default"
    return dict(parser[name]) if parser.has_section(name) else {}
