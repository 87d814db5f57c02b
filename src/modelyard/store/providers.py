"""OpenID providers in the database: one document each."""

from sqlalchemy import delete, insert, select

from modelyard.domain.names import name_key, not_found
from modelyard.domain.providers import PROVIDERS_MAX, Provider, provider_document, provider_from
from modelyard.errors import Conflict
from modelyard.store.database import Database
from modelyard.store.tables import providers


class SqlProviders:
    """Implements `ports.Providers`."""

    def __init__(self, yard: Database) -> None:
        self._yard = yard

    def put(self, provider: Provider) -> None:
        key = name_key(provider.name)
        with self._yard.write() as connection:
            connection.execute(delete(providers).where(providers.c.key == key))
            if len(connection.execute(select(providers.c.key)).all()) >= PROVIDERS_MAX:
                raise Conflict(f"cannot add provider {provider.name}: there are {PROVIDERS_MAX}", "remove one first")
            connection.execute(insert(providers).values(key=key, document=provider_document(provider)))

    def get(self, name: str) -> Provider:
        with self._yard.read() as connection:
            found = connection.scalar(select(providers.c.document).where(providers.c.key == name_key(name)))
            if found is None:
                raise not_found("provider", name, connection.scalars(select(providers.c.key)))
        return provider_from(found)

    def select(self) -> list[Provider]:
        with self._yard.read() as connection:
            found = connection.scalars(select(providers.c.document).order_by(providers.c.key)).all()
        return [provider_from(one) for one in found]

    def remove(self, name: str) -> None:
        self.get(name)
        with self._yard.write() as connection:
            connection.execute(delete(providers).where(providers.c.key == name_key(name)))
