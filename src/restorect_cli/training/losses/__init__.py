"""Losses of training with a teacher. Each returns one number per sample, (B,); the mean is taken over all processes."""
