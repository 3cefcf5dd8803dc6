"""Where in the backbone weights are applied."""

from hyperadapters.sites.families import DEFAULT_TARGETS, FEED_FORWARD
from hyperadapters.sites.site import Site

__all__ = ["DEFAULT_TARGETS", "FEED_FORWARD", "Site"]
