"""Hierarchical models of grouped data, each with its exact solution: the helpers of the book.

``import hbutils as hb`` loads nothing heavy; a module is loaded when one of its names is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
