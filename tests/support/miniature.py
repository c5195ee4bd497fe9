"""A teacher smaller than teacher-tiny; and training fixtures that several rooms of tests use."""

from __future__ import annotations

from restorect_cli.training.nets.encoders import EncoderShape
from restorect_cli.training.nets.teacher import TeacherShape

MINIATURE = TeacherShape(8, (1, 1, 1, 1), 1, (1, 2, 2, 4), encoder=EncoderShape(width=8, blocks=1, latent_dim=16))
