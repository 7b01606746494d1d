"""A search claims a rate for as many persons as were measured, a little beyond by a stated rule, and no further."""

import pytest

from biometrics.engine.search_calibration import GalleryTooLarge, read_search_calibration


@pytest.mark.parametrize(
    ("size", "threshold_e4", "row"), [(1, 3400, 20), (20, 3400, 20), (21, 3200, 50), (51, 3000, 200), (200, 3000, 200)]
)
def test_measured(size: int, threshold_e4: int, row: int) -> None:
    point = read_search_calibration().point(gallery_size=size)
    assert (point.threshold_e4, point.gallery_size, point.basis) == (threshold_e4, row, "measured")


def test_extrapolated_thresholds_fall_with_the_gallery() -> None:
    points = [read_search_calibration().point(gallery_size=size) for size in (200, 750, 1500, 3750)]
    assert [point.basis for point in points] == ["measured", *["extrapolated"] * 3]
    thresholds = [point.threshold_e4 for point in points]
    assert thresholds == sorted(set(thresholds), reverse=True)


def test_beyond_a_power_of_ten_nothing_is_claimed() -> None:
    with pytest.raises(GalleryTooLarge) as refused:
        read_search_calibration().point(gallery_size=3751)
    assert refused.value.largest == 3750
