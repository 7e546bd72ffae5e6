"""Devices that are not there: each tensor says where it would be, and computes on the CPU.

What a GPU refuses is refused: an operation on tensors of several devices, numpy on what is not on
the CPU. So placement is tested where there is no GPU, one device or several.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import accelerate.hooks
import pytest
import torch
from accelerate import dispatch_model
from torch import Tensor
from torch._functorch import vmap
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

_DEVICE = Tensor.device.__get__
_ON_CPU: set[Any] = {Tensor.numpy, Tensor.__array__}
_COPIES: set[Any] = {Tensor.copy_, Tensor.to, Tensor.type_as}
_FETCHES: set[Any] = {Tensor.cpu, Tensor.tolist, Tensor.item, Tensor.__bool__, Tensor.__float__}


def place_of(tensor: Tensor) -> torch.device:
    """Return where a tensor would be."""
    return getattr(tensor, "pretended", torch.device("cpu"))


def put(tensor: Tensor, device: torch.device | str | int) -> None:
    """Pretend that a tensor is somewhere."""
    place = torch.device("cuda", device) if isinstance(device, int) else torch.device(device)
    tensor.pretended = place  # type: ignore[attr-defined]


class Pretended(TorchFunctionMode):
    """A context in which tensors have the devices that they are put on.

    Attributes
    ----------
    crossed
        How often something was copied between the CPU and another device, so that one waited for
        the other: whole tensors, single numbers, indices.
    converted
        How often the number format was changed with it, which is done on the CPU.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.crossed = self.converted = 0

    def __enter__(self) -> Any:
        # vmap, with which transformers makes masks, wraps tensors without the mode's knowledge.
        self._patch = pytest.MonkeyPatch()
        for name in ("_add_batch_dim", "_remove_batch_dim"):
            self._patch.setattr(vmap, name, _keeping(getattr(vmap, name)))
        return super().__enter__()  # type: ignore[no-untyped-call]

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self._patch.undo()

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run a function of torch on the CPU and say where its results would be."""
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if func == _DEVICE:
            return place_of(given[0])
        if func in _ON_CPU and place_of(given[0]).type != "cpu":
            raise TypeError(f"can't convert {place_of(given[0])} device type tensor to numpy")
        asked, args, kwargs = _without_device(func, args, dict(kwargs or {}))
        place = _common(func, args, given) if given else torch.device("cpu")
        target = place if asked is None else asked
        made = func(*args, **kwargs)
        self.crossed += bool(given) and _crosses(func, args, place_of(given[0]), target)
        if func is Tensor.to and place.type == "cpu" != target.type:
            self.converted += made.dtype != args[0].dtype
        if target != place and any(made is each for each in given):
            made = made.clone()
        for leaf in tree_leaves(made):
            if isinstance(leaf, Tensor) and not any(leaf is each for each in given):
                put(leaf, target)
        return made


def _keeping(function: Any) -> Any:
    def wrapped(tensor: Tensor, *rest: Any) -> Any:
        made = function(tensor, *rest)
        put(made, place_of(tensor))
        return made

    return wrapped


def _without_device(
    func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[torch.device | None, tuple[Any, ...], dict[str, Any]]:
    """Take out of a call the device that it asks for."""
    asked = kwargs.pop("device", None)
    if func is Tensor.cpu:
        asked = "cpu"
    elif func is Tensor.type_as:
        asked = place_of(args[1])
    elif func is Tensor.to and asked is None and len(args) > 1:
        if isinstance(args[1], Tensor):
            asked = place_of(args[1])
        elif not isinstance(args[1], torch.dtype):
            asked, args = args[1], (args[0], "cpu", *args[2:])
    if isinstance(asked, int):
        asked = torch.device("cuda", asked)
    if asked is not None:
        asked = torch.device(asked)
        if asked.type == "cuda" and asked.index is None:
            asked = torch.device("cuda", 0)
    return asked, args, kwargs


def _common(func: Any, args: tuple[Any, ...], given: list[Tensor]) -> torch.device:
    """Return the device of a call's tensors. Raises RuntimeError if there are several."""
    first = place_of(given[0])
    if func in _COPIES:
        return first
    if func in (Tensor.__getitem__, Tensor.__setitem__):
        indices = [leaf for leaf in tree_leaves(args[1]) if isinstance(leaf, Tensor)]
        if not {place_of(each) for each in indices} <= {first, torch.device("cpu")}:
            raise RuntimeError("indices should be on cpu or on the device of the indexed tensor")
        advanced = indices or any(isinstance(i, list) for i in _tuple(args[1]))
        if func is Tensor.__getitem__ or not advanced:
            return first  # what is assigned to a slice is copied
        given = [given[0], *(v for v in args[2:] if isinstance(v, Tensor))]
    places = {place_of(each): None for each in given if each.ndim or place_of(each).type != "cpu"}
    if len(places) > 1:
        name = getattr(func, "__name__", func)
        raise RuntimeError(f"expected all tensors on the same device in {name}: {[*places]}")
    return next(iter(places), torch.device("cpu"))


def _crosses(func: Any, args: tuple[Any, ...], place: torch.device, target: torch.device) -> bool:
    if func in _FETCHES:
        return place.type != "cpu"
    if func in (Tensor.__getitem__, Tensor.__setitem__) and place.type != "cpu":
        return any(
            isinstance(i, list) or (isinstance(i, Tensor) and place_of(i) != place)
            for i in _tuple(args[1])
        )
    return "cpu" in (place.type, target.type) and place != target


def _tuple(index: Any) -> tuple[Any, ...]:
    return index if isinstance(index, tuple) else (index,)


def tensors(module: Any) -> Iterator[Tensor]:
    """Yield the parameters and buffers of a module."""
    yield from module.parameters()
    yield from module.buffers()


def spread(model: Any, device_map: Mapping[str, str], patch: pytest.MonkeyPatch) -> None:
    """Spread a model over pretended devices, with accelerate's own hooks."""

    def pretend(module: Any, name: str, device: Any, **_: Any) -> None:
        put(module.get_parameter(name) if name in dict(module.named_parameters()) else
            module.get_buffer(name), device)  # fmt: skip

    patch.setattr(accelerate.hooks, "set_module_tensor_to_device", pretend)
    dispatch_model(model, dict(device_map), "cuda:0", force_hooks=True, skip_keys="past_key_values")
