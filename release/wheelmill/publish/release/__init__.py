"""Releases: a line of the matrix goes from a plan to a public index, all of it or nothing.

`session` is the state machine (pure), `sessions` its records in the store's journal, `checks` what is looked
at before anything happens, `steps` what each state takes, `conductor` what runs them in order. The words are
those of PEP 694: a *session* is staged, its *status* is asked for, it is extended, canceled or published.
"""
