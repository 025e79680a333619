"""SMORE: Ong, Khong, Spectrum-based Modality Representation Fusion Graph Convolutional Network for Multimodal
Recommendation, WSDM 2025, arXiv 2412.14978."""

from functools import reduce
from operator import mul

import torch
from torch import Tensor, nn

from recmodels.data.dataset import RecDataset
from recmodels.graphs import Nodes, cosine_graph, largest_cosine_graph, smoothed
from recmodels.models.parts.modalities import VISUAL, modalities
from recmodels.models.sided import SidedRecommender
from recmodels.ops import Dropout
from recmodels.signatures import CountFromOne, ShareBelowOne

FUSED = "(fused)"
"""The stream that is made of all modalities."""


class SMORE(SidedRecommender):
    """MGCN with features that are filtered in the frequency domain, and a fused stream beside the modalities'.

    A stream's spectrum is multiplied by its filter; the fused one's is the product of the modalities'. Each stream is
    gated, smoothed and passed on as MGCN's views are, the fused one over the largest entries of the item graphs. What
    the fused view says of a column weighs the modalities' views there, by a softmax over the columns. As in the
    benchmark, features train as tables, and imaginary parts of filters at the lowest and, for an even
    `embedding_size`, the highest frequency act on nothing. With one modality the fused stream is that modality's.
    `visual_knn_k`: neighbours in the item graph of images; `text_knn_k`: in those of all others.
    """

    def __init__(
        self,
        data: RecDataset,
        *,
        embedding_size: int = 64,
        n_ui_layers: int = 3,
        n_mm_layers: int = 1,
        visual_knn_k: int = 10,
        text_knn_k: int = 10,
        cl_weight: float = 0.01,
        dropout: ShareBelowOne = 0.0,
        reg_weight: float = 1e-4,
        reg_batch_size: CountFromOne = 2048,
    ):
        names, size = modalities(data, "SMORE"), embedding_size
        super().__init__(
            data,
            names,
            embedding_size=size,
            n_ui_layers=n_ui_layers,
            cl_weight=cl_weight,
            reg_weight=reg_weight,
            reg_batch_size=reg_batch_size,
        )
        self.n_mm_layers, self.size, self.dropout = n_mm_layers, size, Dropout(dropout)
        ks = {name: visual_knn_k if name == VISUAL else text_knn_k for name in names}
        self.item_graphs = nn.ModuleDict({name: cosine_graph(data, name, k) for name, k in ks.items()})
        streams = names
        if len(names) > 1:
            self.item_graphs[FUSED] = largest_cosine_graph(data, ks)
            streams = [*names, FUSED]
        self.filters = nn.ParameterDict({name: nn.Parameter(torch.randn(1, size // 2 + 1, 2)) for name in streams})
        self.gates = nn.ModuleDict({name: nn.Linear(size, size) for name in streams})
        self.queries = nn.ModuleDict(
            {name: nn.Sequential(nn.Linear(size, size), nn.Tanh(), nn.Linear(size, size, bias=False)) for name in names}
        )
        self.preferences = nn.ModuleDict({name: nn.Linear(size, size) for name in [*names, FUSED]})

    def views(self, nodes: Nodes) -> tuple[Tensor, Tensor]:
        views = []
        for name, stream in self.filtered().items():
            gated = self.item_emb * torch.sigmoid(self.gates[name](stream))
            views.append(smoothed(self.item_graphs[name], gated, self.n_mm_layers))
        return self.around(torch.cat(views, dim=1), nodes)

    def filtered(self) -> dict[str, Tensor]:
        """Return each stream's items (I, D): modalities in their order, then the fused one if there are several."""
        # Real transforms that preserve lengths: M of them forth and one back leave a factor D^((1 - M) / 2).
        spectra = {name: torch.fft.rfft(content(), norm="ortho") for name, content in self.content.items()}
        if len(spectra) > 1:
            spectra[FUSED] = reduce(mul, spectra.values())
        return {
            name: torch.fft.irfft(spectrum * torch.complex(*self.filters[name].unbind(2)), n=self.size, norm="ortho")
            for name, spectrum in spectra.items()
        }

    def side(self, ids: Tensor, views: Tensor) -> Tensor:
        each = dict(zip(self.gates, views.split(self.size, dim=1), strict=True))
        each.setdefault(FUSED, views)
        total = self._asked(FUSED, ids) * each[FUSED]
        for name, query in self.queries.items():
            total = total + self._asked(name, ids) * torch.softmax(query(each[FUSED]), dim=1) * each[name]
        return total / len(each)

    def _asked(self, name: str, ids: Tensor) -> Tensor:
        """Return how much of each column of a view the propagated ids (n, D) ask for, (n, D)."""
        return self.dropout(torch.sigmoid(self.preferences[name](ids)))
