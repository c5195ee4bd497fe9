"""Losses of training with a teacher. Each returns one number per sample, (B,): means are over shared batches."""
