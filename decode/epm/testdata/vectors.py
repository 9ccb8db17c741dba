#!/usr/bin/env python3
"""Writes vectors.txt: stubs of the endpoint mapper as impacket encodes them.

    apt-get install python3-impacket    # 0.10.0
    /usr/bin/python3 vectors.py > vectors.txt

A line is: name, opnum, request or response, NDR32 or NDR64, hex.
"""
import random
import socket
import struct

from impacket.dcerpc.v5 import epm
from impacket.dcerpc.v5.ndr import NULL
from impacket.uuid import uuidtup_to_bin, string_to_bin

random.seed(3)  # impacket draws referent ids
random.randint = lambda a, b: 0x20000

SAMR = ('12345778-1234-ABCD-EF00-0123456789AC', '1.0')
NDR = ('8a885d04-1ceb-11c9-9fe8-08002b104860', '2.0')


def floor(left, right):
    return struct.pack('<H', len(left)) + left + struct.pack('<H', len(right)) + right


def syntax(tup):
    b = uuidtup_to_bin(tup)
    return floor(b'\x0d' + b[:16] + b[16:18], b[18:20])


def tower(*floors):
    head = [syntax(SAMR), syntax(NDR)]
    return struct.pack('<H', len(floors) + 2) + b''.join(head) + b''.join(floor(*f) for f in floors)


def ip(a):
    return (b'\x09', socket.inet_aton(a))


TCP = tower((b'\x0b', b'\0\0'), (b'\x07', struct.pack('>H', 49664)), ip('10.1.2.3'))
PIPE = tower((b'\x0b', b'\0\0'), (b'\x0f', b'\\PIPE\\lsass\0'), (b'\x11', b'\\\\DC1\0'))
HTTP = tower((b'\x0b', b'\0\0'), (b'\x1f', struct.pack('>H', 593)), ip('10.1.2.3'))
UDP = tower((b'\x0a', b'\0\0'), (b'\x08', struct.pack('>H', 1026)), ip('10.1.2.3'))
LOCAL = tower((b'\x0c', b'\0\0'), (b'\x10', b'LRPC-0a1b\0'))
ANY = tower((b'\x0b', b'\0\0'), (b'\x07', b'\0\0'), ip('0.0.0.0'))


def twr(octets, wide):
    t = epm.twr_p_t(isNDR64=wide)
    t['Data'] = epm.twr_t(isNDR64=wide)
    t['tower_octet_string'] = [bytes([c]) for c in octets]
    t['tower_length'] = len(octets)
    return t


def emit(name, opnum, kind, wide, call):
    print('\t'.join((name, str(opnum), kind, 'NDR64' if wide else 'NDR32', call.getData().hex())))


for wide in (False, True):
    r = epm.ept_map(isNDR64=wide)
    r['obj'] = NULL
    r['map_tower']['tower_length'] = len(ANY)
    r['map_tower']['tower_octet_string'] = ANY
    r['entry_handle'] = epm.ept_lookup_handle_t(isNDR64=wide)
    r['max_towers'] = 4
    emit('map', 3, 'request', wide, r)

    r = epm.ept_lookup(isNDR64=wide)
    r['inquiry_type'] = 1
    r['object'] = NULL
    r['Ifid']['Uuid'] = uuidtup_to_bin(SAMR)[:16]
    r['Ifid']['VersMajor'] = 1
    r['Ifid']['VersMinor'] = 0
    r['vers_option'] = 1
    r['entry_handle'] = epm.ept_lookup_handle_t(isNDR64=wide)
    r['max_ents'] = 500
    emit('lookup', 2, 'request', wide, r)

    r = epm.ept_mapResponse(isNDR64=wide)
    r['entry_handle'] = epm.ept_lookup_handle_t(isNDR64=wide)
    all = [TCP, PIPE, HTTP, UDP, LOCAL]
    r['num_towers'] = len(all)
    for t in all:
        r['ITowers'].append(twr(t, wide))
    r['status'] = 0
    emit('map', 3, 'response', wide, r)

    r = epm.ept_lookupResponse(isNDR64=wide)
    r['entry_handle'] = epm.ept_lookup_handle_t(isNDR64=wide)
    r['entry_handle']['context_handle_uuid'] = string_to_bin('01020304-0506-0708-090a-0b0c0d0e0f10')
    r['num_ents'] = 2
    for t, note in ((TCP, b'Remote registry'), (LOCAL, b'')):
        e = epm.ept_entry_t(isNDR64=wide)
        e['object'] = string_to_bin('aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee')
        e['tower'] = twr(t, wide)
        e['annotation'] = [bytes([c]) for c in note + b'\0']
        r['entries'].append(e)
    r['status'] = 0x16c9a0d6
    emit('lookup', 2, 'response', wide, r)
