from dataclasses import replace

import pytest
import sacrebleu

from vlm_eval.core.errors import TaskError
from vlm_eval.metrics.table import Table, TableRow
from vlm_eval.metrics.text_overlap import Bleu, ChrF

TEXTS = ["the cat sat on the mat", "a dog runs in the park", "", "two birds sing"]
REFERENCES = [
    ["the cat sat on a mat", "a cat sat on the mat"],
    ["a dog is running in the park"],
    ["something"],
    ["two birds are singing in a tree", "birds", "two birds sing loudly"],
]


def table(texts=TEXTS, references=REFERENCES, clusters="wxyz"):
    rows = [
        TableRow(
            sample_id=f"s{i}",
            cluster=clusters[i],
            condition={},
            fields={"captions": refs, "first": refs and refs[0]},
            gold=(refs or ["none"])[0],
            answer=text,
            scores={} if text is None else {"accuracy": 0.0},
            failed=text is None,
            text=text,
        )
        for i, (text, refs) in enumerate(zip(texts, references, strict=True))
    ]
    return Table("demo", {}, tuple(rows))


def padded(references):
    most = max(map(len, references))
    return [[refs[i] if i < len(refs) else None for refs in references] for i in range(most)]


@pytest.mark.parametrize("options", [{}, {"lowercase": True}, {"tokenize": "char"}])
def test_bleu_is_sacrebleus(options):
    (found,) = Bleu(references="captions", **options)(table())
    expected = sacrebleu.BLEU(**options).corpus_score(TEXTS, padded(REFERENCES)).score
    assert found.value == pytest.approx(expected / 100, abs=1e-12)
    assert (found.name, found.n, found.clusters) == ("bleu", 4, 4)


@pytest.mark.parametrize("order", [0, 2])
def test_chrf_is_sacrebleus(order):
    (found,) = ChrF(references="captions", word_order=order)(table())
    expected = sacrebleu.CHRF(word_order=order).corpus_score(TEXTS, padded(REFERENCES)).score
    assert found.value == pytest.approx(expected / 100, abs=1e-12)


def test_a_copy_scores_one_and_an_interval_holds_the_score():
    copies = table(texts=[refs[0] for refs in REFERENCES])
    assert Bleu(references="captions")(copies)[0].value == pytest.approx(1)
    found = ChrF(references="captions")(table())[0]
    assert found.low < found.value < found.high
    assert found.method == "cluster_bootstrap"


def test_references_may_be_the_gold_answer_or_several_fields():
    gold, first = Bleu()(table())[0], Bleu(references="first")(table())[0]
    assert gold == first
    both = Bleu(references=("captions", "first"))(table())[0]
    assert both == Bleu(references="captions")(table())[0]


def test_failures_and_samples_without_reference_do_not_enter():
    made = table(texts=[*TEXTS[:3], None], references=[*REFERENCES[:2], None, REFERENCES[3]])
    found = Bleu(references="captions")(made)[0]
    assert (found.n, found.clusters) == (2, 2)
    alone = replace(made, rows=made.rows[:2])
    assert found.value == Bleu(references="captions")(alone)[0].value


def test_one_cluster_has_no_interval():
    found = ChrF(references="captions")(table(clusters="wwww"))[0]
    assert (found.value is not None, found.low, found.method) == (True, None, "none")


def test_nothing_to_compare():
    assert Bleu()(Table("demo", {}, ()))[0].value is None
    with pytest.raises(TaskError, match=r"'caption'.*did you mean captions"):
        Bleu(references="caption")(table())


def test_signatures_say_how():
    assert Bleu().signature().startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert "nw:2" in ChrF(word_order=2).signature()
