"""What a store is made from, as data: checked, and without secrets when shown."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from metaxy_core.errors import ConfigError
from metaxy_core.frames.engine import EngineName
from metaxy_core.hashing import HashAlgorithm
from metaxy_core.spec.value import told


class StoreConfig(BaseModel):
    """The options that every store has; see `MetadataStore`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = None
    hash_algorithm: HashAlgorithm = HashAlgorithm.MD5
    versioning_engine: EngineName = "auto"
    auto_create_tables: bool = True
    materialization_id: str | None = None
    project: str = "default"
    spool_dir: Path | None = None


@cache
def config_model(store: type) -> type[StoreConfig]:
    """The model of a store class: the parameters of its constructor, and the common options."""
    hints = get_type_hints(store.__init__)  # type: ignore[misc]  # a class is asked, not an object
    parameters = list(inspect.signature(store).parameters.values())
    own: dict[str, Any] = {
        parameter.name: (
            hints[parameter.name],
            ... if parameter.default is parameter.empty else parameter.default,
        )
        for parameter in parameters
        if parameter.kind is not parameter.VAR_KEYWORD
    }
    with warnings.catch_warnings():
        # Pydantic's models have had a method named `schema`; the parameter is the better known.
        warnings.filterwarnings("ignore", message='Field name "schema"')
        return create_model(
            f"{store.__name__}Config",
            __base__=StoreConfig,
            __doc__=f"What a `{store.__name__}` is made from.",
            **own,
        )


def arguments(store: type, config: StoreConfig | Mapping[str, Any]) -> dict[str, Any]:
    """The constructor's arguments that a config says.

    Raises:
        ConfigError: an option is unknown or of the wrong type; no value is shown.
    """
    model = config_model(store)
    try:
        made = config if isinstance(config, model) else model.model_validate(_values(config))
    except ValidationError as error:
        raise ConfigError(f"{store.__name__}: {told(error)}") from None
    return {name: getattr(made, name) for name in type(made).model_fields}


def _values(config: StoreConfig | Mapping[str, Any]) -> dict[str, Any]:
    return dict(config) if isinstance(config, Mapping) else config.model_dump()
