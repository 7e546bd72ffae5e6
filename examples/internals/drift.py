"""Hidden states from Python: capture them, and measure how far a perturbation moves them.

Each ``# %%`` begins a cell: run it whole, or cell by cell in an editor that knows such cells.
"""

# %% What to keep: the state at the prompt's last token in every layer, and the image's tokens.
from __future__ import annotations

import numpy as np

from vlm_eval.core.capture import CaptureSpec
from vlm_eval.core.types import ImageRef, Message, Picture, Request, Text
from vlm_eval.data.frequency import band_energies
from vlm_eval.metrics.dirichlet import dirichlet_energy
from vlm_eval.models.hf import HfModel
from vlm_eval.models.registry import load_model
from vlm_eval.transforms.basic import GaussianBlur
from vlm_eval.transforms.examples import specimen

KERNELS = (1, 5, 11, 21, 31)  # of the blur; 1 is the image itself
model = load_model("tiny")
assert isinstance(model, HfModel)


# %% One question about the same picture, blurred more and more.
image = specimen().convert("RGB")


def question(kernel: int) -> Request:
    """Return the question about the picture under a blur."""
    shown = GaussianBlur(kernel=kernel)(image, 0)
    reference = ImageRef(f"blur {kernel}", lambda: shown)
    words = "Is there a car in the image?\nAnswer with exactly one word: Yes or No."
    parts = (Picture(reference), Text(words))
    return Request(f"blur {kernel}", (Message("user", parts),), choices=("Yes", "No"))


spec = CaptureSpec(sites=("prompt_last", "vision_grid"), layers="all")
found = {
    response.request_id: (response, states)
    for response, states in model.capture([question(kernel) for kernel in KERNELS], spec)
}

# %% Drift is 1 - cosine to the state of the image itself; 0 for the image itself.
clean = found["blur 1"][1]
assert clean is not None
drift: dict[int, list[float]] = {}
for kernel in KERNELS:
    states = found[f"blur {kernel}"][1]
    assert states is not None
    pairs = zip(clean.arrays["prompt_last"], states.arrays["prompt_last"], strict=True)
    cosines = [float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b))) for a, b in pairs]
    drift[kernel] = [1 - cosine for cosine in cosines]
    energy = dirichlet_energy(states.arrays["vision_grid"])[0]
    print(f"blur {kernel:2}", *(f"{value:6.3f}" for value in drift[kernel]), f"E {energy:8.2f}")

# %% The image itself: energy in the low, middle and high frequencies.
for kernel in KERNELS:
    shown = GaussianBlur(kernel=kernel)(image, 0)
    print(f"blur {kernel:2}", *(f"{value:12.1f}" for value in band_energies(shown)))
