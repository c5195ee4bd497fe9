from __future__ import annotations

import torch

from restorect_cli.training.nets.scln import SCLN


def features() -> torch.Tensor:
    return 3 + 2 * torch.randn(2, 5, 12, 12, generator=torch.Generator().manual_seed(0))


def test_each_sample_has_mean_0_and_variance_1():
    out = SCLN(5)(features())
    torch.testing.assert_close(out.mean(dim=(1, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.var(dim=(1, 2, 3), correction=0), torch.ones(2), atol=1e-4, rtol=0)


def test_scale_and_offset_of_the_input_do_not_matter():
    torch.testing.assert_close(SCLN(5)(7 * features() - 4), SCLN(5)(features()), atol=1e-4, rtol=0)


@torch.no_grad()
def test_contrast_between_pixels_survives():
    """A norm per pixel would make all pixels alike in size; here a bright half stays the brighter one."""
    x = torch.zeros(1, 2, 4, 4)
    x[..., 2:] = 1
    out = SCLN(2)(x)
    assert float(out[..., 2:].min()) > 0.9 and float(out[..., :2].max()) < -0.9


def test_constant_input_is_finite_with_its_gradient_and_outliers_are_limited():
    x = torch.full((1, 2, 4, 4), 0.3, requires_grad=True)
    out = SCLN(2)(x)
    out.sum().backward()
    assert torch.equal(out, torch.zeros_like(out)) and x.grad is not None and bool(x.grad.isfinite().all())
    spike = torch.zeros(1, 1, 64, 64)
    spike[..., 0, 0] = 1
    assert float(SCLN(1)(spike).detach().max()) == 10


def test_it_keeps_the_type_and_computes_wide():
    x = (100 + features()).to(torch.bfloat16)
    out = SCLN(5)(x)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), SCLN(5)(x.float()), atol=0.02, rtol=0.01)
