"""The test agent of the C++ and Java Toroni, in Python: `python -m toroni.agent COMMAND`, or `toroni-agent COMMAND`.

Their test scripts can start it in place of their own, in any role, mixed with theirs in any way. It talks on the bus
"burst", in the base format that all of them share, and takes its options from the environment (`--help` lists them).
"""
