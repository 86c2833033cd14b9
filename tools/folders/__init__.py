"""Model folders as several versions of transformers write them.

`tools/make_folders.py` runs these modules under the interpreters of the versions:
`vocabularies` once, `write` for each folder under the version that writes it, and
`read` for each folder under the version whose `AutoTokenizer` is the reference.
"""
