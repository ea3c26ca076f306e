"""Pictures of numbers from files, as PNG: one module for each kind."""
