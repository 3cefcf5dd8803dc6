"""The sites that an adapter was made for, against those of the model that it is loaded into."""

from collections.abc import Sequence

from hyperadapters.errors import SiteError
from hyperadapters.sites import Site


def compare_sites(wanted: Sequence[Sequence[str]], found: Sequence[Sequence[str]]) -> None:
    """Refuse a model with other sites.

    Args:
        wanted: Per group the recorded sites, as ``"encoder.layer.0.attention.self.query 32→32"``.
        found: Those of the model, which may have another prefix (`bert.encoder...`).

    Raises:
        SiteError: They differ; names a site that is missing and one that is new.
    """
    if [[_key(s) for s in group] for group in wanted] == [[_key(s) for s in g] for g in found]:
        return
    missing = [s for group in wanted for s in group if s not in {s for g in found for s in g}]
    surplus = [s for group in found for s in group if s not in {s for g in wanted for s in g}]
    count = f"{sum(map(len, wanted))} sites, this model has {sum(map(len, found))}"
    shown = f"; it misses {missing[0]}" if missing else ""
    shown += f"; it has {surplus[0]}" if surplus else ""
    raise SiteError(f"the adapter was made for {count}{shown}")


def _key(site: str) -> tuple[int | None, str]:
    name, _, widths = site.rpartition(" ")
    return Site(name, 1, 1).layer, f"{'.'.join(name.split('.')[-3:])} {widths}"
