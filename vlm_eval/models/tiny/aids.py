"""Training-only supervision of the vision tower. The heads are thrown away after training.

Without it the question loss sat on its plateau for 19,000 images; with it the games fall within
15,000 (docs/tiny.md, "What made it learn").
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - torch's customary name
from torch import Tensor, nn

from vlm_eval.models.tiny.network import Seen, merge_order
from vlm_eval.models.tiny.pictures import FACTS, PATCH_KINDS


@dataclass
class AidLoss:
    """Mean cross-entropies, nats; ``leader_hits`` is a share in [0, 1] or NaN without boards."""

    place: Tensor
    decides: Tensor
    facts: Tensor
    leader_hits: float

    @property
    def total(self) -> Tensor:
        """The sum that is trained on."""
        return self.place + self.decides + self.facts


class Aids(nn.Module):
    """Heads on the tower: what and where half-way, what decides at the end, facts when pooled."""

    kind_weight: Tensor

    def __init__(self, width: int = 128, cells: int = 6) -> None:
        super().__init__()
        self.kind = nn.Linear(width, len(PATCH_KINDS))
        self.row, self.column = nn.Linear(width, cells), nn.Linear(width, cells)
        self.decides = nn.Linear(width, 2)
        self.facts = nn.Linear(width, 2 * len(FACTS))
        # Most patches show nothing; at full weight the rest is learned last.
        weight = torch.ones(len(PATCH_KINDS))
        weight[0] = 0.15
        self.register_buffer("kind_weight", weight, persistent=False)

    def forward(self, seen: Seen, patches: Tensor, facts: Tensor) -> AidLoss:
        """Compute the losses.

        Parameters
        ----------
        seen
            What the tower made of B images.
        patches, facts
            (B, 8, 8, 4) and (B, len(FACTS)) targets, -1 unknown.
        """
        target = merge_order(patches).flatten(0, 1)
        middle = F.rms_norm(seen.middle.flatten(0, 1), seen.middle.shape[-1:])
        last = F.rms_norm(seen.last.flatten(0, 1), seen.last.shape[-1:])
        place = F.cross_entropy(
            self.kind(middle), target[:, 0], weight=self.kind_weight, ignore_index=-1
        )
        decides = last.new_zeros(())
        if bool((target[:, 3] >= 0).any()):
            place = place + F.cross_entropy(self.row(middle), target[:, 1], ignore_index=-1)
            place = place + F.cross_entropy(self.column(middle), target[:, 2], ignore_index=-1)
            decides = F.cross_entropy(self.decides(last), target[:, 3], ignore_index=-1)
        pooled = seen.tokens.mean(1)
        logits = self.facts(F.rms_norm(pooled, pooled.shape[-1:])).view(len(facts), -1, 2)
        each = F.cross_entropy(
            logits.flatten(0, 1), facts.flatten(), ignore_index=-1, reduction="none"
        ).view(facts.shape)
        known = facts >= 0
        fact = (each.sum(1) / known.sum(1).clamp(min=1)).mean()
        boards = known[:, 0]
        hits = (logits[boards, 0].argmax(-1) == facts[boards, 0]).float().mean()
        return AidLoss(place, decides, fact, float(hits))
