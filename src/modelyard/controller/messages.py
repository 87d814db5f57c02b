"""Sends one message of an alarm: a signed POST, or mail. Libraries for it are loaded by the first."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from modelyard.clock import Clock
from modelyard.domain.alarms import Delivery
from modelyard.domain.webhooks import ANSWER_SECONDS_MAX, webhook_headers
from modelyard.errors import ModelyardError
from modelyard.settings import MailSecurity, MailSettings
from modelyard.store.ports import Store

if TYPE_CHECKING:
    from email.message import EmailMessage

Send = Callable[[Delivery], Awaitable[str | None]]
"""Sends a message; None where it has arrived, else what went wrong, in a few words."""

OUTCOME_LENGTH_MAX = 200


class Messenger:
    def __init__(self, store: Store, clock: Clock, mail: MailSettings | None) -> None:
        self._store = store
        self._clock = clock
        self._mail = mail

    async def __call__(self, delivery: Delivery) -> str | None:
        return await asyncio.to_thread(self._send, delivery)

    def _send(self, delivery: Delivery) -> str | None:
        try:
            if delivery.target.startswith("mailto:"):
                return self._send_mail(delivery)
            secret = self._reveal(delivery.secret) if delivery.secret is not None else None
            body = delivery.body.encode()
            return post(delivery.target, body, webhook_headers(delivery.id, self._clock.now(), body, secret))
        except (OSError, ModelyardError) as error:
            return (getattr(error, "message", None) or str(error) or type(error).__name__)[:OUTCOME_LENGTH_MAX]

    def _reveal(self, name: str) -> str:
        return next(iter(self._store.secrets.reveal([name]).values()))

    def _send_mail(self, delivery: Delivery) -> str | None:
        if self._mail is None:
            return "this yard sends no mail: MODELYARD_MAIL_HOST is not set"
        password = self._reveal(self._mail.password_secret) if self._mail.password_secret else None
        return send_mail(self._mail, password, delivery)


def post(url: str, body: bytes, headers: dict[str, str]) -> str | None:
    """Posts once, following nowhere. Raises OSError where nobody is reached."""
    import http.client  # noqa: PLC0415 (loaded by the first message)

    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS_MAX)
    try:
        path = parts.path or "/"
        connection.request("POST", f"{path}?{parts.query}" if parts.query else path, body, headers)
        status = connection.getresponse().status
    except http.client.HTTPException as error:
        return f"answered nonsense ({type(error).__name__})"
    finally:
        connection.close()
    return None if 200 <= status < 300 else f"answered {status}"


def send_mail(mail: MailSettings, password: str | None, delivery: Delivery) -> str | None:
    """Hands one mail in. Raises OSError where the server is not reached."""
    import smtplib  # noqa: PLC0415 (loaded by the first message)
    import ssl  # noqa: PLC0415 (as above)

    try:
        if mail.security is MailSecurity.TLS:
            context = ssl.create_default_context()
            server = smtplib.SMTP_SSL(mail.host, mail.port, timeout=ANSWER_SECONDS_MAX, context=context)
        else:
            server = smtplib.SMTP(mail.host, mail.port, timeout=ANSWER_SECONDS_MAX)
        with server:
            if mail.security is MailSecurity.STARTTLS:
                server.starttls(context=ssl.create_default_context())
            if mail.user is not None:
                server.login(mail.user, password or "")
            server.send_message(_mail(mail, delivery))
    except smtplib.SMTPException as error:
        return f"the mail server refused: {error}"[:OUTCOME_LENGTH_MAX]
    return None


def _mail(mail: MailSettings, delivery: Delivery) -> "EmailMessage":
    from email.message import EmailMessage  # noqa: PLC0415 (as above)

    told = json.loads(delivery.body)
    message = EmailMessage()
    message["From"] = mail.sender
    message["To"] = delivery.target.removeprefix("mailto:")
    message["Subject"] = f"[modelyard] {told['state'].replace('_', ' ')}: {told['alarm']} ({told['endpoint']})"
    message["Message-ID"] = f"<{delivery.id}@{mail.sender.rpartition('@')[2]}>"
    message.set_content(f"{told['sentence']}\n\n{json.dumps(told, indent=2, ensure_ascii=False)}\n")
    return message
