import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from elboroom.estimators import VAEDensity, VAEImputer, VAETransformer

SHORT = 1e-4  # a step or two of training for each model


@pytest.mark.filterwarnings("ignore:Can't check dok sparse matrix for nan or inf")
@parametrize_with_checks(
    [VAEImputer(effort=SHORT), VAETransformer(effort=SHORT), VAEDensity(effort=SHORT)]
)
def test_scikit_learn_accepts_the_estimators(estimator, check):
    check(estimator)
