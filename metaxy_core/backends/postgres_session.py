"""Connecting to PostgreSQL: parameters without secrets in addresses and errors, bounded waits."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo
from pydantic import SecretStr

from metaxy_core.addresses import harmless
from metaxy_core.errors import ConfigError, StoreUnavailableError

_DEFAULTS = {
    "application_name": "metaxy",
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""A server that has gone silent is noticed after a minute; a DSN may say otherwise."""
_SECRET = {"password", "sslpassword", "oauth_client_secret"}
_SHOWN = {"user", "host", "port", "dbname"}


def read_parameters(dsn: SecretStr | str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """libpq's parameters out of a DSN and of those named, which win; secrets stay wrapped.

    Raises:
        ConfigError: the DSN or a name cannot be read; the message does not repeat values.
    """
    try:
        read = conninfo_to_dict(_plain(dsn))
    except psycopg.ProgrammingError:
        raise ConfigError(
            "The DSN is neither a URI (postgresql://user:password@host:5432/database) nor a "
            "key=value text (host=… dbname=…) that PostgreSQL's client reads."
        ) from None  # the driver's message repeats parts of it
    named = {key: value for key, value in parameters.items() if value is not None}
    known = {**_DEFAULTS, **read, **named}
    try:
        make_conninfo("", **{key: _plain(value) for key, value in known.items()})
    except psycopg.ProgrammingError:
        raise ConfigError(
            f"PostgreSQL's client does not know all of these parameters: {', '.join(named)}."
        ) from None
    return {
        key: SecretStr(_plain(value)) if key in _SECRET else value for key, value in known.items()
    }


def address(parameters: Mapping[str, Any], schema: str) -> str:
    """Where a store lives: put together from harmless parameters and libpq's defaults for them."""
    defaults = {
        option.keyword.decode(): option.val.decode()
        for option in Conninfo.get_defaults()
        if option.val is not None
    }
    known = defaults | {key: str(value) for key, value in parameters.items() if key in _SHOWN}
    # What is none of these by its looks may be a DSN that was pasted into another.
    known |= {key: harmless(known[key]) for key in ("user", "dbname") if key in known}
    user, host = known.get("user", ""), known.get("host") or "localhost"
    where = "" if host.startswith("/") else quote(host, safe=":,")
    port = f":{known['port']}" if where and "port" in known else ""
    asked = {} if schema == "public" else {"schema": schema}
    asked |= {} if where else {"host": host}
    database = quote(known.get("dbname") or user, safe="")
    more = f"?{urlencode(asked, safe='/')}" if asked else ""
    return f"postgresql://{quote(user, safe='')}@{where}{port}/{database}{more}"


def connect(parameters: Mapping[str, Any], uri: str) -> Connection:
    """Open a session; a context that closes it.

    Raises:
        StoreUnavailableError: the server, the database or the user is not there, or the password
            is wrong.
    """
    try:
        plain = {key: _plain(value) for key, value in parameters.items()}
        made = Connection.connect(**plain, autocommit=True, prepare_threshold=None)
    except psycopg.Error as error:
        why = " ".join(str(error).split())
        for secret in filter(None, map(plain.get, _SECRET)):
            why = why.replace(secret, "***")
        # The driver's own error may repeat the parameters.
        raise StoreUnavailableError(uri, "unreachable", why) from None
    made.uri = uri
    # A commit's statements must see what was committed while it waited for its turn.
    made.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    return made


def _plain(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


class Connection(psycopg.Connection[Any]):
    """Gives the library's own errors; every wait for the server passes here."""

    uri = ""

    def cursor(self, *how: Any, **more: Any) -> Any:
        """A cursor of the open session."""
        if self.closed:
            raise self._lost("it is closed")
        return super().cursor(*how, **more)

    def wait(self, gen: Generator[Any, Any, Any], *how: Any, **more: Any) -> Any:
        """Wait for the server to do something."""
        try:
            return super().wait(gen, *how, **more)
        except errors.LockNotAvailable as error:
            raise StoreUnavailableError(
                self.uri,
                "locked",
                "another session had its tables locked for longer than lock_timeout. Wait for it, "
                f"or raise lock_timeout. ({error})",
            ) from error
        except (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction) as error:
            raise StoreUnavailableError(
                self.uri, "read-only", f"this role or session may not do that. ({error})"
            ) from error
        except psycopg.OperationalError as error:
            if not self.closed:
                raise
            raise self._lost(str(error)) from error

    def _lost(self, why: str) -> StoreUnavailableError:
        return StoreUnavailableError(
            self.uri, "unreachable", f"the connection was lost. ({' '.join(why.split())})"
        )
