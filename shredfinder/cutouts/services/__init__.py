"""Cutout services, one module each."""
