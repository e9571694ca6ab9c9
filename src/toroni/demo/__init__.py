"""The demo: processes that share a stream, two of them killed on the way, and proof that it did no harm.

    python -m toroni.demo

Writers send every file of Python's standard library through one `toroni.rmp.Stream`; readers put the files
together again. A writer and a reader get SIGKILL in the middle, new ones take their places, and at the end
every reader's order and every file's bytes are compared.
"""
