"""The registry of the families of columns."""

from elboroom.config.kinds import ColumnLikelihoodName
from elboroom.model.likelihoods.columns.bernoulli import BernoulliColumns
from elboroom.model.likelihoods.columns.categorical import CategoricalColumns
from elboroom.model.likelihoods.columns.family import ColumnFamily
from elboroom.model.likelihoods.columns.gaussian import GaussianColumns
from elboroom.model.likelihoods.columns.log_normal import LogNormalColumns
from elboroom.model.likelihoods.columns.negative_binomial import NegativeBinomialColumns
from elboroom.model.likelihoods.columns.ordinal import OrdinalColumns
from elboroom.model.likelihoods.columns.poisson import PoissonColumns
from elboroom.model.likelihoods.columns.student_t import StudentTColumns

FAMILIES: dict[ColumnLikelihoodName, type[ColumnFamily]] = {
    "gaussian": GaussianColumns,
    "student-t": StudentTColumns,
    "log-normal": LogNormalColumns,
    "poisson": PoissonColumns,
    "negative-binomial": NegativeBinomialColumns,
    "bernoulli": BernoulliColumns,
    "categorical": CategoricalColumns,
    "ordinal": OrdinalColumns,
}
