"""The adapters' places in one backbone: linear modules that are wrapped, sub-layers with hooks."""

from typing import Any

from torch import nn

from hyperadapters.adapters import Placement
from hyperadapters.errors import SiteError
from hyperadapters.sites import Site
from hyperadapters.tuner.conditioning import Conditioning
from hyperadapters.tuner.layer import HyperAdapterLinear, Part, linear_widths
from hyperadapters.tuner.plan import Plan, adapts_positions
from hyperadapters.tuner.span import Span


class Injection:
    """Puts adapters into a backbone, and takes them out.

    Args:
        model: The Transformers model.
        conditioning: Where the weights come from.
        spans: Where the spans are kept: by their modules, as submodules of the tuner.

    Attributes:
        placements: Name of the adapter → per group its sites and forms.
    """

    def __init__(self, model: nn.Module, conditioning: Conditioning, spans: nn.ModuleDict) -> None:
        self.model = model
        self.conditioning = conditioning
        self.placements: dict[str, list[list[Placement]]] = {}
        self._spans = spans

    @property
    def spans(self) -> list[Span]:
        """All spans."""
        return [span for span in self._spans.values() if isinstance(span, Span)]

    def add(
        self, plan: Plan, adapter_name: str, name: str, parent: nn.Module, active: list[str]
    ) -> None:
        """Put the adapters of all groups that match beside a module.

        Args:
            plan: Which groups match what.
            adapter_name: Name of the adapter.
            name: Path of the module.
            parent: The module that holds it.
            active: Names of the active adapters.

        Raises:
            SiteError: The module cannot be adapted.
        """
        for match in plan.matches(name):
            group = plan.groups[match.group]
            placements = self.placements[adapter_name][match.group]
            form = group.form_at(name)
            part = Part(match.group, len(placements), form, group.dropout)
            if group.form == "bottleneck":
                layer: HyperAdapterLinear | Span = self._span(match.reader, name)
                site = Site(name, layer.in_width, layer.out_width)
            else:
                # Another group may have wrapped the module a moment ago.
                target = getattr(parent, name.rsplit(".", 1)[-1])
                site = _linear_site(self.model, name, target)
                layer = self._linear(parent, name, target)
            layer.add_part(adapter_name, part)
            layer.set_adapter(active)
            placements.append(Placement(site, form))

    def drop(self, adapter_name: str) -> None:
        """Take all parts of an adapter out; wrapped modules stay wrapped, as in PEFT."""
        self.placements.pop(adapter_name, None)
        for module in (*self.model.modules(), *self.spans):
            if isinstance(module, HyperAdapterLinear | Span):
                module.hyperadapter_parts.pop(adapter_name, None)
        for key, span in list(self._spans.items()):
            if isinstance(span, Span) and not span.hyperadapter_parts:
                span.remove()
                del self._spans[key]

    def unwrap(self) -> None:
        """Put the linear modules back into their places."""
        for parent in list(self.model.modules()):
            for name, child in list(parent.named_children()):
                if (
                    isinstance(child, HyperAdapterLinear)
                    and child.conditioning is self.conditioning
                ):
                    setattr(parent, name, child.base_layer)

    def remove_spans(self) -> None:
        """Take all hooks off."""
        for span in self.spans:
            span.remove()
        self._spans.clear()

    def _linear(self, parent: nn.Module, name: str, target: Any) -> HyperAdapterLinear:
        if isinstance(target, HyperAdapterLinear):
            return target
        layer = HyperAdapterLinear(target, self.conditioning).train(target.training)
        setattr(parent, name.rsplit(".", 1)[-1], layer)
        return layer

    def _span(self, reader: str, writer: str) -> Span:
        # Names of modules have no points.
        key = f"{reader}>{writer}".replace(".", "/")
        if key not in self._spans:
            modules = self.model.get_submodule(reader), self.model.get_submodule(writer)
            self._spans[key] = Span(*modules, writer, self.conditioning)
        span = self._spans[key]
        assert isinstance(span, Span)  # noqa: S101 - for the type checker
        return span


def _linear_site(model: nn.Module, name: str, target: nn.Module) -> Site:
    if adapts_positions(model, name):
        raise SiteError(
            f"{name}: DeBERTa applies this projection to its relative positions (with "
            "share_att_key also those of query and key), which have no rows; adapt the value "
            "projection and attention.output.dense instead"
        )
    base = target.get_base_layer() if isinstance(target, HyperAdapterLinear) else target
    try:
        return Site(name, *linear_widths(base))
    except SiteError as error:
        raise SiteError(f"{name}: {error}") from None
