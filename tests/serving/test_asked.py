import threading

import numpy as np
import pytest

from hyperadapters.experiments import load
from hyperadapters.serving.asked import FEW, Asked, Kept, answers_to
from hyperadapters.serving.lanes import Lanes


@pytest.fixture(scope="module")
def classifier(quick_run):
    return load(quick_run).fitted


TEXTS = ("good kind the one", "bad cruel the two w3", "nasty", "the a is was red blue warm")


def alone(classifier, question):
    return answers_to(classifier, Kept(classifier), [question])[0]


def test_joined_is_as_alone(classifier):
    everyone = tuple(range(len(classifier.vocabulary)))
    questions = [
        Asked(TEXTS[:1], None, (3,)),
        Asked(TEXTS[1:3], None, everyone),
        Asked(TEXTS, None, (-1, 0)),
        Asked(TEXTS[:2], None, everyone),
        Asked(TEXTS[:1], None, (3,)),
    ]
    assert len(everyone) > FEW
    joined = answers_to(classifier, Kept(classifier), questions)
    for question, found in zip(questions, joined, strict=True):
        assert found.shape == (len(question.texts), len(question.annotators), 2)
        np.testing.assert_allclose(found, alone(classifier, question), atol=1e-5)


def test_both_ways_say_what_the_run_says(quick_run, classifier):
    run = load(quick_run)
    names = list(run.vocabulary.names)
    wanted = run.predict(list(TEXTS), names)[list(run.labels.columns)].to_numpy()
    indices = tuple(range(len(names)))
    many = alone(classifier, Asked(TEXTS, None, indices))
    few = [alone(classifier, Asked(TEXTS, None, (index,))) for index in indices]
    np.testing.assert_allclose(many.reshape(wanted.shape), wanted, atol=1e-5)
    np.testing.assert_allclose(np.concatenate(few, axis=1), many, atol=1e-5)
    assert np.ptp(many, axis=1).max() > 1e-3  # people differ


def test_weights_of_the_latest_sets_are_kept(classifier):
    everyone = tuple(range(len(classifier.vocabulary)))
    kept = Kept(classifier)
    first = kept.of(everyone)
    assert kept.of(everyone) is first and first.n_bytes > 0
    small = Kept(classifier, max_bytes=first.n_bytes)
    for annotators in (everyone, everyone[:-1], everyone[1:]):
        small.of(annotators)
    assert len(small) == 1 and small.of(everyone[1:]).n_bytes < first.n_bytes


def test_several_copies_say_the_same_and_have_their_parameters_in_common(quick_run, classifier):
    lanes = Lanes.of(classifier, quick_run, 3)
    assert len(lanes) == 3
    used = set()

    def note(one, part):
        used.add(id(one))
        barrier.wait(10)  # is passed by three threads at a time, or never
        pointers.add(next(one.model.parameters()).data_ptr())

    barrier, pointers = threading.Barrier(3), set()
    lanes.each(note, range(6))
    assert len(used) == 3 and len(pointers) == 1
    questions = [Asked((text,), None, (who,)) for who in (-1, 2, 5) for text in TEXTS]
    found = answers_to(classifier, Kept(classifier), questions, lanes)
    for question, answer in zip(questions, found, strict=True):
        np.testing.assert_allclose(answer, alone(classifier, question), atol=1e-5)


def test_a_fault_in_one_copy_is_told_and_the_next_batch_is_answered(quick_run, classifier):
    lanes = Lanes.of(classifier, quick_run, 2)
    done = []

    def work(one, part):
        if part == 3:
            raise ValueError("broken")
        done.append(part)

    with pytest.raises(ValueError, match="broken"):
        lanes.each(work, range(8))
    done.clear()
    lanes.each(work, range(3))
    assert sorted(done) == [0, 1, 2]
    assert len(Lanes.of(classifier, quick_run, 1)) == 1
