"""Cutout services: one module per archive or kind of image.

To add a service, write a module here with a class derived from
`~shredfinder.cutouts.CutoutService` (in ``base``). Decorate it with
`~shredfinder.cutouts.register_service` and import it in `shredfinder.cutouts`, so that
``service="name"`` finds it.
"""
