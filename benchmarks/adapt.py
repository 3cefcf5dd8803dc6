"""People whom no method has seen, from 0 to 32 labels: runs what is missing, writes the table.

    python benchmarks/adapt.py --data ../shared/data/perspectives

The protocol is that of `hyperadapters compare --unseen`: people of fold 0 (column `fold` of the
tables of annotators) are held out, k of their labels become known, at random or suggested, and they
are asked about texts of test. Beside the most probable vectors stand those that a set encoder gives
in one pass; it is trained after the run. `--time` measures how long adapting takes. Runs and
predictions are kept in `--runs`, and what is finished is not run again; results go to
benchmarks/results/adapt.json, where those of other methods stay as they are (so that methods may
have different seeds, each call with folders of its own); `--table` runs nothing and writes
docs/tables/adapt.md and the short table of docs/new-people.md.
"""

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import store

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "adapt.json"
TABLE = HERE.parent / "docs" / "tables" / "adapt.md"
PAGE = HERE.parent / "docs" / "new-people.md"
# Data set → attributes of its annotators.
DATASETS = {
    "popquorn_offensiveness": "gender,race,age,occupation,education",
    "crehate": "nationality,age,education,ethnicity,gender,politic,religion",
    "dense_toxicity": "race,age,gender,political",
}
METHODS = ("hyperlora", "intercept", "annotator-embedding", "text-only")
DESCRIBED = ("hyperlora+attributes", "attributes-only")
"""Methods that are told attributes."""

COUNTS = (0, 1, 2, 4, 8, 16, 32)
FOLD, LEAST = 0, 8
N_LABELS, N_PEOPLE = 8, 1000
"""Of how many labels somebody is learned, and how many people in one call, for `--time`."""

ONE_PASS = "one pass"
SHOWN = {
    "nll": "nll ↓",
    "macro_f1": "pooled macro-F1 ↑",
    "annotator_macro_f1": "annotator macro-F1 ↑",
    "rate_coverage": "share of people whose rate of positive labels lies in its 90 % interval",
}


def ratings_of(
    dataset: str, data: Path, n_texts: int | None, n_people: int | None = None
) -> pd.DataFrame:
    """Ratings of a data set, with folds and attributes of annotators.

    Args:
        dataset: Its name.
        data: Where the tables are.
        n_texts: Only so many of the texts.
        n_people: Only so many of the people of training; of those held out all.
    """
    import hyperadapters as ha

    # crehate has texts in two of its authors' splits, and "don't know" as a label.
    files = (data / f"{dataset}.parquet", data / f"{dataset}_annotators.parquet")
    found = ha.read_annotations(*files, allow_leaks=True)
    if dataset == "crehate":
        found = found[found["label"].astype(str) != "2"]
    if n_texts:
        texts = found["text"].drop_duplicates().sample(n_texts, random_state=0)
        found = found[found["text"].isin(texts)]
    if n_people:
        out = found["fold"] == FOLD
        people = found.loc[~out, "annotator"].drop_duplicates().sample(n_people, random_state=0)
        found = found[out | found["annotator"].isin(people)]
    return found.reset_index(drop=True)


def run(dataset: str, given: argparse.Namespace) -> dict[str, Any]:
    """Scores of a data set: method → k → metric → values of all seeds."""
    import hyperadapters as ha
    from hyperadapters.cli.progress import PlainProgress
    from hyperadapters.experiments.unseen import Parts

    methods = list(given.methods)
    told = {"attributes": DATASETS[dataset]} if set(methods) & set(DESCRIBED) else {}
    ratings = ratings_of(dataset, given.data, given.texts, given.people)
    found = ha.compare_unseen(
        *(ratings, methods, given.seeds),
        given.runs / dataset,
        split=ha.SplitBy("both", FOLD, "fold"),
        counts=given.counts,
        least=LEAST,
        resume=True,
        allow_leaks=True,
        progress=PlainProgress(),
        **told,
        **dict(pair.split("=", 1) for pair in given.set),
    )
    parts = Parts.of(ratings, ha.SplitBy("both", FOLD, "fold"), LEAST, allow_leaks=True)
    first = [ha.load(found.folder.cell(methods[0], seed)) for seed in given.seeds]
    apart = methods[0] == METHODS[0]
    told_apart = [one_pass(one, parts, given.counts) for one in first if apart]
    scores_of_all = pd.concat([found.scores, *told_apart], ignore_index=True)
    rows = scores_of_all[scores_of_all["metric"].isin(list(SHOWN))]
    scores: dict[str, Any] = {}
    for row in rows.to_dict("records"):
        of_k = scores.setdefault(row["method"], {}).setdefault(row["slice"], {})
        of_k.setdefault(row["metric"], {})[str(row["seed"])] = float(row["value"])
    some = first[0]
    timed = {"seconds": seconds(some, parts)} if given.time else {}
    return {
        **timed,
        "texts": given.texts,
        "people_of_training": given.people,
        "scores": scores,
        "people": found.n_people,
        "versions": some.record.versions,
        "hardware": store.hardware(),
    }


def one_pass(run: Any, parts: Any, counts: Sequence[int]) -> pd.DataFrame:
    """SCORES of the vectors that the set encoder gives, which is trained if it is not there."""
    from hyperadapters.adaptation import PersonalVectors, SetEncoder
    from hyperadapters.evaluation import evaluate
    from hyperadapters.experiments.newcomers import Newcomers
    from hyperadapters.experiments.prior import write_set_encoder
    from hyperadapters.experiments.unseen import places_of_labels
    from hyperadapters.tables import read_predictions, write_predictions

    fitted, folder = run.fitted, run.folder.path / "k_shot"
    if not run.folder.set_encoder.is_file():
        of_train = (parts.known[parts.known["split"] == name] for name in ("train", "dev"))
        examples = [fitted.examples(rows.reset_index(drop=True)) for rows in of_train]
        write_set_encoder(fitted, examples, run.folder, run.record.seed)
    width = PersonalVectors(fitted.network).width
    encoder = SetEncoder.load(run.folder.set_encoder, width, len(fitted.labels))
    newcomers = Newcomers(run, parts.pool, parts.asked)
    place, found = places_of_labels(run, parts.pool, "random", max(counts)), []
    for k in counts:
        path = folder / (f"one-pass-{k}.parquet" if k else "k-0.parquet")
        if not path.is_file():
            first = newcomers.find(place < k, encoder=encoder, max_steps=0)
            write_predictions(newcomers.predictions(first), path)
        scores = evaluate(read_predictions(path))
        scores = scores[scores["slice"] == "all"]
        found.append(scores.assign(method=f"{run.record.method}, {ONE_PASS}", slice=f"k={k}"))
    return pd.concat(found, ignore_index=True)


def seconds(run: Any, parts: Any) -> dict[str, list[float]]:
    """Seconds, and processor seconds, that adapting takes once the run is loaded.

    The many people are made up: each has given eight labels of the pool.
    """
    generator = np.random.default_rng(0)
    texts = parts.pool.drop_duplicates("text")
    rows = [
        texts.iloc[generator.choice(len(texts), N_LABELS, replace=False)].assign(annotator=f"n{i}")
        for i in range(N_PEOPLE)
    ]
    one = parts.pool[parts.pool["annotator"] == parts.pool["annotator"].iloc[0]].iloc[:N_LABELS]
    made = {"1 person": one, f"{N_PEOPLE:,} people": pd.concat(rows, ignore_index=True)}
    found = {}
    run.predict(["once, so that everything is loaded"], "population")
    for name, known in made.items():
        known = known[["text", "annotator", "label"]]
        with tempfile.TemporaryDirectory(dir=run.folder.path.parent) as aside:
            wall, cpu = time.perf_counter(), time.process_time()
            run.adapt(known, Path(aside) / "adapted")
            spent = time.perf_counter() - wall, time.process_time() - cpu
        found[name] = [round(value, 2) for value in spent]
    return found


def table(found: Mapping[str, Any]) -> str:
    """The results as Markdown."""
    lines = ["# People whom no method has seen", ""]
    lines += [
        f"People of fold {FOLD} are held out; k labels of each are known, of texts of train, and",
        f"they are asked about texts of test. All have at least {LEAST} such labels; who has fewer",
        "than k gives all of them. Mean ± standard deviation over seeds, where there are several.",
        '"one pass" is what the set encoder gives, "suggested" are texts that `suggest` chose.',
    ]
    for dataset in (name for name in DATASETS if name in found):
        of, people = found[dataset]["scores"], found[dataset]["people"]
        counts = sorted(next(iter(of.values())), key=lambda k: int(k.removeprefix("k=")))
        lines += ["", f"## {dataset}", "", _about(found[dataset])]
        for metric, name in SHOWN.items():
            lines += ["", f"**{name}**, {people} people", ""]
            lines += [
                f"| method | seeds | {' | '.join(counts)} |",
                "|---" * (len(counts) + 2) + "|",
            ]
            order = (*METHODS, *DESCRIBED)
            for method in sorted(of, key=lambda name: order.index(name.split(", ")[0])):
                of_k = of[method]
                if not all(metric in of_k[k] for k in counts):
                    continue
                cells = [_cell(list(of_k[k][metric].values())) for k in counts]
                seeds = ", ".join(of_k[counts[0]][metric])
                lines.append(f"| {method} | {seeds} | {' | '.join(cells)} |")
    some = next(iter(found.values()))
    versions = ", ".join(f"{name} {version}" for name, version in some["versions"].items())
    command = "python benchmarks/adapt.py --set precision=bfloat16 --runs FOLDER"
    made = (
        f"Made by `{command} --methods hyperlora intercept text-only`, methods with attributes by "
        f"`{command} --methods {' '.join(DESCRIBED)} --seeds 0`, times with `--time` and two "
        f"threads, on {some['hardware']}; {versions}."
    )
    return "\n".join([*lines, "", made, ""])


SHORT = ("text-only", 0), ("intercept", 8), ("hyperlora", 0), ("hyperlora", 8), ("hyperlora", 32)


def short(found: Mapping[str, Any]) -> str:
    """Means of the most important columns, for the page about new people."""
    datasets = [name for name in DATASETS if name in found]
    lines = [f"| method | {' | '.join(datasets)} |", "|---" * (len(datasets) + 1) + "|"]
    for method, k in SHORT:
        cells = []
        for dataset in datasets:
            of_k = found[dataset]["scores"].get(method, {}).get(f"k={k}", {})
            values = [of_k[metric] for metric in list(SHOWN)[:3] if metric in of_k]
            cells.append(" / ".join(f"{np.mean(list(v.values())):.3f}" for v in values))
        lines.append(f"| {method}, k = {k} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _about(made: Mapping[str, Any]) -> str:
    """What was left out, and times."""
    told = [] if made["texts"] or made["people_of_training"] else ["All texts and people."]
    if made["texts"]:
        told.append(f"Only {made['texts']:,} of the texts.")
    if made["people_of_training"]:
        told.append(f"Trained on {made['people_of_training']:,} people only.")
    for name, (wall, cpu) in made.get("seconds", {}).items():
        took = f"{wall:.2f} s ({cpu:.2f} s of processor time)"
        told.append(f"Adapting {name} by {N_LABELS} labels each: {took}.")
    return " ".join(told)


def _cell(values: list[float]) -> str:
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"


def main() -> None:
    """Run what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/perspectives"))
    parser.add_argument("--runs", type=Path, default=Path("runs/adapt"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--output", type=Path, default=TABLE)
    parser.add_argument("--datasets", nargs="+", default=list(DATASETS), choices=list(DATASETS))
    parser.add_argument("--methods", nargs="+", default=[*METHODS, *DESCRIBED])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    parser.add_argument("--texts", type=int, help="only so many of the texts, to try it out")
    parser.add_argument("--people", type=int, help="only so many of the people of training")
    parser.add_argument("--time", action="store_true", help="measure how long adapting takes")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings")
    parser.add_argument("--table", action="store_true", help="run nothing")
    given = parser.parse_args()
    for dataset in [] if given.table else given.datasets:
        print(f"== {dataset}", flush=True)
        made = run(dataset, given)
        with store.results(given.results) as found:
            before = found.get(dataset, {})
            scores = {**before.get("scores", {}), **made["scores"]}
            found[dataset] = {**before, **made, "scores": scores}
    if found := store.read(given.results):
        given.output.write_text(table(found), encoding="utf-8")
        if given.output == TABLE:
            store.put_between(PAGE, "adapt", short(found))


if __name__ == "__main__":
    main()
