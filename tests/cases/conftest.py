"""An operator that the tests of one module share."""

from tests.operator.conftest import site as site
