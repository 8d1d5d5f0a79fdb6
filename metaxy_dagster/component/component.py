"""The component: a feature graph as Dagster definitions, said in YAML.

Dagster reads the annotations of its attributes itself, so this module has no postponed ones.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import dagster as dg

from metaxy_core import DefinitionError, FeatureKey, FeatureSpec, Graph
from metaxy_dagster.component.automation import AutomationAttribute
from metaxy_dagster.component.checks import ChecksAttribute
from metaxy_dagster.component.execution import instead, through
from metaxy_dagster.component.features import absolute, load_graph
from metaxy_dagster.component.functions import check_covered, functions_of
from metaxy_dagster.component.op import OpAttribute
from metaxy_dagster.component.scaffolder import FeatureGraphScaffolder
from metaxy_dagster.component.store import StoreAttribute, StoreAttributes
from metaxy_dagster.component.translation import TranslationAttribute, with_parents
from metaxy_dagster.factory import Compute, build_feature_definitions
from metaxy_dagster.resource import frozen
from metaxy_dagster.sources import modules_of
from metaxy_dagster.steps.increment import Increment
from metaxy_dagster.translator import FeatureTranslator, FeatureTranslatorData


@dg.scaffold_with(FeatureGraphScaffolder)
@dataclass
class FeatureGraphComponent(dg.Component, dg.Resolvable):
    """The features of a graph as assets, with checks and automation, as YAML says.

    Python declares the features and computes them, in plain functions decorated with `computes`;
    the component is `build_feature_definitions` for both. A subclass overrides `get_asset_spec`,
    `get_asset_check_spec` or `execute`.

    Raises:
        DefinitionError: while it is loaded, and naming what is wrong: there is no such module, a
            feature has no function, a function's feature is not in the graph.
        ConfigError: `metaxy.toml` is wrong, or has no such store.

    >>> said = {"features": "my_project.features", "automation": {"on_increment": {"every": 30}}}
    >>> component = FeatureGraphComponent.from_attributes_dict(attributes=said)
    >>> component.features, component.automation.on_increment.every, component.orphans
    ('my_project.features', 30, 'report')
    """

    features: Annotated[
        str | list[str] | None,
        dg.Resolver.default(
            description="Modules or packages that declare features, or package.module:graph; "
            ".name is a module beside this file. By default what metaxy.toml names.",
            examples=["my_project.features", ".features"],
        ),
    ] = None
    compute: Annotated[
        str | list[str] | None,
        dg.Resolver.default(
            description="Modules or packages of functions decorated with @computes(Feature). "
            "Without it nothing is computed here, all features are external.",
            examples=["my_project.compute"],
        ),
    ] = None
    store: StoreAttribute = field(default_factory=StoreAttributes)
    external: Annotated[
        list[str],
        dg.Resolver.default(description="Features that something else computes; only drawn."),
    ] = field(default_factory=list)
    observe: Annotated[
        list[str],
        dg.Resolver.default(description="Features that something else computes; watched."),
    ] = field(default_factory=list)
    checks: ChecksAttribute = None
    automation: AutomationAttribute = None
    translation: TranslationAttribute = None
    op: OpAttribute = None
    partition_by: Annotated[
        str | dict[str, str] | None,
        dg.Resolver.default(
            description="The column that holds the keys of the partitions_def of the translation."
        ),
    ] = None
    orphans: Literal["report", "soft_delete", "hard_delete"] = "report"
    guard: Literal["breaking", "any"] | None = None

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """What `dg` shows of the component in its lists."""
        return dg.ComponentTypeSpec(
            description="A feature graph as assets: exactly the affected samples run again.",
            tags=["metaxy"],
            produces=["asset", "asset_check", "sensor", "schedule", "job", "resource"],
        )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The definitions of the graph, see `build_feature_definitions`."""
        root = context.project_root
        graph, foreign = load_graph(self.features, context)
        named = self.store.make(root) if isinstance(self.store, StoreAttributes) else self.store
        store = named if named.bound_graph is not None else named.with_graph(graph)
        arguments = {"partition_by": self.partition_by, "guard": self.guard}
        checks, automation = self.checks, self.automation
        return build_feature_definitions(
            graph,
            store=store,
            compute=self._compute(context, frozen(graph), foreign),
            observe=self.observe,
            checks=False if checks is None else lambda built: checks.make(built, root),
            automation=None if automation is None else automation.make,
            automation_condition=None if automation is None else automation.condition(store),
            translator=_Translator(self),
            orphans=self.orphans,
            asset_arguments={
                **{name: value for name, value in arguments.items() if value is not None},
                **(self.op.arguments() if self.op else {}),
            },
        )

    def get_asset_spec(self, data: FeatureTranslatorData) -> dg.AssetSpec:
        """A feature's asset: what `FeatureTranslator` makes, and the translation on top of it."""
        spec = FeatureTranslator().get_asset_spec(data)
        if self.translation is None:
            return spec
        return with_parents(self.translation(spec, data), spec)

    def get_asset_check_spec(
        self, spec: dg.AssetCheckSpec, data: FeatureTranslatorData
    ) -> dg.AssetCheckSpec | None:
        """A check of a feature's asset; None leaves it out."""
        return spec

    def execute(
        self,
        context: dg.AssetExecutionContext,
        feature: FeatureSpec,
        increment: Increment | None,
        compute: Callable[[], Any] | None,
    ) -> Any:
        """Compute one feature: what a subclass overrides to do something around every function.

        Of a subclass that overrides it, features need no function: it may compute all of them
        itself. Features of assets that decorators made do not pass here.

        Args:
            increment: the work to do; None where the function does not ask for it, as of a root
                that lists its samples.
            compute: calls the feature's function with everything that it asks for; None where
                there is no function.

        Returns:
            what the function returns: a frame, an iterator of frames, or None.
        """
        if compute is None:
            raise DefinitionError(f"Feature '{feature.key}' has no function.")
        return compute()

    def _compute(
        self, context: dg.ComponentLoadContext, graph: Graph, foreign: frozenset[FeatureKey]
    ) -> dict[FeatureKey, Compute]:
        """What computes which feature; all of them but those that something else computes."""
        names = list(absolute(self.compute or [], context))
        found = functions_of((one for name in names for one in modules_of(name)), graph)
        elsewhere = foreign.union(graph[one].key for one in (*self.external, *self.observe))
        is_overridden = type(self).execute is not FeatureGraphComponent.execute
        mine = [key for key in graph if key not in elsewhere]
        covered = {*found, *mine} if is_overridden else found
        if is_overridden or self.compute is not None:
            check_covered(graph, covered, elsewhere, ", ".join(names))
        if is_overridden:
            return {key: self._executed(graph[key], found.get(key)) for key in mine}
        return found

    def _executed(self, spec: FeatureSpec, how: Compute | None) -> Compute:
        """What calls `execute` for a feature."""
        if how is None:
            return instead(self.execute, spec)
        return how if isinstance(how, dg.AssetsDefinition) else through(self.execute, spec, how)


@dataclass
class _Translator(FeatureTranslator):
    """Asks the component, whose methods a subclass may override."""

    component: FeatureGraphComponent

    def get_asset_spec(self, data: FeatureTranslatorData) -> dg.AssetSpec:
        return self.component.get_asset_spec(data)

    def get_asset_check_spec(
        self, spec: dg.AssetCheckSpec, data: FeatureTranslatorData
    ) -> dg.AssetCheckSpec | None:
        return self.component.get_asset_check_spec(spec, data)
