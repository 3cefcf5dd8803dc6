def test_a_report_of_a_run(command, quick_run, ratings_csv, tmp_path):
    out = tmp_path / "report.html"
    done = command("report", quick_run, "--output", out, "--data", ratings_csv)
    assert done.status == 0, done.err
    assert done.out == f"the report is in {out}\n"
    page = out.read_text(encoding="utf-8")
    assert f"hyperadapters report {quick_run} --output" in page
    assert "Map of the annotators" in page and "Known people and strangers" in page


def test_mistakes(refused, quick_run, tmp_path):
    out = tmp_path / "report.html"
    assert "--by ATTRIBUTE needs" in refused("report", quick_run, "--output", out, "--by", "age")
    assert "is no folder" in refused("report", tmp_path / "none", "--output", out)
    out.write_text("mine")
    assert "is there already" in refused("report", quick_run, "--output", out)


def test_help(command):
    shown = command("report", "--help").out
    assert "--figures" in shown and "--data" in shown
