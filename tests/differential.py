"""Reads lines `METHOD HEX` and says for each what h11 makes of those bytes followed by the end of the connection:
`STATUSES CONTENT-HEX whole|error keep|close`."""

import sys

import h11


def verdict(method, data):
    client = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    target = b"a:443" if method == "CONNECT" else b"/"
    client.send(h11.Request(method=method, target=target, headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    statuses, content = [], b""
    try:
        client.receive_data(data)
        ended = False
        while True:
            event = client.next_event()
            if event is h11.NEED_DATA:
                if ended:
                    return statuses, content, "error", "close"
                client.receive_data(b"")
                ended = True
            elif isinstance(event, (h11.InformationalResponse, h11.Response)):
                statuses.append(str(event.status_code))
            elif isinstance(event, h11.Data):
                content += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                # After the end of the connection there is nothing to keep.
                keep = client.their_state is h11.DONE and not ended
                return statuses, content, "whole", "keep" if keep else "close"
            elif event is h11.PAUSED:
                return statuses, content, "whole", "close"
            else:  # ConnectionClosed before a response
                return statuses, content, "error", "close"
    except h11.RemoteProtocolError:
        return statuses, content, "error", "close"


for line in sys.stdin:
    method, data = line.rstrip("\n").split(" ")
    statuses, content, whole, keep = verdict(method, bytes.fromhex(data))
    print(",".join(statuses) or "-", content.hex() or "-", whole, keep)
