"""Reports: tables and run folders in, one HTML file out. They never see a model.

`build.report` opens the folder (`folders`), gathers its tables (`source`), asks every one of
`sections` for its pieces, and puts them on a page (`page`). A section describes its pictures; they
are drawn (`figures`) and turned into SVG (`render`) when the page is written.
"""
