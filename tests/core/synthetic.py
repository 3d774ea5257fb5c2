"""The maker of test data under the name that tests in this folder may use."""

from tests.synthetic import box_centre, density, half_maps, small_model

__all__ = ["box_centre", "density", "half_maps", "small_model"]
