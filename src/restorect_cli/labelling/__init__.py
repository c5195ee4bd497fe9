"""Labels for photographs without truth, made by a slow network: who labels, what is kept, how it is laid out."""
