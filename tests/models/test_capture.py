"""Captured states equal those of the plain model, one sequence at a time, whatever is shared."""

from __future__ import annotations

import functools
import gc
import random
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pydantic
import pytest
import torch
from numpy.typing import NDArray

from vlm_eval.core.capture import Captured, CaptureSpec
from vlm_eval.core.errors import ModelError, UsageError
from vlm_eval.core.types import Answer, Decoding, Failure, ImageRef, Request
from vlm_eval.models import hooks
from vlm_eval.models.hf import HfModel
from vlm_eval.models.hooks import decoder_blocks

from .questions import WORDS, ask, mixed_requests, picture, to_generate
from .reference import Reference

Backend = Callable[..., HfModel]
Of = Callable[[str], Reference]
Array = NDArray[np.float32]

HIGHEST = {
    "qwen2_5_vl": "tree",
    "qwen3_vl": "tree",
    "llava": "tree",
    "idefics3": "tree",
    "internvl": "tree",
    "gemma3": "prefix",
    "qwen3_5": "prefix",
    "paligemma": "memo",
}
LEVELS = ["naive", "memo", "prefix", "tree"]
EVERYTHING = CaptureSpec(
    sites=("prompt_last", "vision_mean", "answer_mean", "answer_last", "vision_grid"),
    norm="both",
    answers="all",
)


def asked(name: str) -> list[Request]:
    """Several questions an image, pairs of images, texts alone; letters and long options."""
    found = mixed_requests()
    for number, text in enumerate(["which board?", "left or right:"]):
        found.append(ask(f"more-{number}", picture(1), text, choices=WORDS))
        found.append(ask(f"two-{number}", picture(1), picture(2), text, choices=WORDS))
    return [q for q in found if name != "paligemma" or (len(q.images) == 1 and q.id != "system")]


class States:
    """The hidden states of the plain model, before and after its norm."""

    def __init__(self, reference: Reference) -> None:
        self.reference, self.model = reference, reference.model
        base = self.model.base_model
        text = base.text_model if hasattr(base, "text_model") else base.language_model
        self._last = text.layers[-1]
        self.of = functools.cache(self._of)

    def _of(self, request: Request, option: str | None = None) -> Array:
        return self.run(self.reference.inputs(request, option))

    @torch.inference_mode()
    def run(self, inputs: dict[str, Any]) -> Array:
        """Shape (layers + 2, tokens, width): embeddings, after each block, after the norm."""
        seen: list[Any] = []
        hook = self._last.register_forward_hook(lambda *given: seen.append(given[-1]))
        made = self.model(**inputs, use_cache=False, output_hidden_states=True).hidden_states
        hook.remove()
        last = seen[0] if isinstance(seen[0], torch.Tensor) else seen[0][0]
        states: Array = torch.stack([*made[:-1], last, made[-1]])[:, 0].numpy()
        return states

    def expected(self, request: Request) -> dict[str, Array]:
        prompt = self.reference.inputs(request)
        start = prompt["input_ids"].shape[1]
        # An option's tokens do not change what is before them; PaliGemma marks them, so take one.
        first = self.of(request, request.choices[0] if request.choices else None)
        found = {"prompt_last": first[:, start - 1]}
        if request.images:
            image = (prompt["input_ids"][0] == self.model.config.image_token_id).numpy()
            found["vision_mean"] = first[:, :start][:, image].mean(1)
        if request.choices:
            tails = [self.of(request, choice)[:, start:] for choice in request.choices]
            found["answer_mean"] = np.stack([tail.mean(1) for tail in tails])
            found["answer_last"] = np.stack([tail[:, -1] for tail in tails])
        return found

    def generated(self, request: Request, tokens: Sequence[int]) -> dict[str, Array]:
        """The states of the tokens of an answer that was generated."""
        inputs = self.reference.inputs(request)
        start = inputs["input_ids"].shape[1]
        more = torch.tensor([tokens])
        marks = type(self.reference.processor).__name__ == "PaliGemmaProcessor"
        new = {
            "input_ids": more,
            "attention_mask": torch.ones_like(more),
            "mm_token_type_ids": torch.zeros_like(more),
            "token_type_ids": torch.full_like(more, marks),
        }
        for key in new.keys() & inputs.keys():
            inputs[key] = torch.cat([inputs[key], new[key]], 1)
        tail = self.run(inputs)[:, start:]
        return {"answer_mean": tail.mean(1), "answer_last": tail[:, -1]}


@pytest.fixture(scope="session")
def states(reference: Of) -> Callable[[str], States]:
    return functools.cache(lambda name: States(reference(name)))


def captured(
    model: HfModel, requests: Sequence[Request], spec: CaptureSpec = EVERYTHING
) -> dict[str, tuple[Answer, Captured]]:
    found = {}
    for response, kept in model.capture(requests, spec):
        assert isinstance(response.outcome, Answer), response.outcome
        assert kept is not None
        assert kept.request_id == response.request_id
        assert all(array.dtype == np.float32 for array in kept.arrays.values())
        found[response.request_id] = response.outcome, kept
    assert found.keys() == {request.id for request in requests}
    return found


def apart(found: Array, expected: Array) -> float:
    """The largest difference of a state, relative to the state's length."""
    assert found.shape == expected.shape
    lengths = np.linalg.norm(expected, axis=-1)
    return float((np.linalg.norm(found - expected, axis=-1) / lengths).max())


def check(found: Captured, expected: dict[str, Array]) -> None:
    assert (
        found.arrays.keys() - {"vision_grid", "vision_grid_1", "vision_grid_2"} == expected.keys()
    )
    for site, array in expected.items():
        assert apart(found.arrays[site], array) < 1e-4, (found.request_id, site)


@pytest.mark.parametrize(
    ("name", "level"),
    [(n, level) for n, top in HIGHEST.items() for level in LEVELS[: LEVELS.index(top) + 1]],
)
def test_scored_equals_the_plain_model(
    name: str, level: str, backend: Backend, reference: Of, states: Callable[[str], States]
) -> None:
    requests = asked(name)
    random.Random(level).shuffle(requests)
    made = captured(backend(name, 5, f"engine={level}"), requests)
    for request in requests:
        check(made[request.id][1], states(name).expected(request))
    answers = {key: answer for key, (answer, _) in made.items()}
    assert reference(name).worst(answers, requests) < 1e-4


def fed_by(model: HfModel, run: Callable[[], object]) -> list[int]:
    """How many tokens, padding included, each pass of a run was fed."""
    fed: list[int] = []

    def count(_: object, __: object, given: dict[str, torch.Tensor]) -> None:
        fed.append(given["input_ids"].numel())

    hook = model._checkpoint.model.register_forward_pre_hook(count, with_kwargs=True)
    run()
    hook.remove()
    return fed


@pytest.mark.parametrize("level", LEVELS)
def test_sites_of_the_prompt_alone_feed_nothing_more(
    level: str, backend: Backend, states: Callable[[str], States]
) -> None:
    model, requests = backend("qwen2_5_vl", 5, f"engine={level}"), asked("qwen2_5_vl")
    list(model.loglikelihood(requests))  # the level is proved
    spec = CaptureSpec(norm="both")
    made: dict[str, tuple[Answer, Captured]] = {}
    plain = fed_by(model, lambda: list(model.loglikelihood(requests)))
    assert fed_by(model, lambda: made.update(captured(model, requests, spec))) == plain
    for request in requests:
        expected = states("qwen2_5_vl").expected(request)
        check(made[request.id][1], {k: v for k, v in expected.items() if "answer" not in k})


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_neither_batch_nor_order_matters(batch_size: int, backend: Backend) -> None:
    requests = asked("qwen2_5_vl")
    first = captured(backend("qwen2_5_vl", 5), requests)
    random.Random(batch_size).shuffle(requests)
    second = captured(backend("qwen2_5_vl", batch_size), requests)
    for key, (_, kept) in first.items():
        check(second[key][1], {s: a for s, a in kept.arrays.items() if "grid" not in s})


@pytest.mark.parametrize(
    ("name", "level"),
    [
        (n, level)
        for n, top in HIGHEST.items()
        for level in (LEVELS if n == "qwen2_5_vl" else [top])
    ],
)
def test_generated_equals_the_plain_model(
    name: str, level: str, backend: Backend, reference: Of, states: Callable[[str], States]
) -> None:
    requests = to_generate(asked(name), Decoding(max_new_tokens=5))
    made = captured(backend(name, 5, f"engine={level}"), requests)
    for request in requests:
        answer, kept = made[request.id]
        tokens = reference(name).generated(request)
        assert answer.text == reference(name).decode(tokens)
        assert answer.finish == ("stop" if 2 in tokens else "length")
        tokens = tokens[: tokens.index(2)] if 2 in tokens else tokens
        expected = states(name).expected(request)
        if tokens:
            expected |= states(name).generated(request, tokens)
        check(kept, expected)


def test_an_answer_ends_before_the_end_token_or_the_end_of_a_stop_string(
    backend: Backend,
    reference: Of,
    states: Callable[[str], States],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, by_hand = backend("qwen2_5_vl", 4), reference("qwen2_5_vl")
    requests = to_generate(asked("qwen2_5_vl"), Decoding(max_new_tokens=6))
    tokens = {q.id: by_hand.generated(q) for q in requests}
    end = tokens["first"][3]
    texts = [by_hand.decode(own) for own in tokens.values()]
    stop = max(
        (text[i : i + 2] for text in texts for i in range(len(text) - 1)),
        key=lambda pair: sum(pair in text for text in texts),
    )
    requests = [
        Request(q.id, q.messages, decoding=Decoding(max_new_tokens=6, stop=(stop,)))
        for q in requests
    ]
    monkeypatch.setattr(model._checkpoint.model.generation_config, "eos_token_id", end)
    monkeypatch.setattr(model._engine.generating, "_end", {end})
    made = captured(model, requests)
    lengths = set()
    for request in requests:
        own = tokens[request.id]
        own = own[: own.index(end)] if end in own else own
        held = [stop in by_hand.decode(own[: i + 1]) for i in range(len(own))]
        own = own[: held.index(True)] if True in held else own
        lengths.add(len(own))
        kept = made[request.id][1]
        if own:
            part = {s: a for s, a in kept.arrays.items() if s.startswith("answer")}
            made_by_hand = states("qwen2_5_vl").generated(request, own)
            assert all(apart(part[s], a) < 1e-4 for s, a in made_by_hand.items())
        else:
            assert kept.missing["answer_mean"] == "the answer is empty"
    assert len(lengths) > 2


def test_best_is_the_option_with_the_largest_score(backend: Backend) -> None:
    requests = asked("llava")
    every = captured(backend("llava"), requests)
    best = captured(backend("llava"), requests, CaptureSpec(sites=("answer_last",), norm="both"))
    chosen = set()
    for key, (answer, kept) in every.items():
        assert answer.logprobs is not None
        index = int(np.argmax(answer.logprobs))
        chosen.add(index)
        assert apart(best[key][1].arrays["answer_last"], kept.arrays["answer_last"][index]) < 1e-4
    assert len(chosen) > 1


@pytest.mark.parametrize(
    ("layers", "norm", "labels"),
    [
        ("all", "after", ("0", "1", "2", "norm")),
        ("all", "before", ("0", "1", "2", "3")),
        (2, "both", ("2", "3", "norm")),
        (12, "after", ("0", "1", "2", "norm")),
        ((0,), "both", ("0",)),
        ((-1, 1), "after", ("1", "norm")),
        ([3, 3], "before", ("3",)),
    ],
)
def test_layers_are_chosen(layers: Any, norm: Any, labels: Any, backend: Backend) -> None:
    question = [ask("q", picture(1), "which?", choices=WORDS)]
    _, every = captured(backend("llava"), question)["q"]
    assert every.layers == ("0", "1", "2", "3", "norm")
    spec = CaptureSpec(sites=("prompt_last",), layers=layers, norm=norm)
    _, kept = captured(backend("llava"), question, spec)["q"]
    assert kept.layers == labels
    rows = [every.layers.index(label) for label in labels]
    assert apart(kept.arrays["prompt_last"], every.arrays["prompt_last"][rows]) < 1e-5


def test_what_a_request_does_not_have_is_missing_with_a_reason(backend: Backend) -> None:
    made = captured(backend("idefics3"), asked("idefics3"))
    _, text = made["text"]
    assert text.missing == dict.fromkeys(("vision_mean", "vision_grid"), "the request has no image")
    assert made["pair"][1].missing == {
        "vision_grid": "the tokens of its images cannot be told apart"
    }
    _, first = made["first"]
    assert first.missing == {"vision_grid": "its image is cut into 5 tiles"}
    assert first.describe()["shapes"]["prompt_last"] == [5, 64]


@pytest.mark.parametrize("level", ["naive", "auto"])
@pytest.mark.parametrize(
    ("name", "image", "shape"),
    [
        ("qwen2_5_vl", picture(1), (1, 2, 3)),
        ("qwen2_5_vl", picture(3, 60, 120), (1, 4, 2)),
        ("qwen3_vl", picture(1), (1, 2, 3)),
        ("llava", picture(1), (1, 4, 4)),
        ("gemma3", picture(1), (1, 4, 4)),
        ("paligemma", picture(1), (1, 4, 4)),
        ("llava_onevision", picture(1), (1, 4, 4)),
        ("internvl", picture(4, 50, 50), (1, 2, 2)),
    ],
)
def test_the_grid_of_an_image(
    name: str,
    level: str,
    image: ImageRef,
    shape: tuple[int, ...],
    backend: Backend,
    states: Callable[[str], States],
) -> None:
    request = ask("q", image, "which?", choices=WORDS)
    spec = CaptureSpec(sites=("vision_grid",))
    _, kept = captured(backend(name, 3, f"engine={level}"), [request], spec)["q"]
    grid = kept.arrays["vision_grid"]
    assert grid.shape == (*shape, 64)
    # What the language model sees at the image tokens, in their order, are these features.
    by_hand = states(name)
    ids = by_hand.reference.inputs(request)["input_ids"][0]
    embedded = by_hand.of(request)[0][(ids == by_hand.model.config.image_token_id).numpy()]
    flat = grid.reshape(-1, 64)
    assert apart(flat, embedded[: len(flat)]) < 1e-5


def test_every_image_of_a_pair_has_its_grid(backend: Backend) -> None:
    one, tall = picture(1), picture(3, 60, 120)
    requests = [
        ask("one", one, "?", choices=WORDS),
        ask("tall", tall, "?", choices=WORDS),
        ask("pair", one, tall, "?", choices=WORDS),
    ]
    made = captured(backend("qwen2_5_vl"), requests, CaptureSpec(sites=("vision_grid",)))
    pair = made["pair"][1].arrays
    assert pair.keys() == {"vision_grid_1", "vision_grid_2"}
    np.testing.assert_allclose(pair["vision_grid_1"], made["one"][1].arrays["vision_grid"])
    np.testing.assert_allclose(pair["vision_grid_2"], made["tall"][1].arrays["vision_grid"])


def test_the_grid_is_in_order(backend: Backend) -> None:
    """A change in one corner of an image changes that corner of the grid most."""
    plain = picture(1, 112, 112)
    pixels = plain.load()
    pixels.paste((255, 0, 0), (84, 0, 112, 28))  # top right
    corner = ImageRef("corner", pixels.copy)
    requests = [ask(n, i, "?", choices=WORDS) for n, i in (("a", plain), ("b", corner))]
    made = captured(backend("qwen2_5_vl"), requests, CaptureSpec(sites=("vision_grid",)))
    first, second = (made[key][1].arrays["vision_grid"] for key in "ab")
    moved = np.linalg.norm(first - second, axis=-1)[0]
    assert first.shape == (1, 4, 4, 64)
    assert np.unravel_index(moved.argmax(), moved.shape) == (0, 3)


def test_a_hook_on_the_wrong_layer_is_seen(
    backend: Backend, states: Callable[[str], States], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative controls: what the comparison must not let pass."""
    request = ask("q", picture(1), "which?", choices=WORDS)
    expected = states("llava").expected(request)["prompt_last"]

    def difference(damage: Callable[[pytest.MonkeyPatch], None]) -> float:
        with pytest.MonkeyPatch.context() as patch:
            damage(patch)
            _, kept = captured(backend("llava"), [request])["q"]
        return apart(kept.arrays["prompt_last"], expected)

    def shifted(patch: pytest.MonkeyPatch) -> None:
        def wrong(model: Any) -> Any:
            decoder, blocks = decoder_blocks(model)
            return decoder, torch.nn.ModuleList([*blocks[:1], *blocks[:-1]])

        patch.setattr(hooks, "decoder_blocks", wrong)

    def late(patch: pytest.MonkeyPatch) -> None:
        place = hooks.Recording.place

        def next_token(self: Any, row: Any, line: int, begin: int, columns: Any) -> None:
            place(self, row, line, begin, [column - 1 for column in columns])

        patch.setattr(hooks.Recording, "place", next_token)

    assert difference(lambda _: None) < 1e-4
    assert difference(shifted) > 0.1
    assert difference(late) > 0.1


def test_before_and_after_the_norm_differ(backend: Backend) -> None:
    request = ask("q", picture(1), "which?", choices=WORDS)
    for name in ("qwen2_5_vl", "llava"):
        _, kept = captured(backend(name), [request])["q"]
        before, after = kept.arrays["prompt_last"][-2:]
        assert apart(before, after) > 0.1


def test_the_last_layer_predicts_the_scores(backend: Backend) -> None:
    """The state after the norm at the last prompt token, through the head, gives the answer."""
    model = backend("qwen2_5_vl")
    request = ask("q", picture(1), "which?", choices=WORDS)
    answer, kept = captured(model, [request])["q"]
    head = model._checkpoint.model.get_output_embeddings()
    state = torch.from_numpy(kept.arrays["prompt_last"][-1])
    logprobs = head(state).double().log_softmax(-1)
    encoded: Any = model._encoder.encode(request)
    for option, score, count in zip(
        encoded.options, answer.logprobs or (), answer.token_counts or (), strict=True
    ):
        if count == 1:
            assert logprobs[option.ids[-1]].item() == pytest.approx(score, abs=1e-4)


def test_nothing_is_left_on_the_model_or_in_memory(backend: Backend) -> None:
    model = backend("qwen2_5_vl", 2)
    modules = list(model._checkpoint.model.modules())

    def hooked() -> int:
        return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in modules)

    before = hooked()
    alive: list[weakref.ref[Any]] = []
    for number, (_, kept) in enumerate(model.capture(asked("qwen2_5_vl"), EVERYTHING)):
        assert kept is not None
        alive += [weakref.ref(array) for site, array in kept.arrays.items() if "grid" not in site]
        assert all(array.base is None or "grid" in site for site, array in kept.arrays.items())
        del kept
        if number == 9:
            gc.collect()
            assert sum(found() is not None for found in alive) < len(alive) // 2
    assert hooked() == before
    running = model.capture(asked("qwen2_5_vl"), EVERYTHING)
    next(running)
    assert hooked() == before  # between batches, too
    del running


def test_a_failed_request_has_no_states_and_harms_no_other(
    backend: Backend, states: Callable[[str], States]
) -> None:
    def broken() -> Any:
        raise OSError("no such picture")

    requests = asked("llava")
    bad = ask("bad", ImageRef("broken", broken), "which?", choices=WORDS)
    found = {
        r.request_id: (r, kept)
        for r, kept in backend("llava").capture([*requests, bad], EVERYTHING)
    }
    response, kept = found.pop("bad")
    assert isinstance(response.outcome, Failure)
    assert kept is None
    for request in requests:
        made = found[request.id][1]
        assert made is not None
        check(made, states("llava").expected(request))


def test_halved_batches_give_the_same(
    backend: Backend, states: Callable[[str], States], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was summed in a pass that failed is forgotten."""
    model = HfModel(backend("qwen2_5_vl")._checkpoint, name="fresh", batch_size=8)
    requests = asked("qwen2_5_vl")
    list(model.loglikelihood(requests[:1]))
    forward = model._checkpoint.model.forward
    calls = 0

    @functools.wraps(forward)
    def sometimes(**given: Any) -> Any:
        nonlocal calls
        made = forward(**given)
        calls += 1
        if calls % 5 == 0:
            raise MemoryError
        return made

    monkeypatch.setattr(model._checkpoint.model, "forward", sometimes)
    answered = 0
    for response, kept in model.capture(requests, EVERYTHING):
        request = next(q for q in requests if q.id == response.request_id)
        if isinstance(response.outcome, Failure):
            assert kept is None
        else:
            answered += 1
            assert kept is not None
            check(kept, states("qwen2_5_vl").expected(request))
    assert calls > 5
    assert answered > len(requests) // 2


def test_states_that_are_not_finite_fail_their_request(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = hooks.Recording._end

    def spoilt(self: Any) -> None:
        end(self)
        for (row, _), (states, _) in self.found.items():
            if row.encoded.request.id == "tall":
                states[1, 0] = np.inf

    monkeypatch.setattr(hooks.Recording, "_end", spoilt)
    for response, kept in backend("llava").capture(mixed_requests(), CaptureSpec()):
        if response.request_id == "tall":
            assert isinstance(response.outcome, Failure)
            assert "hidden states are not finite" in response.outcome.message
        else:
            assert isinstance(response.outcome, Answer)
        assert (kept is None) == isinstance(response.outcome, Failure)


def test_answers_are_verified_as_without_a_capture(backend: Backend) -> None:
    model = backend("qwen2_5_vl", 4, "verify=2")
    captured(model, asked("qwen2_5_vl"))
    verified = model.describe()["counters"]["verified"]
    assert verified["requests"] > 1
    assert verified["largest_per_token"] < 1e-4
    assert verified["flips"] == 0


def test_both_kinds_of_requests_and_neither(backend: Backend) -> None:
    model = backend("llava")
    scored = ask("scored", picture(1), "which?", choices=WORDS)
    (written,) = to_generate([ask("written", picture(1), "which?")], Decoding(max_new_tokens=2))
    made = captured(model, [written, scored])
    assert made["scored"][0].finish == "scored"
    assert made["written"][0].text is not None
    with pytest.raises(ValueError, match="choices or a decoding"):
        model.capture([ask("neither", "which?")], EVERYTHING)


def test_a_wrong_specification_is_refused(backend: Backend) -> None:
    model = backend("llava")
    with pytest.raises(UsageError, match=r"no layer 4; it has 4: 0 \(embeddings\) to 3"):
        model.capture([], CaptureSpec(layers=(4,)))
    with pytest.raises(UsageError, match="no layer -5"):
        model.capture([], CaptureSpec(layers=(-5,)))
    wrong: list[dict[str, Any]] = [
        {"sites": ()},
        {"sites": ("prompt_last", "prompt_last")},
        {"sites": ("prompt",)},
        {"layers": 0},
        {"layers": ()},
        {"norm": "none"},
        {"layer": 1},
    ]
    for options in wrong:
        with pytest.raises(pydantic.ValidationError):
            CaptureSpec(**options)


def test_layers_that_cannot_be_told_are_refused(backend: Backend) -> None:
    class Twice(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = torch.nn.ModuleList([torch.nn.Linear(1, 1)] * 3)
            self.two = torch.nn.ModuleList([torch.nn.Linear(1, 1)] * 3)
            self.config = backend("llava")._checkpoint.model.config

        def get_decoder(self) -> Any:
            return self

    with pytest.raises(ModelError, match="candidates: one, two"):
        decoder_blocks(Twice())
    model = backend("llava")._checkpoint.model
    decoder, blocks = decoder_blocks(model)
    assert decoder is model.base_model.language_model
    assert blocks is decoder.layers
