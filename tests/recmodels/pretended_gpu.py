"""A pretended GPU: real numbers, computed on the CPU, in tensors that say `cuda:0` and keep the rules of that device.

Inside `Pretended()` a tensor moved to "cuda" reports `is_cuda`, so that the code's own branches for GPUs run. An
operation with operands on both sides raises DeviceMix, `numpy()` raises as CUDA's does, random draws come from a
generator of the device's own, and whatever makes the host wait or copies between the sides is counted by the line that
caused it. To torch's C++ the tensors are CPU tensors: autograd needs no CUDA build. Not shown: kernels, their speed,
their order of summation, memory.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, ClassVar, Self
from unittest import mock

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_iter, tree_map

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")
ROOT = Path(__file__).parents[2]
PACKAGES = tuple(f"{ROOT / name}/" for name in ("recmodels", "tuning"))
"""The packages whose lines are named."""
SIZED_BY_DATA = {"_unique2", "unique_dim", "nonzero", "masked_select", "repeat_interleave", "bincount", "equal"}
"""Operations whose result's size the host has to know, or that answer to the host."""
TAKES_HOST_TENSORS = {"copy_", "index_put_", "index_put", "index"}
"""Operations that copy an operand from the host by themselves."""
UNORDERED = {"index_add", "index_add_", "scatter_add", "scatter_add_", "embedding_dense_backward"}
"""Sums by atomic additions on CUDA."""
NO_KERNEL = {"detach", "_unsafe_view", "view", "values"}


class DeviceMix(RuntimeError):
    """Operands on both sides, or memory that a kernel would misread."""


class OnDevice(Tensor):
    """A tensor on the pretended device, over the numbers of `host`."""

    host: Tensor

    @staticmethod
    def __new__(cls, host: Tensor) -> "OnDevice":
        strided = host.layout == torch.strided
        strides, offset = (host.stride(), host.storage_offset()) if strided else (None, None)
        made: OnDevice = Tensor._make_wrapper_subclass(
            cls, host.shape, strides=strides, storage_offset=offset, dtype=host.dtype, device=CPU
        )
        made.host = host
        return made

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"OnDevice({self.host!r})"

    # On the class and not in a mode of torch's: within backward passes those are off.
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]
    device: Any = property(lambda self: CUDA)
    is_cuda: Any = property(lambda self: True)
    is_cpu: Any = property(lambda self: False)

    def get_device(self) -> int:
        return 0

    def to(self, *wanted: Any, **named: Any) -> Tensor:
        return Pretended.now.move(self, *wanted, **named)

    def cpu(self, *_: Any, **__: Any) -> Tensor:
        return self.to("cpu")

    def tolist(self) -> Any:
        return Pretended.now.read(self).tolist()

    def numpy(self, *_: Any, **__: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")

    __array__ = numpy

    def untyped_storage(self) -> Any:  # safetensors compares addresses
        return self.host.untyped_storage()

    def data_ptr(self) -> int:
        return self.host.data_ptr()

    def __reduce_ex__(self, protocol: Any) -> Any:  # torch.save
        return Pretended.now.read(self.detach()).__reduce_ex__(protocol)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        return Pretended.now.run(func, args, kwargs or {})


class Pretended(TorchFunctionMode):
    """The device, inside `with`. `waits`, `uploads`: how often the host waited and copied, by line; `unordered`: sums
    in no fixed order, by line; `kernels`: about how many were launched. Of `cards` that are visible, it is the first;
    whoever asks for the generators of all initialises the others, which `initialised` counts."""

    now: ClassVar["Pretended"]

    def __init__(self, cards: int = 1) -> None:
        super().__init__()
        self.cards, self.initialised = cards, set[int]()
        self.generator = torch.Generator()
        self.forget()

    def forget(self) -> None:
        """Count from zero again."""
        self.waits, self.uploads = Counter[tuple[str, str]](), Counter[str]()
        self.unordered, self.kernels = Counter[tuple[str, str]](), 0

    def __enter__(self) -> Self:
        Pretended.now = self
        self.stack = ExitStack()
        for name, value in {
            "is_available": lambda: True,
            "device_count": lambda: self.cards,
            "get_rng_state": self._state,
            "set_rng_state": self._restore,
            "get_rng_state_all": lambda: [self._state(index) for index in range(self.cards)],
            "set_rng_state_all": lambda states: [self._restore(*each[::-1]) for each in enumerate(states)],
            "manual_seed_all": self.generator.manual_seed,
            "empty_cache": lambda: None,
        }.items():
            self.stack.enter_context(mock.patch.object(torch.cuda, name, value))
        csr = partial(self._csr, torch.sparse_csr_tensor)
        self.stack.enter_context(mock.patch.object(torch, "sparse_csr_tensor", csr))
        before = torch.__future__.get_overwrite_module_params_on_conversion()
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        self.stack.callback(torch.__future__.set_overwrite_module_params_on_conversion, before)
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self.stack.close()

    # The generators.

    def _state(self, device: Any = CUDA) -> Tensor:
        self._initialise(device)
        return self.generator.get_state()

    def _restore(self, state: Tensor, device: Any = CUDA) -> None:
        self._initialise(device)
        self.generator.set_state(state)

    def _initialise(self, device: Any) -> None:
        index = torch.device("cuda", device).index if isinstance(device, int) else torch.device(device).index or 0
        if index >= self.cards:
            raise IndexError("tuple index out of range")  # what torch says
        self.initialised.add(index)

    @contextmanager
    def _drawing(self) -> Iterator[None]:
        before = torch.get_rng_state()
        torch.set_rng_state(self.generator.get_state())
        try:
            yield
        finally:
            self.generator.set_state(torch.get_rng_state())
            torch.set_rng_state(before)

    # What Python asks for: where a tensor is, and moves.

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is Tensor.to:
            return self.move(*args, **kwargs)
        if func is Tensor.pin_memory:
            return args[0]
        if func is Tensor.cuda:
            return self.move(args[0], CUDA)
        if _is_cuda(kwargs.get("device")):
            made = func(*args, **{**kwargs, "device": CPU})
            return made if isinstance(made, OnDevice) else OnDevice(made)
        return func(*args, **kwargs)

    def move(self, tensor: Tensor, *wanted: Any, **named: Any) -> Tensor:
        """Return what `tensor.to(...)` returns."""
        places: list[torch.device] = []
        rest: list[torch.dtype] = []
        for each in (*wanted, *(named.pop(name) for name in ("device", "other") if name in named)):
            if isinstance(each, Tensor):
                places.append(CUDA if isinstance(each, OnDevice) else CPU)
                rest.append(each.dtype)
            elif isinstance(each, str | torch.device):
                places.append(torch.device(each))
            elif isinstance(each, torch.dtype):
                rest.append(each)
        named = {name: each for name, each in named.items() if name in ("dtype", "copy")}
        moved, own = tensor, isinstance(tensor, OnDevice)
        if places and _is_cuda(places[0]) and not own:
            assert not (tensor.requires_grad and torch.is_grad_enabled()), "a move with a gradient is not simulated"
            self.uploads[_line()] += 1
            moved = OnDevice(tensor.detach().clone(memory_format=torch.contiguous_format))
        elif places and not _is_cuda(places[0]) and own:
            moved = self.read(tensor).clone()
        elif places and isinstance(tensor, nn.Parameter):
            moved = tensor.detach()  # of a module, which makes a parameter of what it is given
        to: Callable[..., Tensor] = Tensor.to
        return to(moved, *rest, **named) if rest or named else moved

    def _csr(self, make: Callable[..., Tensor], *parts: Tensor, **named: Any) -> Tensor:
        own = [isinstance(each, OnDevice) for each in parts]
        if any(own) and not all(own):
            raise DeviceMix(f"sparse_csr_tensor: parts on both sides at {_line()}")
        if any(own) and not all(each.is_contiguous() for each in parts):  # cuSPARSE takes the address and asks no more
            raise DeviceMix(f"sparse_csr_tensor: a part is not contiguous at {_line()}")
        made = make(*map(_host, parts), **named)
        return OnDevice(made) if any(own) else made

    # What torch computes.

    def run(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Compute an operation that has an operand on the device."""
        name = func.overloadpacket.__name__
        tensors = [each for each in tree_iter((args, kwargs)) if isinstance(each, Tensor)]
        own = {id(each.host): each for each in tensors if isinstance(each, OnDevice)}
        for each in tensors:
            if isinstance(each, OnDevice) or (each.dim() == 0 and _takes_numbers(func)):
                continue
            if name not in TAKES_HOST_TENSORS:
                raise DeviceMix(f"{name}: a host tensor {tuple(each.shape)} among the device's at {_line()}")
            self.uploads[_line()] += 1
        if name == "_local_scalar_dense":
            return self.read(args[0]).item()
        masks = name in ("index", "index_put_") and any(
            each.dtype == torch.bool for each in tree_iter(args[1]) if each is not None
        )
        if (name in SIZED_BY_DATA and kwargs.get("output_size") is None) or masks:
            self.waits[name, _line()] += 1
        is_csr = name in ("mm", "addmm") and any(each.host.layout == torch.sparse_csr for each in own.values())
        if name in UNORDERED or is_csr:
            self.unordered[name, _line()] += 1
        self.kernels += not func.is_view and name not in NO_KERNEL
        if func is torch.ops.aten._conj.default:  # a flag of the host's tensor, which kernels called from here overlook
            func = torch.ops.aten._conj_physical.default
        with self._drawing() if torch.Tag.nondeterministic_seeded in func.tags else ExitStack():
            made = func(*tree_map(_host, args), **tree_map(_host, kwargs))

        def put(each: Any) -> Any:
            if not isinstance(each, Tensor):
                return each
            return own[id(each)] if id(each) in own else OnDevice(each)

        return tree_map(put, made)

    def read(self, tensor: Tensor) -> Tensor:
        """Return the numbers on the host, which waits for them."""
        self.waits["read", _line()] += 1
        return _host(tensor)


def host(tensor: Tensor) -> Tensor:
    """Return the numbers of a tensor on the device; nothing is counted."""
    assert isinstance(tensor, OnDevice)
    return tensor.host


def _host(value: Any) -> Any:
    return value.host if isinstance(value, OnDevice) else value


def _is_cuda(device: Any) -> bool:
    return device is not None and torch.device(device).type == "cuda"


def _takes_numbers(func: Any) -> bool:
    """Return whether CUDA takes a host tensor without dimensions for a number."""
    return torch.Tag.pointwise in func.tags or func.overloadpacket.__name__ in ("index_put_", "fill_", "copy_", "where")


def _line() -> str:
    """Return the innermost line of the project on the stack, as `recmodels/losses.py:12`."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        if place := _place(frame.f_code.co_filename):
            return f"{place}:{frame.f_lineno}"
        frame = frame.f_back
    return "?"


@cache
def _place(file: str) -> str | None:
    return str(Path(file).relative_to(ROOT)) if file.startswith(PACKAGES) else None
