"""Where moto finds the routes of a backend that is defined in this package: they are moto's own."""

from moto.ssm.urls import url_bases, url_paths

__all__ = ["url_bases", "url_paths"]
