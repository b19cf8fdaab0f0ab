"""Hierarchical models of grouped data, each with its exact solution: the helpers of the book."""
