"""The families of curves that are fitted, in the order in which they are preferred where nothing else decides.

A cliff, a fall somewhere between two doses, is one more (fitting.py): it has no place that doses could tell.
"""

from engine.analysis.shapes.base import Shape
from engine.analysis.shapes.linear import LOGIT_TRAPEZOID, TRAPEZOID
from engine.analysis.shapes.logistic import LOGISTIC

SHAPES: tuple[Shape, ...] = (LOGISTIC, TRAPEZOID, LOGIT_TRAPEZOID)

__all__ = ["SHAPES", "Shape"]
