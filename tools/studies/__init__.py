"""The studies of tools.study: one module each, and what they share.

A study is a row of `catalogue.STUDIES` and a module with `study(lab)`, which trains or
opens the runs it needs and returns an `outcome.Outcome`.
"""
