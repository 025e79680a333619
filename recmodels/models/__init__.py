"""The models by name."""

from recmodels.models.base import Recommender
from recmodels.models.bm3 import BM3
from recmodels.models.bpr import BPR
from recmodels.models.damrs import DAMRS
from recmodels.models.dragon import DRAGON
from recmodels.models.dualgnn import DualGNN
from recmodels.models.ease import EASE
from recmodels.models.freedom import FREEDOM
from recmodels.models.grcn import GRCN
from recmodels.models.itemknn import ItemKNN
from recmodels.models.itemknncbf import ItemKNNCBF
from recmodels.models.lattice import LATTICE
from recmodels.models.layergcn import LayerGCN
from recmodels.models.lgmrec import LGMRec
from recmodels.models.lightgcn import LightGCN
from recmodels.models.mgcn import MGCN
from recmodels.models.mmgcf import MMGCF
from recmodels.models.mmgcn import MMGCN
from recmodels.models.mvgae import MVGAE
from recmodels.models.pgl import PGL
from recmodels.models.popularity import Popularity
from recmodels.models.selfcf import SelfCF
from recmodels.models.slmrec import SLMRec
from recmodels.models.smore import SMORE
from recmodels.models.vbpr import VBPR

MODELS: dict[str, type[Recommender]] = {
    model.__name__: model
    for model in (
        BM3,
        BPR,
        DAMRS,
        DRAGON,
        DualGNN,
        EASE,
        FREEDOM,
        GRCN,
        ItemKNN,
        ItemKNNCBF,
        LATTICE,
        LGMRec,
        LayerGCN,
        LightGCN,
        MGCN,
        MMGCF,
        MMGCN,
        MVGAE,
        PGL,
        Popularity,
        SLMRec,
        SMORE,
        SelfCF,
        VBPR,
    )
}

__all__ = ["MODELS", "Recommender"]
