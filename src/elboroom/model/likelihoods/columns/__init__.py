"""p(x | z) of tables: a product over columns, each with a family of its own."""

from elboroom.model.likelihoods.columns.families import FAMILIES
from elboroom.model.likelihoods.columns.model import TableModel
from elboroom.model.likelihoods.columns.table import Table, columns_class

__all__ = ["FAMILIES", "Table", "TableModel", "columns_class"]
