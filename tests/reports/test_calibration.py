import json
import shutil

from hyperadapters.reports.build import report


def test_temperatures_are_told_where_there_are_any(runs, tmp_path):
    folder = shutil.copytree(runs / "hyperlora" / "seed-0", tmp_path / "run")
    record = json.loads((folder / "run.json").read_text())
    pages = {}
    for results in ({"temperature": 1.234}, {}):
        changed = {**record, "results": {**record["results"], **results}}
        (folder / "run.json").write_text(json.dumps(changed))
        pages[len(results)] = report(folder, tmp_path / f"{len(results)}.html").read_text("utf-8")
    told = "Logits were divided by a temperature, found on dev: hyperlora 1.234."
    assert told in pages[1]
    assert "divided by a temperature" not in pages[0]
