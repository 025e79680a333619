"""Make data set folders in MMRec's format from raw tables, texts and image features."""

from recmodels.prepare.amazon import Sources, prepare_amazon
from recmodels.prepare.user_table import prepare_own

__all__ = ["Sources", "prepare_amazon", "prepare_own"]
