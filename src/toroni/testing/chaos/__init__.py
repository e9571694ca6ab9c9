"""Chaos: processes of a bus killed, stopped, forked and replaced at random, and a check of all that they saw.

`python -m toroni.testing.chaos --seconds 60 --seed 7`. The run is a series of rounds of a few seconds, each on a new
bus with other sizes and another notifier. Every process appends what it writes and reads to a log of its own, which
survives its death; at the end of a round the logs of all, the dead ones included, must fit together.
"""
