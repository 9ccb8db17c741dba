#!/usr/bin/python3
"""Uses named pipes in the ways that rpcclient and impacket's tools do not.

pipes.py [-1] [-w BYTES] SERVER

One session without a name; pipes srvsvc and wkssvc are open at once, their
calls interleaved. Answers of srvsvc are read in pieces of 40 bytes; one comes by
a transaction, over SMB2 one that has no room for it: STATUS_BUFFER_OVERFLOW, and
a read of the rest. With -w, PDUs are written in pieces, which Samba 4.17 does
not put together.
"""

import argparse
import struct

from impacket import smb3, uuid
from impacket.dcerpc.v5 import srvs, wkst
from impacket.smb3structs import FSCTL_PIPE_TRANSCEIVE, SMB2_0_IOCTL_IS_FSCTL, SMB2_IOCTL, SMB2Ioctl
from impacket.smbconnection import SMBConnection

NDR = uuid.uuidtup_to_bin(("8a885d04-1ceb-11c9-9fe8-08002b104860", "2.0"))


def pdu(kind, call, body):
    return struct.pack("<BBBBIHHI", 5, 0, kind, 3, 0x10, 16 + len(body), 0, call) + body


def bind(interface):
    body = struct.pack("<HHIB3xHBx", 4280, 4280, 0, 1, 0, 1) + interface + NDR
    return pdu(11, 1, body)


def call(number, opnum, stub):
    return pdu(0, number, struct.pack("<IHH", len(stub), 0, opnum) + stub)


def share_enum():
    request = srvs.NetrShareEnum()
    request["ServerName"] = "\\\\dc1\0"
    request["PreferedMaximumLength"] = 0xFFFFFFFF
    request["ResumeHandle"] = 0
    request["InfoStruct"]["Level"] = 1
    request["InfoStruct"]["ShareInfo"]["tag"] = 1
    request["InfoStruct"]["ShareInfo"]["Level1"]["Buffer"] = b""
    return request.getData()


def workstation_info():
    request = wkst.NetrWkstaGetInfo()
    request["ServerName"] = "\\\\dc1\0"
    request["Level"] = 100
    return request.getData()


class Pipe:
    def __init__(self, connection, tree, name, piece):
        self.connection, self.tree, self.piece = connection, tree, piece
        self.smb2 = not isinstance(connection.getDialect(), str)
        self.file = connection.openFile(tree, "\\" + name, desiredAccess=0x12019F)

    def write(self, data):
        for at in range(0, len(data), self.piece):
            self.connection.getSMBServer().write_andx(self.tree, self.file, data[at : at + self.piece])

    def read(self, size):
        """Reads one PDU, size bytes at a time."""
        data = b""
        while len(data) < 16 or len(data) < struct.unpack("<H", data[8:10])[0]:
            data += self.connection.readNamedPipe(self.tree, self.file, size)
        return data

    def transact(self, data, room):
        """Writes data and takes as much of the answer as there is room for, over SMB1 all."""
        server = self.connection.getSMBServer()
        if not self.smb2:
            server.TransactNamedPipe(self.tree, self.file, data)
            return
        packet = server.SMB_PACKET()
        packet["Command"] = SMB2_IOCTL
        packet["TreeID"] = self.tree
        ioctl = SMB2Ioctl()
        ioctl["FileID"] = self.file
        ioctl["CtlCode"] = FSCTL_PIPE_TRANSCEIVE
        ioctl["MaxInputResponse"] = 0
        ioctl["MaxOutputResponse"] = room
        ioctl["InputCount"] = len(data)
        ioctl["Flags"] = SMB2_0_IOCTL_IS_FSCTL
        ioctl["Buffer"] = data
        packet["Data"] = ioctl
        server.recvSMB(server.sendSMB(packet))
        self.connection.readNamedPipe(self.tree, self.file, 4280)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("server")
    parser.add_argument("-1", dest="smb1", action="store_true", help="over SMB1")
    parser.add_argument("-w", dest="piece", type=int, default=4280, help="bytes of a write; default: a PDU")
    args = parser.parse_args()

    dialect = "NT LM 0.12" if args.smb1 else None
    connection = SMBConnection(args.server, args.server, preferredDialect=dialect)
    connection.login("", "")
    tree = connection.connectTree("IPC$")
    shares = Pipe(connection, tree, "srvsvc", args.piece)
    station = Pipe(connection, tree, "wkssvc", args.piece)
    shares.write(bind(srvs.MSRPC_UUID_SRVS))
    station.write(bind(wkst.MSRPC_UUID_WKST))
    print(len(station.read(4280)), len(shares.read(40)))
    station.write(call(2, 0, workstation_info()))
    shares.write(call(2, 15, share_enum()))
    print(len(shares.read(40)), len(station.read(4280)))
    if args.piece == parser.get_default("piece"):
        shares.transact(call(3, 15, share_enum()), 64)
    connection.close()


if __name__ == "__main__":
    main()
