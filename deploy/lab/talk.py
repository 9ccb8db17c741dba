#!/usr/bin/env python3
"""Says again what a capture holds, over a real network.

    talk.py serve ADDRESS PORT CAPTURE   answer as the server of its first TCP conversation
    talk.py ask ADDRESS PORT CAPTURE     ask as its client

What either end says waits until the other has said as many bytes as it had in
the capture. It stands for programs that this machine does not have: a KMS host
and its clients. CAPTURE is a pcap of Ethernet and IPv4.
"""
import socket
import struct
import sys


def segments(path):
    """Gives (from client, payload) of the first TCP conversation, in order."""
    with open(path, "rb") as f:
        data = f.read()
    order = "<" if data[:4] == b"\xd4\xc3\xb2\xa1" else ">"
    at, client, seen = 24, None, {}
    while at + 16 <= len(data):
        size = struct.unpack(order + "I", data[at + 8:at + 12])[0]
        frame = data[at + 16:at + 16 + size]
        at += 16 + size
        if len(frame) < 54 or frame[12:14] != b"\x08\x00" or frame[23] != 6:
            continue
        ip = frame[14:14 + struct.unpack(">H", frame[16:18])[0]]
        tcp = ip[(ip[0] & 15) * 4:]
        source, target = (ip[12:16], tcp[0:2]), (ip[16:20], tcp[2:4])
        if client is None:
            if tcp[13] & 0x12 != 0x02:
                continue
            client, server = source, target
        if {source, target} != {client, server}:
            continue
        payload = tcp[(tcp[12] >> 4) * 4:]
        number = (source, tcp[4:8])
        if payload and number not in seen:
            seen[number] = True
            yield source == client, payload


def read(connection, count):
    while count > 0:
        some = connection.recv(count)
        if not some:
            raise EOFError
        count -= len(some)


def talk(connection, path, mine):
    for from_client, payload in segments(path):
        if from_client == mine:
            connection.sendall(payload)
        else:
            read(connection, len(payload))


def main():
    verb, address, port, path = sys.argv[1:]
    if not list(segments(path)):
        sys.exit(path + ": no TCP conversation")
    if verb == "ask":
        with socket.create_connection((address, int(port)), 5) as connection:
            talk(connection, path, True)
        return
    with socket.create_server((address, int(port))) as listener:
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(10)
                try:
                    talk(connection, path, False)
                    connection.recv(1)  # the client closes
                except (EOFError, OSError):
                    pass


main()
