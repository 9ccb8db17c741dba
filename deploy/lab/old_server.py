#!/usr/bin/python3
"""A server that grants a bind to any interface, for calls that Samba does not offer.

old_server.py ADDRESS

impacket's SMB server on port 445, with the pipes below, and MS-RPC on 135.
Each call is answered by a fault, or by the error that a coerced server gives.
It does nothing that it is asked for.
"""

import socketserver
import struct
import sys
import threading

from impacket import ntlm, smbserver, uuid

PIPES = "atsvc browser efsrpc FssagentRpc lsarpc netdfs spoolss srvsvc svcctl wkssvc".split()
NDR = uuid.uuidtup_to_bin(("8a885d04-1ceb-11c9-9fe8-08002b104860", "2.0"))
OP_RNG_ERROR = 0x1C010002  # nca_s_op_rng_error
BAD_NETPATH = 53  # ERROR_BAD_NETPATH: the server has tried the path
EFSR = ("c681d488-d850-11d0-8c52-00c04fd90f7e", "df1941c5-fe89-4e79-bf10-463657acf44d")
REQUEST, RESPONSE, FAULT, BIND, BIND_ACK, ALTER, ALTER_RESP = 0, 2, 3, 11, 12, 14, 15


def pdu(kind, call, body, auth=b""):
    """One PDU, whole; auth is the verifier with its 8 bytes before."""
    length = 16 + len(body) + len(auth)
    token = max(0, len(auth) - 8)
    return struct.pack("<BBBBIHHI", 5, 0, kind, 3, 0x10, length, token, call) + body + auth


def challenge(negotiate):
    """NTLM's CHALLENGE_MESSAGE to a NEGOTIATE_MESSAGE; nobody checks the answer."""
    message = ntlm.NTLMAuthNegotiate()
    message.fromString(negotiate)
    info = ntlm.AV_PAIRS()
    name = "OLD".encode("utf-16le")
    for kind in (ntlm.NTLMSSP_AV_HOSTNAME, ntlm.NTLMSSP_AV_DOMAINNAME):
        info[kind] = name
    answer = ntlm.NTLMAuthChallenge()
    flags = message["flags"] & ~ntlm.NTLMSSP_NEGOTIATE_VERSION
    answer["flags"] = flags | ntlm.NTLMSSP_NEGOTIATE_TARGET_INFO | ntlm.NTLMSSP_TARGET_TYPE_SERVER
    answer["domain_len"] = answer["domain_max_len"] = len(name)
    answer["domain_offset"] = 40 + 16
    answer["challenge"] = b"\x11" * 8
    answer["domain_name"] = name
    answer["TargetInfoFields_len"] = answer["TargetInfoFields_max_len"] = len(info)
    answer["TargetInfoFields"] = info
    answer["TargetInfoFields_offset"] = 40 + 16 + len(name)
    answer["Version"] = b"\xff" * 8
    answer["VersionLen"] = 8
    return answer.getData()


class Association(socketserver.StreamRequestHandler):
    """Answers the PDUs of one connection."""

    def handle(self):
        interfaces = {}
        while len(header := self.rfile.read(16)) == 16:
            kind, flags, length, token, call = struct.unpack("<2xBB4xHHI", header)
            body = self.rfile.read(length - 16)
            if kind in (BIND, ALTER):
                self.wfile.write(self.bind(kind, call, body, token, interfaces))
            elif kind == REQUEST and flags & 2:
                context, opnum = struct.unpack("<HH", body[4:8])
                self.wfile.write(self.answer(call, context, opnum, interfaces))

    def bind(self, kind, call, body, token, interfaces):
        at, results = 12, b""
        for _ in range(body[8]):
            context, count = struct.unpack("<HB", body[at : at + 3])
            interfaces[context] = uuid.bin_to_string(body[at + 4 : at + 20]).lower()
            syntaxes = [body[at + 24 + 20 * i : at + 44 + 20 * i] for i in range(count)]
            results += struct.pack("<HH", 0, 0) + NDR if NDR in syntaxes else struct.pack("<HH20x", 2, 2)
            at += 24 + 20 * count
        port = b"\\PIPE\\lsass\0"
        body_out = struct.pack("<HHIH", 4280, 4280, 0x5000, len(port)) + port
        body_out += b"\0" * (-len(body_out) % 4) + struct.pack("<B3x", len(results) // 24) + results
        auth = b""
        if token:
            auth = body[-token - 8 : -token] + challenge(body[-token:])
        return pdu(BIND_ACK if kind == BIND else ALTER_RESP, call, body_out, auth)

    def answer(self, call, context, opnum, interfaces):
        if interfaces.get(context) in EFSR:
            handle = b"\0" * 20 if opnum == 0 else b""
            stub = handle + struct.pack("<I", BAD_NETPATH)
            return pdu(RESPONSE, call, struct.pack("<IHBx", len(stub), context, 0) + stub)
        return pdu(FAULT, call, struct.pack("<IHBxI4x", 32, context, 0, OP_RNG_ERROR))


class RPCServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def main():
    address = sys.argv[1]
    behind_pipes = RPCServer(("127.0.0.1", 0), Association)
    for server in (behind_pipes, RPCServer((address, 135), Association)):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    smb = smbserver.SimpleSMBServer(address, 445)
    smb.setSMB2Support(True)
    for pipe in PIPES:
        smb.registerNamedPipe(pipe, ("127.0.0.1", behind_pipes.server_address[1]))
    smb.start()


if __name__ == "__main__":
    main()
