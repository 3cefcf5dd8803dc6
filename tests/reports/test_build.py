import base64
import json
import re
import shutil
import sys
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

import hyperadapters as ha
from hyperadapters.errors import ConfigError, DataError, RunError
from hyperadapters.evaluation import risk_coverage
from hyperadapters.labels import LabelSpace
from hyperadapters.reports import render
from hyperadapters.reports.build import report
from hyperadapters.tables import predictions_frame, read_scores

HOSTILE = "<script>alert(1)</script>\"'&$x_1$\u202e\x07</svg></text>]]>"
VOID = {"meta", "br"}


class Page(HTMLParser):
    """What stands in a page, and whether all that was opened was closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def of(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def page_of(path, tmp_path, **options):
    return report(path, tmp_path / "r.html", **options).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def whole(runs, ratings, tmp_path_factory):
    return page_of(runs, tmp_path_factory.mktemp("whole"), ratings=ratings)


def test_numbers_are_those_of_scores(whole, runs):
    words = Page(whole).text
    files = [runs / "hyperlora" / f"seed-{seed}" / "scores.json" for seed in (0, 1)]
    scores = pd.concat([read_scores(file) for file in files])
    scores = scores.loc[(scores["split"] == "test") & (scores["slice"] == "all")]
    for metric in ("nll", "accuracy", "macro_f1", "annotator_macro_f1_min", "soft_manhattan"):
        rows = scores.loc[scores["metric"] == metric]
        mean, spread = rows["value"].mean(), rows["value"].std()
        assert f"{mean:.3f} ± {spread:.3f}" in words, metric
        assert f"{rows['low'].mean():.3f} to {rows['high'].mean():.3f}" in words, metric


def test_every_part_is_there(whole):
    headings = [t for t, a in Page(whole).tags if t in ("h1", "h2", "h3")]
    assert headings[0] == "h1" and headings.count("h1") == 1
    assert headings[1] == "h2"  # no level is left out
    names = {attrs.get("id") for attrs in Page(whole).of("h2")}
    assert names == {
        *("summary", "methods", "people", "map", "contested", "squares", "calibration"),
        *("data", "cost", "made-by", "left-out"),
    }


def test_nothing_comes_from_elsewhere(whole):
    assert "http" not in whole and "url(" not in re.sub(r"url\(#", "", whole)
    page = Page(whole)
    assert not page.open
    for tag, attrs in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed", "base"), tag
        assert not [name for name in attrs if name.startswith("on")], attrs
        for name in ("href", "src"):
            assert attrs.get(name, "#").startswith(("#", "data:text/csv", "data:image/png")), attrs
    assert len(whole) < 2_000_000


def test_a_screen_reader_finds_its_way(whole):
    page = Page(whole)
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = [a["href"][1:] for a in page.of("a") if a["href"].startswith("#")]
    assert links and set(links) <= set(ids)
    assert {attrs["role"] for attrs in page.of("svg")} == {"img"}
    assert all(len(attrs["aria-label"]) > 40 for attrs in page.of("svg"))
    assert len(page.of("caption")) == len(page.of("table"))
    assert all(a.get("scope") in ("col", "row") for a in page.of("th"))
    scrolled = [a for a in page.of("div") if a.get("class") == "scroll"]
    assert len(scrolled) == len(page.of("table"))
    assert all(a["tabindex"] == "0" and a["aria-label"] for a in scrolled)
    assert page.of("html")[0]["lang"] == "en" and page.of("main")


def test_colours_follow_the_page_and_are_far_enough_from_it(whole):
    from hyperadapters.reports.colours import DARK, LIGHT, SERIES

    def light(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    for colours in (LIGHT, DARK):
        for name, wanted in {
            "ink": 7,
            "soft": 4.5,
            "link": 4.5,
            **dict.fromkeys(SERIES, 3),
        }.items():
            ends = sorted(light(colours[c]) for c in (name, "paper"))
            assert (ends[1] + 0.05) / (ends[0] + 0.05) >= wanted, name
    drawn = whole[whole.index("<svg") :]
    assert "var(--blue)" in drawn and LIGHT["ink"] not in drawn
    assert "prefers-color-scheme:dark" in whole


def test_downloads_hold_the_numbers_of_the_pictures(whole, runs):
    links = {a["download"]: a["href"] for a in Page(whole).of("a") if "download" in a}
    rows = base64.b64decode(links["methods-nll.csv"].partition("base64,")[2]).decode().splitlines()
    assert rows[0] == "name,value,low,high" and rows[1].startswith("hyperlora,")
    scores = [read_scores(runs / "hyperlora" / f"seed-{s}" / "scores.json") for s in (0, 1)]
    both = pd.concat(scores)
    wanted = both.loc[(both["metric"] == "nll") & (both["slice"] == "all"), "value"].mean()
    assert float(rows[1].split(",")[1]) == pytest.approx(wanted)


def test_ratings_add_words_train_counts_and_leaks(whole, runs, tmp_path):
    words = Page(whole).text
    assert "words of t" in words and "ratings in train" in words
    assert "Leaks: no text stands in more than one split" in words
    without = Page(page_of(runs, tmp_path)).text
    assert "words of t" not in without and "ratings in train" in without
    assert "name the ratings with --data FILE" in without


def test_nothing_is_said_of_train_where_people_were_held_out(runs, ratings, tmp_path):
    folder = shutil.copytree(runs, tmp_path / "divided")
    for file in folder.rglob("run.json"):
        record = json.loads(file.read_text())
        record["data"]["split"] = {"by": "both", "fold": 0, "folds": 5, "seed": 0}
        file.write_text(json.dumps(record))
    words = Page(page_of(folder, tmp_path, ratings=ratings)).text
    assert "words of t" in words
    assert "their ratings in test;" in words and "their ratings in train" not in words


def test_leaks_are_told(runs, ratings, tmp_path):
    leaking = ratings.copy()
    test_text = leaking.loc[leaking["split"] == "test", "text"].iloc[0]
    first = leaking["text_id"] == leaking.loc[leaking["split"] == "train", "text_id"].iloc[0]
    leaking.loc[first, "text"] = test_text.upper()
    assert "Leaks: 1 texts stand" in Page(page_of(runs, tmp_path, ratings=leaking)).text


def test_the_map_beats_shuffled_vectors_only_where_there_is_something(whole, runs, make, tmp_path):
    words = Page(whole).text
    shares = re.findall(
        r"Place explains (\d+) % of the differences in rate of toxic; people who "
        r"are shuffled reach (\d+) %",
        words,
    )
    (real, chance), (null, _) = [tuple(map(int, pair)) for pair in shares]
    assert real > 85 and chance < 70
    assert null < real
    noise = np.random.default_rng(5).normal(size=(12, 6))
    folder = make.run(tmp_path / "noise", make.answers("hyperlora", 0.9), vectors=noise)
    words = Page(page_of(folder, tmp_path)).text
    share = int(re.search(r"Place explains (\d+) % of the differences in rate", words)[1])
    assert share < 70


def test_parameters_cross_where_the_sizes_say(whole):
    # Shared 5000 - 120, 10 each; separately a head of 100 and 2 * 4 * 32 each.
    crossing = (4880 - 100) / (256 - 10)
    assert f"They cross at {int(np.ceil(crossing))} annotators" in Page(whole).text


def test_invented_people_are_marked_and_no_prediction_is_an_opinion(make, tmp_path, whole):
    words = Page(whole).text
    assert "It is not that person's opinion." in words and "Simulated" not in words
    predictions = make.answers("hyperlora", 0.9)
    predictions["annotator"] = predictions["annotator"].replace("p00", "sim-ada")
    folder = make.run(tmp_path / "run", predictions, vectors=make.vectors())
    assert "Simulated data: these people are invented." in Page(page_of(folder, tmp_path)).text


def test_downloads_hold_no_formulas(make, tmp_path):
    predictions = make.answers("hyperlora", 0.9)
    predictions["annotator"] = "=" + predictions["annotator"]
    folder = make.run(tmp_path / "run", predictions, vectors=make.vectors())
    links = [
        dict(attributes).get("href", "") for _, attributes in Page(page_of(folder, tmp_path)).tags
    ]
    tables = [base64.b64decode(link.partition(",")[2]) for link in links if "text/csv" in link]
    assert any(b"'=p00" in table for table in tables)
    assert not any(line.startswith(b"=") for table in tables for line in table.splitlines())


def test_a_single_run_has_no_baseline_and_says_so(runs, tmp_path):
    words = Page(page_of(runs / "hyperlora" / "seed-0", tmp_path)).text
    assert "there is no other method to compare with" in words
    assert "Whom a method helps" not in words and "Each dot is a person" in words


def test_a_counting_method_has_neither_vectors_nor_divides(runs, tmp_path):
    folder = runs / "global-mode" / "seed-0"
    words = Page(page_of(folder, tmp_path)).text
    assert "global-mode has no vector for each annotator" in words
    assert "no parameters of single annotators" in words


def test_one_label_only(make, tmp_path):
    predictions = make.answers("hyperlora", 0.9)
    predictions["label"] = "fine"
    folder = make.run(tmp_path / "run", predictions, vectors=make.vectors())
    words = Page(page_of(folder, tmp_path)).text
    assert "Agreement: all labels of split test are fine" in words
    assert "The rate of toxic never differs" in words


def test_one_text_and_few_rows(make, tmp_path):
    predictions = make.answers("hyperlora", 0.9, texts=1)
    folder = make.run(tmp_path / "run", predictions, vectors=make.vectors())
    words = Page(page_of(folder, tmp_path)).text
    assert "nobody has 5 labelled rows" in words and "to 1 text, 1 seed" in words


def test_nobody_is_known(make, tmp_path):
    predictions = make.answers("hyperlora", 0.9).assign(source="population")
    folder = make.run(tmp_path / "run", predictions, vectors=make.vectors())
    (folder / "vocabulary.json").write_text('{"names": []}')
    assert "no vector for each annotator" in Page(page_of(folder, tmp_path)).text


@pytest.mark.parametrize("labels", [(0, 1, 2, 3), ("a", "b", "c")])
def test_scales_and_several_labels(make, tmp_path, labels):
    predictions = make.answers("hyperlora", 0.8, labels=labels)
    folder = make.run(tmp_path / "run", predictions, vectors=make.vectors())
    words = Page(page_of(folder, tmp_path)).text
    assert ("mean label" if labels[0] == 0 else "rate of ") in words


def test_groups_of_what_the_run_was_told(make, tmp_path):
    kinds = {f"p{i:02}": ["strict" if i % 12 > 5 else "lenient"] for i in range(24)}
    predictions = make.answers("hyperlora", 0.9, people=24)
    vectors = np.random.default_rng(0).normal(size=(24, 5))
    folder = make.run(tmp_path / "run", predictions, vectors=vectors, attributes=(["kind"], kinds))
    words = Page(page_of(folder, tmp_path)).text
    assert "Largest gaps by kind" in words and "Coloured by kind" in words
    found = ha.group_scores(
        predictions,
        pd.DataFrame({"annotator": list(kinds), "kind": [k[0] for k in kinds.values()]}),
        "kind",
    )
    gap = found.gaps.set_index("metric").loc["accuracy"]
    assert f"{gap['lowest']} {gap['highest']} {gap['gap']:.3f}" in words


def test_small_groups_are_not_shown(runs, tmp_path):
    people = pd.DataFrame({"annotator": [f"p{i:02}" for i in range(12)], "age": list("ab" * 6)})
    page = page_of(runs, tmp_path, attributes=people, by=["age"])
    assert "Groups by age: none has 10 people." in Page(page).text


def test_hostile_words_stay_words(make, tmp_path):
    predictions = make.answers(HOSTILE.replace("\x07", ""), 0.9, labels=("fine", HOSTILE))
    names = predictions["annotator"].unique()
    table = predictions.assign(
        annotator=predictions["annotator"].replace({names[0]: HOSTILE + " =1+1"})
    )
    folder = make.run(tmp_path / "run", table)
    ratings = table[["text_id", "annotator", "label"]].astype(object)
    ratings["text"] = HOSTILE + table["text_id"]
    page = page_of(folder, tmp_path, ratings=ratings, command=HOSTILE)
    parsed = Page(page)
    assert not parsed.open and not parsed.of("script")
    assert "<script>" not in page and "\x07" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_newcomers_where_there_are_scores(runs, tmp_path):
    folder = shutil.copytree(runs / "hyperlora" / "seed-0", tmp_path / "run")
    rows = [
        {
            **{"method": "hyperlora", "seed": 0, "split": "test", "slice": f"k={k}"},
            **{"metric": "nll", "value": 0.7 - k / 100, "low": 0.5, "high": 0.8, "n": 9},
        }
        for k in (0, 4, 16)
    ]
    (folder / "k_shot.json").write_text(json.dumps(rows))
    words = Page(page_of(folder, tmp_path)).text
    assert "From the fewest to the most: hyperlora 0.700 to 0.540" in words


def test_figures_are_written_beside_it(runs, tmp_path):
    report(runs / "hyperlora" / "seed-0", tmp_path / "r.html", figures=tmp_path / "figures")
    names = {file.name for file in (tmp_path / "figures").iterdir()}
    assert {"reliability.svg", "reliability.png", "reliability.csv"} <= names
    assert len(names) % 3 == 0
    assert (tmp_path / "figures" / "map-rate.png").read_bytes().startswith(b"\x89PNG")
    data = pd.read_csv(tmp_path / "figures" / "risk-coverage.csv")
    assert data["risk"].iloc[-1] == pytest.approx(1 - _accuracy(runs / "hyperlora" / "seed-0"))


def _accuracy(folder):
    scores = read_scores(folder / "scores.json")
    chosen = (scores["metric"] == "accuracy") & (scores["slice"] == "all")
    return float(scores.loc[chosen, "value"].iloc[0])


def test_the_same_again_is_the_same_page(runs, tmp_path):
    folder = runs / "hyperlora" / "seed-0"
    first = report(folder, tmp_path / "a.html").read_bytes()
    assert report(folder, tmp_path / "b.html").read_bytes() == first


def test_risk_of_all_is_the_error_rate(make):
    predictions = make.answers("m", 0.8)
    found = risk_coverage(predictions)
    wrong = (predictions["label"] != predictions["predicted"]).mean()
    assert found["risk"].iloc[-1] == pytest.approx(wrong)
    assert found["coverage"].iloc[-1] == 1 and found["threshold"].is_monotonic_decreasing


def test_risk_keeps_equals_together():
    labels = LabelSpace((0, 1))
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.2, 0.8], [0.4, 0.6]])
    frame = predictions_frame(list("abcd"), ["x"] * 4, p, labels, label=[0, 1, 0, 0])
    found = risk_coverage(frame)
    assert found["coverage"].tolist() == [0.25, 0.75, 1.0]
    assert found["risk"].tolist() == pytest.approx([0, 1 / 3, 0.5])


def test_mistakes(runs, ratings, make, tmp_path):
    out = tmp_path / "r.html"
    with pytest.raises(RunError, match=r"has no run\.json; name a run folder"):
        report(tmp_path, out)
    with pytest.raises(ConfigError, match="there is no run of 'x'; there are hyperlora"):
        report(runs, out, method="x")
    with pytest.raises(ConfigError, match="cannot be the baseline of itself"):
        report(runs, out, method="hyperlora", baseline="hyperlora")
    with pytest.raises(ConfigError, match="have no column 'age'"):
        report(runs, out, ratings=ratings, by=["age"])
    with pytest.raises(DataError, match="none of the texts"):
        report(runs, out, ratings=ratings.assign(text_id="other"))
    assert not out.exists()
    out.write_text("mine")
    with pytest.raises(RunError, match="is there already"):
        report(runs, out)
    folder = make.run(tmp_path / "open", make.answers("m", 0.9))
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, "complete": False}))
    with pytest.raises(RunError, match="was not finished"):
        report(folder, tmp_path / "s.html")
    (folder / "run.json").write_text("[]")
    with pytest.raises(RunError, match="is not the record of a run"):
        report(folder, tmp_path / "s.html")


def test_matplotlib_is_missing(runs, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"needs Matplotlib.*hyperadapters\[report\]"):
        report(runs, tmp_path / "r.html")


def test_inline_pictures_have_names_of_their_own(runs):
    from hyperadapters.reports.picture import Picture

    data = pd.DataFrame({"x": [1, 2]})
    one, two = (
        render.inline(Picture(n, "T", "C", data, lambda axes: axes.scatter([1, 2], [1, 2])))
        for n in ("one", "two")
    )
    ids = [set(re.findall(r' id="([^"]+)"', svg)) for svg in (one, two)]
    assert ids[0] and not ids[0] & ids[1]
    assert set(re.findall(r'(?:url\(#|href="#)([^")]+)', one)) <= ids[0]
