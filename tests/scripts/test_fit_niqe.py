from __future__ import annotations

import numpy as np

from restorect_cli.bench.niqe import FEATURES, patch_features

from .conftest import ROOT, load_script


def test_a_model_is_that_of_the_sharp_patches():
    script = load_script("fit_niqe")
    picture = script.read(sorted((ROOT / "examples" / "clean").glob("*.jpg"))[0])
    features, sharpness = patch_features(picture)
    sharp = features[sharpness > script.SHARP_SHARE * sharpness.max()]
    model = script.fit([picture])
    assert 0 < len(sharp) < len(features) and np.allclose(model.mean, sharp.mean(axis=0))
    assert model.covariance.shape == (FEATURES, FEATURES)
