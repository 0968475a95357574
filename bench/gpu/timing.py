"""Times on a GPU.

What is timed is a CUDA graph of many launches, each with memory of its own, so that nothing that they read is left in a
cache; the figure is the median over replays.
"""

import statistics
import time

import torch

#: What a rotation reads is at least so many times the second-level cache.
ROTATION = 4
#: Bytes of random data that one benchmark may have on the GPU.
MOST_BYTES = 16 << 30


def copies_of(nbytes, cache_bytes):
    """How often something of this size must exist so that no copy is cached when its turn comes again."""
    wanted = max(2, -(-ROTATION * cache_bytes // max(nbytes, 1)))
    return max(1, min(wanted, 64, MOST_BYTES // max(nbytes, 1)))


def capture(calls):
    """A graph of all calls, in this order, after each has run once outside of it."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for call in calls:
            call()
    torch.cuda.current_stream().wait_stream(stream)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        for call in calls:
            call()
    return graph


def replay_seconds(graph, replays):
    """Seconds of each replay, after two that do not count."""
    seconds = []
    for turn in range(replays + 2):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        if turn >= 2:
            seconds.append(begin.elapsed_time(end) / 1e3)
    return seconds


def settle_seconds(flops):
    """How long launches of so many operations run before they are timed: until the clock is what the power limit
    leaves long products."""
    return 0.5 if flops > 1e11 else 0


def seconds_of(calls, replays=15, least=400e-6, settle=0):
    """Median seconds of one call, after `settle` seconds of them; calls are repeated until a replay takes `least`."""
    graph = capture(calls)
    once = statistics.median(replay_seconds(graph, 3))
    rounds = max(1, min(64, round(least / max(once, 1e-9))))
    if rounds > 1:
        graph = capture(calls * rounds)
    end = time.monotonic() + settle
    while time.monotonic() < end:
        replay_seconds(graph, 5)
    return statistics.median(replay_seconds(graph, replays)) / (rounds * len(calls))
