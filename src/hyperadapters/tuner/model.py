"""The tuner: finds the sites, builds the network, and lives inside PEFT as any other method."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from peft.tuners.tuners_utils import BaseTuner, _ExcludedModule
from peft.utils.constants import DUMMY_TARGET_MODULES
from torch import nn

from hyperadapters.backbones import use_fast_products, use_plain_products
from hyperadapters.errors import ConfigError, SiteError
from hyperadapters.hypernetworks import AdapterNetwork, GroupSpec, build_network
from hyperadapters.sites import DEFAULT_TARGETS
from hyperadapters.tuner.conditioning import Conditioning, conditioning_of
from hyperadapters.tuner.config import HyperAdapterConfig
from hyperadapters.tuner.entry import install, uninstall
from hyperadapters.tuner.head import HeadHooks, find_head, head_layers, save_head
from hyperadapters.tuner.injection import Injection
from hyperadapters.tuner.instance import EncoderReader, check_has_decoder, states_width
from hyperadapters.tuner.layer import HyperAdapterLinear
from hyperadapters.tuner.materialise import materialise_all
from hyperadapters.tuner.merging import check_mergeable, merge
from hyperadapters.tuner.plan import Plan
from hyperadapters.tuner.token import token_width


class HyperAdapterModel(BaseTuner):
    """PEFT tuner whose weights are written by an `AdapterNetwork`, one per adapter name.

    Attributes:
        hyperadapter_network: Adapter name → network. PEFT saves and loads it with the adapter.
        hyperadapter_spans: The hooks of bottlenecks, which have no parameters.
        conditioning: Which weights are applied at the moment.
    """

    prefix = "hyperadapter_"
    tuner_layer_cls = HyperAdapterLinear
    target_module_mapping = DEFAULT_TARGETS
    # The network is shared by all layers and lives on the tuner, so PEFT must keep the tuner.
    uses_shared_state = True

    def inject_adapter(
        self, model: nn.Module, adapter_name: str, *args: Any, **kwargs: Any
    ) -> None:
        """As PEFT's, with the network of the adapter; PEFT calls it for every adapter.

        Raises:
            SiteError: No module matches the targets (names those that come near), or one that does
                cannot be adapted.
            ConfigError: The configuration does not fit the model.
        """
        if not hasattr(self, "hyperadapter_network"):
            self.hyperadapter_network = nn.ModuleDict()
            self.conditioning = Conditioning(self)
            self.hyperadapter_spans = nn.ModuleDict()
            self._injection = Injection(model, self.conditioning, self.hyperadapter_spans)
            self._head: HeadHooks | None = None
            self._encoder_reader: EncoderReader | None = None
        config: Any = self.peft_config[adapter_name]
        save_head(model, config)
        plan = self._plan = Plan(config, model)
        found = self._injection.placements[adapter_name] = [[] for _ in plan.groups]
        try:
            try:
                with _without_targets(config, plan):
                    super().inject_adapter(model, adapter_name, *args, **kwargs)
            except ValueError as error:
                if isinstance(error, ConfigError | SiteError) or any(found):
                    raise
                plan.check_complete(found, model)
                raise
            plan.check_complete(found, model)
            self._add_network(model, adapter_name, config)
        except Exception:
            # Another adapter may be added under this name, and must not find parts of this one.
            self._injection.drop(adapter_name)
            if adapter_name in self.hyperadapter_network:
                del self.hyperadapter_network[adapter_name]
            if not self.hyperadapter_network:
                # The first one, and this tuner is gone with it; the next one wraps for itself.
                self._injection.unwrap()
            raise
        if len(self.hyperadapter_network) == 1:
            use_fast_products(model)

    def _prepare_adapter_config(self, peft_config: Any, model_config: dict[str, Any]) -> Any:
        # The plan has found the targets already, and of several groups each has its own.
        return peft_config

    def _check_target_module_exists(self, peft_config: Any, key: str) -> Any:  # pyright: ignore
        plan = self._plan
        if plan.config is not peft_config:
            plan = Plan(peft_config, self.model)
        if plan.matches(key):
            return True
        return _ExcludedModule() if plan.is_excluded(key) or plan.is_saved(key) else False

    def _create_and_replace(
        self,
        peft_config: HyperAdapterConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        parameter_name: str | None = None,
    ) -> None:
        self._injection.add(
            self._plan, adapter_name, current_key, parent, list(self.active_adapters)
        )

    def _add_network(self, model: nn.Module, adapter_name: str, config: Any) -> None:
        groups = self._group_specs(adapter_name, config)
        self._plan.check_stages(groups)
        if "encoder" in {getattr(c, "source", None) for c in config.declared.values()}:
            check_has_decoder(model)
        config.record_sites(groups)
        head = find_head(model, config.task_type)
        layers = head_layers(model.get_submodule(head)) if head else []
        spec = config.network_spec(
            groups,
            shift_width=layers[0].in_features if layers else None,
            head_width=layers[-1].in_features if layers else None,
            n_labels=layers[-1].out_features if layers else None,
            token_width=token_width(model, config.task_type),
            instance_width=states_width(model),
        )
        network = build_network(spec)
        _check_names({*self.hyperadapter_network, adapter_name}, network)
        # The network works in float32 even beside a half-precision backbone. With PEFT's
        # low_cpu_mem_usage it is on the meta device until the stored weights take its place.
        if network.device.type != "meta":
            network.to(next(model.parameters()).device)
        self.hyperadapter_network[adapter_name] = network.train(model.training)
        network.requires_grad_(not config.inference_mode and adapter_name in self.active_adapters)
        self._install(model)
        if head and self._head is None:
            self._head = HeadHooks(model, head, self.conditioning)
        elif self._head is not None:
            self._head.place(model)

    def _group_specs(self, adapter_name: str, config: Any) -> list[GroupSpec]:
        names = tuple(config.conditions)
        return [
            GroupSpec(
                placements=placements,
                source=group.source,
                conditions=names if group.conditions is None else tuple(sorted(group.conditions)),
                gains=group.gains,
                deviating_layers=group.deviating_layers,
                first_pass=group.first_pass,
            )
            for group, placements in zip(
                self._plan.groups, self._injection.placements[adapter_name], strict=True
            )
        ]

    def _install(self, model: nn.Module) -> None:
        install(model, self.conditioning, sorted(self.declared))
        specs = [self.network(name).spec for name in self.hyperadapter_network]
        reads = any("encoder" in spec.stages.values() for spec in specs)
        if reads and self._encoder_reader is None:
            self._encoder_reader = EncoderReader(model, self.conditioning)
        elif self._encoder_reader is not None and not reads:
            self._encoder_reader.remove()
            self._encoder_reader = None

    @property
    def declared(self) -> set[str]:
        """Names of the conditions of all adapters."""
        configs: list[Any] = list(self.peft_config.values())
        return {name for config in configs for name in config.conditions}

    def network(self, adapter_name: str) -> AdapterNetwork:
        """The network of an adapter.

        Raises:
            ConfigError: There is none of that name.
        """
        networks = self.hyperadapter_network
        if adapter_name not in networks:
            known = ", ".join(sorted(networks))
            raise ConfigError(f"no adapter {adapter_name!r}; the model has {known}")
        network = networks[adapter_name]
        if not isinstance(network, AdapterNetwork):
            raise TypeError(f"adapter {adapter_name!r} holds a {type(network).__name__}")
        return network

    def _enable_adapter_layers(self, enabled: bool = True) -> None:
        super()._enable_adapter_layers(enabled)
        for span in self._injection.spans:
            span.enable_adapters(enabled)
        self.conditioning.enabled = enabled

    def set_adapter(self, adapter_name: str | list[str], inference_mode: bool = False) -> None:
        """Make adapters active; as in PEFT, exactly these are trainable afterwards."""
        super().set_adapter(adapter_name, inference_mode=inference_mode)
        for span in self._injection.spans:
            span.set_adapter(self.active_adapters)
        self._train_active(not inference_mode)

    def set_requires_grad(
        self, adapter_names: str | Sequence[str], requires_grad: bool = True
    ) -> None:
        """Freeze or unfreeze the networks of some adapters, as PEFT does with its layers."""
        super().set_requires_grad(adapter_names, requires_grad)
        names = [adapter_names] if isinstance(adapter_names, str) else adapter_names
        for name in names:
            self.network(name).requires_grad_(requires_grad)

    def _train_active(self, trainable: bool) -> None:
        for name, network in self.hyperadapter_network.items():
            network.requires_grad_(trainable and name in self.active_adapters)

    def forget_inputs(self) -> None:
        """Let go of what hooks have kept of a call that did not come to its end."""
        for span in self._injection.spans:
            span.forget()
        if self._head is not None:
            self._head.forget()

    def delete_adapter(self, adapter_name: str) -> None:
        """Remove an adapter and its network; if it was active, another one takes its place."""
        was_active = adapter_name in self.active_adapters
        super().delete_adapter(adapter_name)
        del self.hyperadapter_network[adapter_name]
        self._injection.drop(adapter_name)
        if was_active:
            # PEFT looks for the next one in its layers, and a bottleneck has none.
            if not self.active_adapters and self.peft_config:
                self.set_adapter(next(iter(self.peft_config)))
            self._train_active(True)
        self._install(self.model)

    @classmethod
    def _remove_adapter_name_from_key(cls, key: str, adapter_name: str) -> str:
        # What is saved under one name can be loaded under another.
        return key.replace(f"hyperadapter_network.{adapter_name}.", "hyperadapter_network.", 1)

    def _replace_module(
        self, parent: nn.Module, child_name: str, new_module: nn.Module, child: nn.Module
    ) -> None:
        # PEFT's own copies the weight of `child` too, and fails for a head of several modules
        # (https://github.com/huggingface/peft/pull/3213). Ours has nothing that could be copied.
        setattr(parent, child_name, new_module)

    def merge_and_unload(
        self,
        progressbar: bool = False,
        safe_merge: bool = False,
        adapter_names: list[str] | None = None,
        *,
        condition: Mapping[str, Any] | None = None,
    ) -> Any:
        """The plain Transformers model with the weights of one condition added to its own.

        Args:
            progressbar: Not used; merging one set of weights takes no time.
            safe_merge: Refuse to merge weights that are not finite.
            adapter_names: Which adapters; the active ones by default.
            condition: Keyword → the one value to merge, or a mixture of values.

        Raises:
            ConfigError: No condition is given, there are several, the weights depend on the input,
                or the form or the backbone cannot hold them.
        """
        names = list(adapter_names or self.active_adapters)
        written = materialise_all(self, names, condition)
        # What cannot be merged leaves the model as it was.
        for weights in written:
            check_mergeable(self.model, weights, finite=safe_merge)
        if names != list(self.active_adapters):
            # PEFT leaves the active head behind.
            self.set_adapter(names)
        model = self.unload()
        for weights in written:
            merge(model, weights)
        return model

    def merge_adapter(self, *args: Any, **kwargs: Any) -> None:
        """Refused: the weights of a layer differ from row to row.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(
            "the weights differ from row to row, so there is nothing single to merge; use "
            "merge_and_unload(condition=...)"
        )

    def add_weighted_adapter(self, *args: Any, **kwargs: Any) -> None:
        """Refused: here conditions are mixed, not adapters.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(
            "hyperadapters mix conditions, not adapters: pass {index: weight} as the condition, as "
            "annotator_ids={3: 0.5, 7: 0.5}"
        )

    def _unload_and_optionally_merge(self, merge: bool = True, *args: Any, **kwargs: Any) -> Any:
        uninstall(self.model)
        self._injection.remove_spans()
        if self._encoder_reader is not None:
            self._encoder_reader.remove()
        if self._head is not None:
            self._head.remove(self.model)
        use_plain_products(self.model)
        return super()._unload_and_optionally_merge(False, *args, **kwargs)


def adapter_network(model: nn.Module, adapter_name: str | None = None) -> AdapterNetwork:
    """The network of a `PeftModel` with a hyperadapter.

    Args:
        model: The model.
        adapter_name: Name of the adapter; by default the active one.

    Raises:
        ConditionError: The model has no hyperadapter.
        ConfigError: It has none of that name.
    """
    tuner = conditioning_of(model).tuner
    return tuner.network(adapter_name or tuner.active_adapters[0])


@contextmanager
def _without_targets(config: Any, plan: Plan) -> Iterator[None]:
    """PEFT refuses to adapt no module at all, unless the targets say that this is meant."""
    targets = config.target_modules
    if not plan.groups:
        config.target_modules = DUMMY_TARGET_MODULES
    try:
        yield
    finally:
        config.target_modules = targets


def _check_names(adapters: set[str], network: nn.Module) -> None:
    # PEFT picks what belongs to an adapter by looking for the names of the others in the path.
    parts = {part for path in network.state_dict() for part in path.split(".")}
    if taken := sorted(parts & adapters):
        raise ConfigError(
            f"an adapter cannot be called {', '.join(taken)}: a part of the network is called that"
        )
