"""The adapters, a file a library."""

from __future__ import annotations

import importlib.util

from toroni.bench.libraries.aeron_publication import AeronPublication
from toroni.bench.libraries.cloudtoid_queue import CloudtoidQueue
from toroni.bench.libraries.faster_fifo_queue import FasterFifoQueue
from toroni.bench.libraries.global_buffer_channel import GlobalBufferChannel
from toroni.bench.libraries.iceoryx2_pubsub import Iceoryx2PubSub
from toroni.bench.libraries.kickmsg_channel import KickmsgChannel
from toroni.bench.libraries.mmbus_bus import MmbusBus
from toroni.bench.libraries.multiprocessing_pipe import MultiprocessingPipe
from toroni.bench.libraries.multiprocessing_queue import MultiprocessingQueue
from toroni.bench.libraries.pyzmq_pubsub import PyzmqPubSub
from toroni.bench.libraries.toroni_bus import ToroniBus
from toroni.bench.libraries.toroni_columns import ToroniBusColumns, ToroniRmpColumns
from toroni.bench.libraries.toroni_rmp import ToroniRmp
from toroni.bench.libraries.unix_datagram import UnixDatagram
from toroni.bench.libraries.zenoh_shared_memory import ZenohSharedMemory
from toroni.bench.library import Library


def all_libraries() -> list[Library]:
    """Every way of use of every library, ours first, whether installed or not."""
    return [
        ToroniBus(batches=False),
        ToroniBus(batches=True),
        ToroniBusColumns(),
        ToroniRmp(),
        ToroniRmpColumns(),
        AeronPublication(batches=False),
        AeronPublication(batches=True),
        MmbusBus(batches=False),
        MmbusBus(batches=True),
        CloudtoidQueue(batches=False),
        CloudtoidQueue(batches=True),
        KickmsgChannel(),
        GlobalBufferChannel(),
        PyzmqPubSub(),
        FasterFifoQueue(),
        Iceoryx2PubSub(),
        ZenohSharedMemory(),
        MultiprocessingPipe(),
        UnixDatagram(),
        MultiprocessingQueue(),
    ]


def is_installed(library: Library) -> bool:
    """Whether what the library needs can be imported."""
    return library.module is None or importlib.util.find_spec(library.module) is not None
