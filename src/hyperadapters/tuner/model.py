"""The tuner: finds the sites, builds the network, and lives inside PEFT as any other method."""

import difflib
from typing import Any

from peft.tuners.tuners_utils import BaseTuner
from torch import nn

from hyperadapters.errors import ConfigError, SiteError
from hyperadapters.hypernetworks import AdapterNetwork, build_network
from hyperadapters.sites import DEFAULT_TARGETS, Site
from hyperadapters.tuner.conditioning import Conditioning, conditioning_of
from hyperadapters.tuner.config import HyperAdapterConfig
from hyperadapters.tuner.entry import install, uninstall
from hyperadapters.tuner.head import HeadHooks, find_head, head_input_width
from hyperadapters.tuner.layer import HyperAdapterLinear, site_of


class HyperAdapterModel(BaseTuner):
    """PEFT tuner whose weights are written by an `AdapterNetwork`, one per adapter name.

    Attributes:
        hyperadapter_network: Adapter name → network. PEFT saves and loads it with the adapter.
        conditioning: Which weights are applied at the moment.
    """

    prefix = "hyperadapter_"
    tuner_layer_cls = HyperAdapterLinear
    target_module_mapping = DEFAULT_TARGETS
    # The network is shared by all layers and lives on the tuner, so PEFT must keep the tuner.
    uses_shared_state = True

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
        sites = self._sites[adapter_name]
        site = site_of(current_key, target)
        if isinstance(target, HyperAdapterLinear):
            layer = target
        else:
            layer = HyperAdapterLinear(target, self.conditioning)
            self._replace_module(parent, target_name, layer, target)
        layer.update_layer(
            adapter_name, len(sites), peft_config.form.scale, peft_config.lora_dropout
        )
        layer.set_adapter(self.active_adapters)
        sites.append(site)

    def inject_adapter(
        self, model: nn.Module, adapter_name: str, *args: Any, **kwargs: Any
    ) -> None:
        """As PEFT's, with the network of the adapter; PEFT calls it for every adapter.

        Raises:
            SiteError: No module matches `target_modules` (names those that come near), or one that
                does is not linear.
            ConfigError: The configuration does not fit the model.
        """
        if not hasattr(self, "hyperadapter_network"):
            self.hyperadapter_network = nn.ModuleDict()
            self.conditioning = Conditioning(self)
            self._sites: dict[str, list[Site]] = {}
            self._head: HeadHooks | None = None
        sites = self._sites[adapter_name] = []
        config: Any = self.peft_config[adapter_name]
        try:
            super().inject_adapter(model, adapter_name, *args, **kwargs)
        except ValueError as error:
            if isinstance(error, ConfigError | SiteError) or sites:
                raise
            raise SiteError(_no_match(model, config.target_modules)) from error
        self._add_network(model, adapter_name, config)

    def _add_network(self, model: nn.Module, adapter_name: str, config: Any) -> None:
        head = find_head(model) if config.task_type == "SEQ_CLS" else None
        n_labels = getattr(getattr(model, "config", None), "num_labels", None)
        width = head_input_width(model.get_submodule(head)) if head else None
        spec = config.network_spec(width, n_labels if head else None)
        network = build_network(spec, self._sites[adapter_name])
        _check_names({*self.hyperadapter_network, adapter_name}, network)
        # The network works in float32 even beside a half-precision backbone. With PEFT's
        # low_cpu_mem_usage it is on the meta device until the stored weights take its place.
        if not next(network.parameters()).is_meta:
            network.to(next(model.parameters()).device)
        self.hyperadapter_network[adapter_name] = network.train(model.training)
        network.requires_grad_(not config.inference_mode and adapter_name in self.active_adapters)
        self._install(model)
        if head and self._head is None:
            self._head = HeadHooks(model, head, self.conditioning)
        elif self._head is not None:
            self._head.place(model)

    def _install(self, model: nn.Module) -> None:
        configs: list[Any] = list(self.peft_config.values())
        install(model, self.conditioning, sorted({n for c in configs for n in c.conditions}))

    def _enable_adapter_layers(self, enabled: bool = True) -> None:
        super()._enable_adapter_layers(enabled)
        self.conditioning.enabled = enabled

    def set_adapter(self, adapter_name: str | list[str], inference_mode: bool = False) -> None:
        """Make adapters active; as in PEFT, exactly these are trainable afterwards."""
        super().set_adapter(adapter_name, inference_mode=inference_mode)
        self._train_active(not inference_mode)

    def _train_active(self, trainable: bool) -> None:
        for name, network in self.hyperadapter_network.items():
            network.requires_grad_(trainable and name in self.active_adapters)

    def delete_adapter(self, adapter_name: str) -> None:
        """Remove an adapter and its network; if it was active, another one takes its place."""
        was_active = adapter_name in self.active_adapters
        super().delete_adapter(adapter_name)
        del self.hyperadapter_network[adapter_name]
        del self._sites[adapter_name]
        if was_active:
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

    def _unload_and_optionally_merge(self, merge: bool = True, *args: Any, **kwargs: Any) -> Any:
        if merge:
            raise ConfigError(
                "the weights differ from row to row, so there is nothing single to merge"
            )
        uninstall(self.model)
        if self._head is not None:
            self._head.remove()
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
    name = adapter_name or tuner.active_adapters[0]
    networks = tuner.hyperadapter_network
    if name not in networks:
        raise ConfigError(f"no adapter {name!r}; the model has {', '.join(sorted(networks))}")
    network = networks[name]
    if not isinstance(network, AdapterNetwork):
        raise TypeError(f"adapter {name!r} holds a {type(network).__name__}")
    return network


def _check_names(adapters: set[str], network: nn.Module) -> None:
    # PEFT picks what belongs to an adapter by looking for the names of the others in the path.
    parts = {part for path in network.state_dict() for part in path.split(".")}
    if taken := sorted(parts & adapters):
        raise ConfigError(
            f"an adapter cannot be called {', '.join(taken)}: a part of the network is called that"
        )


def _no_match(model: nn.Module, targets: Any) -> str:
    # Where PEFT has wrapped a module already, the name that counts is that of the wrapper.
    paths = (
        name.removesuffix(".base_layer").removesuffix(".original_module")
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and ".modules_to_save." not in name
    )
    endings = sorted({path.rsplit(".", 1)[-1] for path in paths})
    if targets is None:
        family = getattr(getattr(model, "config", None), "model_type", type(model).__name__)
        return (
            f"no default targets for the family {family!r}; name target_modules, "
            f"among {', '.join(endings)}"
        )
    wanted = [targets] if isinstance(targets, str) else sorted(targets)
    near = {n for w in wanted for n in difflib.get_close_matches(w, endings, cutoff=0.4)}
    shown = ", ".join(sorted(near) or endings)
    return f"target_modules {wanted} match nothing; linear modules with near names: {shown}"
