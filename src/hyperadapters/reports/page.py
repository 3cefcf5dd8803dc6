"""The page: one file of HTML that needs nothing from elsewhere."""

from collections.abc import Sequence

from hyperadapters.reports.colours import DARK, LIGHT
from hyperadapters.reports.markup import Markup, element, escaped


def _variables(colours: dict[str, str]) -> str:
    return "".join(f"--{name}:{value};" for name, value in colours.items())


STYLE = (
    f":root{{color-scheme:light dark;{_variables(LIGHT)}}}"
    f"@media screen and (prefers-color-scheme:dark){{:root{{{_variables(DARK)}}}}}"
    "*{box-sizing:border-box}"
    "body{font:16px/1.55 system-ui,sans-serif;color:var(--ink);background:var(--paper);"
    "margin:0 auto;max-width:72rem;padding:1rem clamp(.9rem,3vw,2rem) 4rem;"
    "overflow-wrap:break-word}"
    "h1{font-size:1.7rem;line-height:1.2;margin:1rem 0 .3rem}"
    "h2{font-size:1.25rem;margin:2.6rem 0 .4rem;padding-top:.6rem;border-top:1px solid var(--line)}"
    "h3{font-size:1rem;margin:0 0 .3rem}p,ul{max-width:46rem}p{margin:.5rem 0}"
    "small,.low{color:var(--soft);font-weight:normal}a{color:var(--link)}"
    "nav ul{display:flex;flex-wrap:wrap;gap:.15rem 1rem;list-style:none;padding:0;max-width:none}"
    "nav a,.down a{display:inline-block;padding:.2rem 0}"
    ".pictures{display:grid;gap:1.2rem 2rem;margin:1rem 0;"
    "grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr))}"
    "figure{margin:0;max-width:34rem;break-inside:avoid}figure svg{display:block;width:100%;"
    "height:auto}"
    "figure svg text{font-family:system-ui,sans-serif!important}"
    "figcaption{font-size:.9rem}figcaption p{margin:.3rem 0}.down{font-size:.85rem}"
    ".scroll{overflow-x:auto;margin:.8rem 0}"
    "table{border-collapse:collapse;font-size:.86rem;font-variant-numeric:tabular-nums}"
    "caption{text-align:left;color:var(--soft);padding-bottom:.3rem}"
    "th,td{padding:.3rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}"
    "th{font-weight:600}thead th{vertical-align:bottom}tbody th{font-weight:normal}"
    ".keep{white-space:nowrap}.left{text-align:left}.right{text-align:right}td.right{white-space:nowrap}"
    "th:first-child,td:first-child{padding-left:0}td.left{min-width:7rem}tbody th{min-width:9rem}"
    "code,pre{font:.85rem ui-monospace,monospace}pre{overflow-x:auto;white-space:pre-wrap}"
    "code{overflow-wrap:anywhere}.tiles{display:flex;flex-wrap:wrap;gap:.6rem 2.2rem;margin:1rem 0}"
    ".tiles div{min-width:6rem}.tiles dt{font-size:.85rem;color:var(--soft)}"
    ".tiles dd{margin:0;font-size:1.35rem;font-variant-numeric:tabular-nums}"
    ".tiles dd small{display:block;font-size:.8rem}dl{margin:0}summary{cursor:pointer;"
    "padding:.3rem 0}"
    "@media print{body{max-width:none;font-size:11pt;padding:0}nav,.down{display:none}"
    ".pictures{grid-template-columns:1fr 1fr}.scroll{overflow:visible}h2{break-after:avoid}"
    "table{font-size:8pt}th,td{padding:.2rem .3rem}td.left{min-width:0}tbody th{min-width:5rem}"
    "td.right{white-space:normal}td.right small{font-size:5.8pt;white-space:nowrap}"
    "tr{break-inside:avoid}"
    # What can be opened is open on paper.
    "summary{list-style:none;font-weight:600}"
    "details::details-content{display:block;content-visibility:visible;height:auto}}"
)


def page(title: str, *body: object) -> str:
    """A page of its own.

    Args:
        title: Its title and first heading, as text.
        *body: What stands below the heading; text is escaped.
    """
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{escaped(title)}</title><style>{STYLE}</style></head>\n"
        f"<body><main>{element('h1', title)}{''.join(map(escaped, body))}</main></body></html>\n"
    )


def contents(names: Sequence[tuple[str, str]]) -> Markup:
    """Links to sections, from their ids and titles."""
    links = (element("li", element("a", title, href=f"#{name}")) for name, title in names)
    return element("nav", element("ul", *links), aria_label="Contents")
