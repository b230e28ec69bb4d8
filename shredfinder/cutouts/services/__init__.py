"""Cutout services: one module per archive or kind of image.

A new service is a class derived from `~shredfinder.cutouts.CutoutService` (module ``base``), in a
module of its own here. Decorate it with `~shredfinder.cutouts.register_service` and import it in
`shredfinder.cutouts`, so that ``service="name"`` finds it.
"""
