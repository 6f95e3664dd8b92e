"""The studies of tools.study: one module each, and what they share.

A study is a module with `FLAGS`, its own defaults for the flags of training, and
`study(lab)`, which trains or opens the runs it needs and returns an `outcome.Outcome`.
"""
