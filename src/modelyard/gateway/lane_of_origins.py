"""The lane of origins: apps and sites, each at a host of its own. Who comes in, and to what."""

from modelyard.domain.access import PUBLIC, Policy
from modelyard.errors import Forbidden, InvalidValue, ModelyardError, NotFound, Unauthorized
from modelyard.gateway.answers import plain_error
from modelyard.gateway.entrance import (
    ENTERED,
    Entered,
    check_origin,
    policy_of,
    way_to_login,
    who_is_there,
)
from modelyard.gateway.exchange import Exchange, Reply
from modelyard.gateway.passing import cookie, request_headers
from modelyard.gateway.proxy import Proxied
from modelyard.gateway.request import NOBODY, Request
from modelyard.gateway.shown import Shown
from modelyard.gateway.sites import Served, check_method, missing, preflight
from modelyard.gateway.visit import Asked, Visit, replica_cookie
from modelyard.protocol import routes
from modelyard.protocol.table import HostEntry

SAFE_METHODS = frozenset({b"GET", b"HEAD"})
_OWN = f"{routes.ENTRANCE}/".encode()
"""Below it everything is the yard's at every origin; of what is not there control says so."""


def open_at_origin(request: Request, entry: HostEntry) -> Exchange:
    """What answers a request to the host of this app or site."""
    if request.path.startswith(_OWN):
        return _entrance(request)
    wants_page = request.wants_page
    policy = policy_of(entry, request.gateway.access.by_default)
    if entry.site is not None and policy == PUBLIC and request.method in SAFE_METHODS:
        # Whoever it is, they may read it, and reading changes nothing.
        return _at_site(request, entry.site, wants_page=wants_page, private=False, for_all=True)
    try:
        shown = _let_in(request, entry, policy)
    except ModelyardError as error:
        if wants_page and isinstance(error, Unauthorized):
            return _to_login(request)
        request.note(error, place=entry.reference)
        return request.page(error) if wants_page else request.reply(*plain_error(error, request.id_text))
    if entry.site is not None:
        return _at_site(request, entry.site, wants_page=wants_page, private=policy.way != "public", for_all=False)
    return _visit(request, entry, shown, wants_page=wants_page)


def foreign_host(request: Request) -> Reply:
    """The refusal of a name that is neither the yard's own nor anybody's here."""
    label = request.gateway.origins.label_of(request.host)
    if label is not None:
        hint = "`modelyard get` lists what there is"
        nothing = NotFound(f"cannot show {label[:80]}: there is no app and no site of that name", hint)
        return request.page(nothing) if request.wants_page else request.refusal(nothing)
    shown = request.host[:100].decode("latin-1")
    foreign = Forbidden(
        f"cannot answer for host {shown!r}: it is not a name of this yard", "use the address that `up` printed"
    )
    request.note(foreign, principal=NOBODY, place=f"at host {shown}")
    return request.reply(*plain_error(foreign, request.id_text))


def _entrance(request: Request) -> Exchange:
    if request.path == ENTERED:
        return Entered(request.connection, request.place, request.query, request.id)
    place = request.place.encode("latin-1") if request.connection.own_port is not None else None
    return Proxied(request.connection, request.method, request.url, request.headers, request.id, place)


def _let_in(request: Request, entry: HostEntry, policy: Policy) -> Shown:
    """Raises Unauthorized, Forbidden."""
    access, place = request.gateway.access, request.place
    shown = access.check(policy, request.fields, request.address, entry.project, entry.reference, place)
    check_origin(shown, request.method, request.fields, request.scheme, upgrade=request.upgrade)
    return shown


def _to_login(request: Request) -> Reply:
    _, head = way_to_login(request.yard_host, request.scheme, request.place, request.url)
    return request.reply(303, head, b"")


def _at_site(request: Request, manifest: str, *, wants_page: bool, private: bool, for_all: bool) -> Exchange:
    """`private` says that only some may come in, `for_all` that it is all the same who asks, and from where."""
    sites = request.gateway.sites
    for_all = for_all and b"x-request-id" not in request.fields
    try:
        check_method(request.method)
        site = sites.site(manifest, private=private)
        if request.method == b"OPTIONS":
            answer = preflight(site, request.fields)
        else:
            answer = site.answer(request.path, request.fields, wants_page=wants_page, contents=sites.contents)
    except NotFound as error:
        answer, for_all = missing(error, request.id), False
    except ModelyardError as error:
        return request.refusal(error, status=405 if isinstance(error, InvalidValue) else None)
    return Served(request.connection, answer, request.id, is_head=request.method == b"HEAD", for_all=for_all)


def _visit(request: Request, entry: HostEntry, shown: Shown, *, wants_page: bool) -> Exchange:
    gateway, fields = request.gateway, request.fields
    service = gateway.service(entry.endpoint) if entry.endpoint is not None else None
    if service is None or request.method == b"CONNECT":
        gone = NotFound(f"cannot show {entry.name}: it has just been deleted")
        return request.page(gone) if wants_page else request.refusal(gone)
    tokens = gateway.identity.tokens_for(shown, entry.reference, gateway.access.expires_at(shown.digest))
    headers = request_headers(request.headers, credential=shown.by_key)
    headers += [
        (b"x-forwarded-for", request.address.encode() or b"local"),
        (b"x-forwarded-proto", request.scheme),
        (b"x-forwarded-host", request.host),
        *who_is_there(shown, tokens),
    ]
    replica = cookie(fields.get(b"cookie"), replica_cookie(request.connection.own_port))
    asked = Asked(
        method=request.method,
        url=request.url,
        headers=headers,
        length=fields.get(b"content-length"),
        chunked=b"transfer-encoding" in fields,
        upgrade=fields.get(b"upgrade") if request.upgrade else None,
        replica=replica.decode("latin-1") if replica is not None else None,
        wants_page=wants_page,
        begins=wants_page and fields.get(b"sec-fetch-dest", b"document") == b"document",
    )
    return Visit(request.connection, service, asked, request.id, lambda: _may_stay(request))


def _may_stay(request: Request) -> bool:
    """Whether who came in would come in now: sessions end, and policies change."""
    entry = request.connection.origin_of(request.host)
    if entry is None or entry.site is not None:
        return True
    try:
        _let_in(request, entry, policy_of(entry, request.gateway.access.by_default))
    except ModelyardError:
        return False
    return True
