"""The socket that the explorer listens at."""

import asyncio
import socket

from elboroom.explorer.server.serve import HOST, listen


def test_answers_do_not_wait_for_the_acknowledgement_of_their_headers():
    """Nagle's algorithm delays the body by 40 ms; asyncio turns it off for some sockets alone."""
    found = list[int]()

    async def note(reader, writer):
        sent_by = writer.get_extra_info("socket")
        found.append(sent_by.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    async def connect():
        listener = listen(0)
        async with await asyncio.start_server(note, sock=listener):
            reader, writer = await asyncio.open_connection(HOST, listener.getsockname()[1])
            await reader.read()
            writer.close()

    asyncio.run(connect())
    assert found == [1]
